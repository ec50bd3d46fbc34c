"""Look and read: what is there for a caller, without a claim to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from afresh.core.decide import Cause, State, Verdict, classify, undeclared
from afresh.core.keys import Names, Namespace
from afresh.core.ops import Get
from afresh.core.policy import Policy
from afresh.core.ports import Ports, Values
from afresh.core.stamps import Needs
from afresh.errors import StoreError, UndecodablePayload

__all__ = ["Hit", "Request", "decoded", "look", "read", "read_many"]


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
    """A value that may be served."""

    value: Any
    stale: bool = False


async def look(ports: Ports, request: Request) -> Verdict:
    """Read the entry and the stamps that it needs, in one round trip; in two if it has tags that the caller did not declare.

    Raises:
        StoreUnavailable: if the server failed.
    """
    return (await _look_many(ports, (request,)))[0]


async def _look_many(ports: Ports, requests: Sequence[Request]) -> list[Verdict]:
    """Look for entries that share their needs, all in the same one or two round trips."""
    first = requests[0]
    replies = await ports.store.flight((*(Get(request.names.value) for request in requests), *first.needs.reads))
    raws, stamps = replies[: len(requests)], replies[len(requests) :]
    others: dict[bytes, object] = {}
    if first.namespace is not None:
        hashes = list(dict.fromkeys(name for raw in raws for name in undeclared(raw, first.needs)))
        if hashes:
            gets = [Get(first.namespace.stamp_key(name)) for name in hashes]
            others = dict(zip(hashes, await ports.store.flight(gets), strict=True))
    schema, stale_ttl_ms, now_ms = first.values.schema, first.policy.stale_ttl_ms, ports.clock.now_ms()
    return [classify(raw, stamps, first.needs, schema=schema, now_ms=now_ms, stale_ttl_ms=stale_ttl_ms, others=others) for raw in raws]


async def read(ports: Ports, request: Request) -> tuple[Hit | None, Verdict]:
    """Look and decode. A failing server, or bytes that do not decode, are a miss with that cause."""
    return (await read_many(ports, (request,)))[0]


async def read_many(ports: Ports, requests: Sequence[Request]) -> list[tuple[Hit | None, Verdict]]:
    """Do what `read` does for requests that share their needs. Cost: 1 round trip in all; 2 if an entry has undeclared tags."""
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
        value = request.values.decode(request.names.value, verdict.entry)
    except UndecodablePayload:
        return None, verdict._replace(state=State.MISS, cause=Cause.UNDECODABLE)
    return Hit(value, stale=verdict.state is State.STALE), verdict
