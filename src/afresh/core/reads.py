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

__all__ = ["Hit", "Request", "decoded", "hit_of", "judge", "look", "read", "read_many", "stamp_reads"]


class Request(NamedTuple):
    """One entry, as a caller wants it.

    Attributes:
        owner: whom the counters blame: a function's name, or a kind.
        near: whether the near tier may serve and keep it.
        share: whether it may hand out one object to all callers, though they could change it.
    """

    names: Names
    needs: Needs
    policy: Policy
    values: Values
    owner: str
    namespace: Namespace | None
    near: bool = True
    share: bool = False


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
    replies = await ports.store.flight((Get(request.names.value), *request.needs.reads))
    if StoreRefused in map(type, replies):
        _raise_failures(replies)
    raw, *stamps = replies
    return await judge(ports, request, raw, stamps)


async def judge(ports: Ports, request: Request, raw: object, stamps: Sequence[object]) -> Verdict:
    """Classify what was found, with the stamps that the request needs. Cost: 1 round trip for an entry with undeclared tags, else none."""
    hashes = undeclared(raw, request.needs)
    others = await _others(ports, request, hashes) if hashes else {}
    return _verdict(ports, request, raw, stamps, others)


async def _look_many(ports: Ports, requests: Sequence[Request]) -> list[Verdict]:
    """Look for several entries of one namespace, all in the same one or two round trips."""
    reads = stamp_reads(requests)
    replies = await ports.store.flight((*[Get(request.names.value) for request in requests], *reads))
    _raise_failures(replies)
    raws, stamps = replies[: len(requests)], dict(zip(reads, replies[len(requests) :], strict=True))
    hashes = dict.fromkeys(name for request, raw in zip(requests, raws, strict=True) for name in undeclared(raw, request.needs))
    others = await _others(ports, requests[0], list(hashes)) if hashes else {}
    return [
        _verdict(ports, request, raw, [stamps[get] for get in request.needs.reads], others)
        for request, raw in zip(requests, raws, strict=True)
    ]


def _raise_failures(replies: Sequence[object]) -> None:
    """Raise the first refusal that says nothing of the entry: loading, busy, no permission. WRONGTYPE does: it is somebody else's."""
    for reply in replies:
        if isinstance(reply, StoreRefused) and reply.code != "WRONGTYPE":
            raise reply


async def _others(ports: Ports, request: Request, hashes: Sequence[bytes]) -> dict[bytes, object]:
    """Read the stamps that entries carry and their readers did not declare."""
    namespace = request.namespace
    if namespace is None:
        return {}
    return dict(zip(hashes, await ports.store.flight([Get(namespace.stamp_key(name)) for name in hashes]), strict=True))


def _verdict(ports: Ports, request: Request, raw: object, stamps: Sequence[object], others: dict[bytes, object]) -> Verdict:
    schema, stale_ttl_ms = request.values.schema, request.policy.stale_ttl_ms
    return classify(raw, stamps, request.needs, schema=schema, now_ms=ports.clock.now_ms(), stale_ttl_ms=stale_ttl_ms, others=others)


def stamp_reads(requests: Sequence[Request]) -> Sequence[Get]:
    """Return what reads the stamps that these requests need, each once."""
    if len(requests) == 1:
        return requests[0].needs.reads
    return list(dict.fromkeys(get for needs in dict.fromkeys(request.needs for request in requests) for get in needs.reads))


async def read(ports: Ports, request: Request) -> tuple[Hit | None, Verdict]:
    """Look and decode. A failing server, or bytes that do not decode, are a miss with that cause. Cost: as `look`."""
    try:
        verdict = await look(ports, request)
    except StoreError as error:
        return None, _unavailable(ports, error)
    return decoded(request, verdict)


async def read_many(ports: Ports, requests: Sequence[Request]) -> list[tuple[Hit | None, Verdict]]:
    """Do what `read` does for several entries of one namespace. Cost: 1 round trip in all; 2 if an entry has undeclared tags."""
    try:
        verdicts = await _look_many(ports, requests)
    except StoreError as error:
        return [(None, _unavailable(ports, error))] * len(requests)
    return [decoded(request, verdict) for request, verdict in zip(requests, verdicts, strict=True)]


def _unavailable(ports: Ports, error: StoreError) -> Verdict:
    ports.events.suppressed("read", error)
    return Verdict(State.MISS, Cause.UNAVAILABLE, None)


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
