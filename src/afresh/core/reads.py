"""Look and read: what is there for a caller, without a claim to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from afresh.core.decide import Cause, State, Verdict, classify, undeclared
from afresh.core.envelope import Entry, Flag
from afresh.core.keys import Names, Namespace
from afresh.core.ops import Get
from afresh.core.policy import Policy
from afresh.core.ports import Ports, Values
from afresh.core.stamps import Needs
from afresh.errors import StoreError, StoreRefused, UndecodablePayload

__all__ = ["Hit", "Request", "decoded", "hit_of", "look", "read", "read_many", "stamp_reads"]


class Request(NamedTuple):
    """One entry, as a caller wants it. `owner` is whom the counters blame: a function's name, or a kind."""

    names: Names
    needs: Needs
    policy: Policy
    values: Values
    owner: str
    namespace: Namespace | None


@dataclass(slots=True)
class Hit:
    """A value that may be served; or, if negative, the description of an exception that the compute raised."""

    value: Any
    stale: bool = False
    is_negative: bool = False


async def look(ports: Ports, request: Request) -> Verdict:
    """Read the entry and the stamps that it needs, in one round trip; in two if it has tags that the caller did not declare.

    Raises:
        StoreError: if the server failed.
    """
    return (await _look_many(ports, (request,)))[0]


async def _look_many(ports: Ports, requests: Sequence[Request]) -> list[Verdict]:
    """Look for several entries of one namespace, all in the same one or two round trips."""
    reads = stamp_reads(requests)
    replies = await ports.store.flight((*[Get(request.names.value) for request in requests], *reads))
    for reply in replies:
        if isinstance(reply, StoreRefused) and reply.code != "WRONGTYPE":  # loading, busy, no permission: nothing is known of the entry
            raise reply
    raws = replies[: len(requests)]
    stamps = dict(zip(reads, replies[len(requests) :], strict=True))
    others = await _others(ports, requests, raws)
    now_ms = ports.clock.now_ms()
    return [
        classify(
            raw,
            [stamps[get] for get in request.needs.reads],
            request.needs,
            schema=request.values.schema,
            now_ms=now_ms,
            stale_ttl_ms=request.policy.stale_ttl_ms,
            others=others,
        )
        for request, raw in zip(requests, raws, strict=True)
    ]


async def _others(ports: Ports, requests: Sequence[Request], raws: Sequence[object]) -> dict[bytes, object]:
    """Read the stamps that entries carry and their readers did not declare."""
    namespace = requests[0].namespace
    hashes = [name for request, raw in zip(requests, raws, strict=True) for name in undeclared(raw, request.needs)]
    if namespace is None or not hashes:
        return {}
    hashes = list(dict.fromkeys(hashes))
    return dict(zip(hashes, await ports.store.flight([Get(namespace.stamp_key(name)) for name in hashes]), strict=True))


def stamp_reads(requests: Sequence[Request]) -> Sequence[Get]:
    """Return what reads the stamps that these requests need, each once."""
    if len(requests) == 1:
        return requests[0].needs.reads
    return list(dict.fromkeys(get for needs in dict.fromkeys(request.needs for request in requests) for get in needs.reads))


async def read(ports: Ports, request: Request) -> tuple[Hit | None, Verdict]:
    """Look and decode. A failing server, or bytes that do not decode, are a miss with that cause."""
    return (await read_many(ports, (request,)))[0]


async def read_many(ports: Ports, requests: Sequence[Request]) -> list[tuple[Hit | None, Verdict]]:
    """Do what `read` does for several entries of one namespace. Cost: 1 round trip in all; 2 if an entry has undeclared tags."""
    try:
        verdicts = await _look_many(ports, requests)
    except StoreError as error:
        ports.events.suppressed("read", error)
        verdicts = [Verdict(State.MISS, Cause.UNAVAILABLE, None, b"")] * len(requests)
    return [decoded(request, verdict) for request, verdict in zip(requests, verdicts, strict=True)]


def decoded(request: Request, verdict: Verdict) -> tuple[Hit | None, Verdict]:
    """Return the hit of a verdict. Bytes that do not decode are a miss with that cause."""
    if verdict.cause is not None or verdict.entry is None:
        return None, verdict
    try:
        hit = hit_of(request, verdict.entry)
    except UndecodablePayload:
        return None, verdict._replace(state=State.MISS, cause=Cause.UNDECODABLE)
    hit.stale = verdict.state is State.STALE
    return hit, verdict


def hit_of(request: Request, entry: Entry) -> Hit:
    """Return what an entry holds.

    Raises:
        UndecodablePayload: if it does not decode.
    """
    return Hit(request.values.decode(request.names.value, entry), is_negative=bool(entry.flags & Flag.NEGATIVE))
