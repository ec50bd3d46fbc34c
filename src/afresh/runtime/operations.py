"""The facades' operations, with the failure policy: what a caller gets when the server fails.

=================  ==================================================================
read               a miss (the flows see to that)
set, add, touch    nothing is stored, and the caller is told so where it returns a bool
invalidate         a receipt that says it was not applied; it is repeated
expire             the same: what could not be made stale is invalidated later
incr               raises: a counter is never wrong silently
=================  ==================================================================

Each suppressed failure is an event. Where the cache is bypassed, the server is neither read nor written, as if it were empty and stored
nothing; invalidations alone go through.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any, Final, Literal

from afresh.core import writes
from afresh.core.batches import Alike, values_of
from afresh.core.budget import one_call
from afresh.core.capture import fetch_many_into
from afresh.core.decide import Cause, State
from afresh.core.envelope import FOR_EVER
from afresh.core.late import late_of
from afresh.core.plain_puts import Puts, plain_put, was_put
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request, counted, fetch, is_withheld, read
from afresh.core.results import Entry, Receipt
from afresh.core.writes import Target
from afresh.errors import StoreError
from afresh.near.neighbours import TIERS
from afresh.runtime.capturing import capturing
from afresh.runtime.engine import Engine
from afresh.runtime.run_now import run_now
from afresh.runtime.surroundings import DISABLED, ENVIRONMENT, SURROUNDINGS, bypassed

__all__ = [
    "add",
    "drop",
    "expire",
    "get",
    "get_many",
    "get_now",
    "get_soon",
    "incr",
    "invalidate",
    "peek",
    "put",
    "put_many",
    "put_now",
    "touch",
    "ttl_s",
]


# What a hit can be, as `Entry.state` says it.
_SHOWN: Final[Mapping[State, Literal["fresh", "refresh-due", "stale"]]] = MappingProxyType(
    {State.FRESH: "fresh", State.REFRESH_DUE: "refresh-due", State.STALE: "stale"}
)


async def get(ports: Ports, request: Request, default: Any, kind: Any = None) -> Any:
    """Return the stored value, or the default. With `kind`, a class, anything else is a miss. Cost: 1 round trip; near, none."""
    if bypassed():
        return default
    captured = capturing(request.namespace)
    hit, verdict = await fetch(ports, request) if captured is None else (await fetch_many_into(ports, [request], captured))[0]
    if hit is not None and isinstance(kind, type) and not isinstance(hit.value, kind):
        hit, verdict = None, verdict._replace(cause=Cause.SCHEMA)
    return counted(ports, request, hit, verdict, default)


def get_now(engine: Engine, request: Request, default: Any, kind: Any = None) -> Any:
    """Do what `get` does, for a thread: without a flow, if it is a hit like most."""
    found = engine.hits.find(request) if kind is None else None
    if isinstance(found, Hit):
        return found.value
    return default if bypassed() else run_now(get(found or engine.sync_ports(), request, default, kind))


async def get_soon(engine: Engine, request: Request, default: Any, kind: Any = None) -> Any:
    """Do what `get_now` does, for a task."""
    found = await engine.task_hits.find(request) if kind is None else None
    if isinstance(found, Hit):
        return found.value
    return default if bypassed() else await get(found or engine.async_ports(), request, default, kind)


async def get_many(ports: Ports, wanted: Alike | list[Request], default: Any) -> list[Any]:
    """Return the stored values, each the default where there is none. Cost: 1 round trip in all."""
    number = len(wanted.values if isinstance(wanted, Alike) else wanted)
    if bypassed() or not number:
        return [default] * number
    captured = capturing((wanted.like if isinstance(wanted, Alike) else wanted[0]).namespace)
    if isinstance(wanted, Alike):
        if captured is None:
            return await values_of(ports, wanted, default)
        wanted = wanted.requests()
    found = await fetch_many_into(ports, wanted, captured)
    return [counted(ports, request, hit, verdict, default) for request, (hit, verdict) in zip(wanted, found, strict=True)]


async def peek(ports: Ports, request: Request) -> Entry[Any] | None:
    """Return what is stored, uncounted. Cost: 1 round trip."""
    if bypassed():
        return None
    hit, verdict = await read(ports, request)
    if hit is None or hit.is_negative or verdict.entry is None:
        return None
    age_s = max(0, ports.clock.now_ms() - verdict.entry.created_ms) / 1000
    return Entry(hit.value, _SHOWN[verdict.state], age_s)


async def ttl_s(ports: Ports, request: Request) -> float | None:
    """Return how long the entry is fresh for; inf for one that never ends, None if there is none. Cost: 1 round trip."""
    if bypassed():
        return None
    hit, verdict = await read(ports, request)
    if hit is None or verdict.entry is None:
        return None
    until_ms = verdict.entry.fresh_until_ms
    return math.inf if until_ms == FOR_EVER else max(0, until_ms - ports.clock.now_ms()) / 1000


async def put(ports: Ports, request: Request, value: object) -> bool:
    """Store a value. Cost: 1 round trip; 2 under stamps that are new to this process."""
    if bypassed():
        return False
    try:
        if ports.withheld:
            _refuse_withheld(ports, [request])
        return await writes.put(ports, request, value)
    except StoreError as error:
        ports.events.suppressed("set", error)
        return False


def put_now(engine: Engine, request: Request, value: object) -> bool:
    """Do what `put` does, for a thread: without a flow, if it is plain and stays so."""
    ports = engine.threads
    if ports is None or SURROUNDINGS.get() is not None or DISABLED in ENVIRONMENT or ports.withheld or ports.near:
        return run_now(put(engine.sync_ports(), request, value))
    store = ports.tells
    plain = None if store is None else plain_put(ports, request, value)
    if store is None or plain is None:
        return run_now(put(ports, request, value))
    began_ns = perf_counter_ns()
    try:
        replies = store.tell(plain[1], request.needs.reads)
    except StoreError as error:
        ports.events.suppressed("set", error)
        return False
    finally:
        if TIERS:  # seldom, and then no call
            ports.neighbours((request.names.value,))
    if replies is None:
        return run_now(put(ports, request, value))
    if was_put(ports, request.needs, plain, replies):
        return True
    return run_now(put_many(one_call(ports, (perf_counter_ns() - began_ns) // 1000), [(request, value)]))


async def put_many(ports: Ports, wanted: Puts | Sequence[tuple[Request, object]]) -> bool:
    """Store values whose requests share a policy. True if stored. Cost: as for one."""
    if bypassed() or not (wanted.values if isinstance(wanted, Puts) else wanted):
        return False
    try:
        if ports.withheld:
            wanted = wanted.pairs() if isinstance(wanted, Puts) else wanted
            _refuse_withheld(ports, [request for request, _ in wanted])
        return await (writes.put_alike(ports, wanted) if isinstance(wanted, Puts) else writes.put_many(ports, wanted))
    except StoreError as error:
        ports.events.suppressed("set", error)
        return False


async def add(ports: Ports, request: Request, value: object) -> bool:
    """Store a value if there is none. Cost: 1 round trip to 3."""
    if bypassed():
        return False
    try:
        if ports.withheld:
            _refuse_withheld(ports, [request])
        return await writes.add(ports, request, value)
    except StoreError as error:
        ports.events.suppressed("add", error)
        return False


async def touch(ports: Ports, request: Request) -> bool:
    """Give an entry a new ttl. Cost: 1 round trip."""
    if bypassed():
        return False
    try:
        if ports.withheld:
            _refuse_withheld(ports, [request])
        return await writes.touch(ports, request)
    except StoreError as error:
        ports.events.suppressed("touch", error)
        return False


async def incr(ports: Ports, request: Request, by: int, *, create: bool) -> int | None:
    """Add to a number. Cost: 1 round trip; 2 with tags; 3 for the first.

    Raises:
        TypeError: if `by` is no int.
        NotAnInteger: if something else is stored.
        StoreError: if the server failed.
    """
    if not isinstance(by, int) or isinstance(by, bool):
        msg = f"incr() adds whole numbers, not {type(by).__name__}: by=1."
        raise TypeError(msg)
    if bypassed():
        return by if create else None
    if ports.withheld:
        _refuse_withheld(ports, [request])
    return await writes.incr(ports, request, by, create=create)


def _refuse_withheld(ports: Ports, requests: Sequence[Request]) -> None:
    """Raise what kept an invalidation of one of these from the server: until it has it, nothing is stored there."""
    if ports.invalidations is not None and any(is_withheld(ports, request) for request in requests):
        raise ports.invalidations.reason()


async def invalidate(ports: Ports, targets: Sequence[Target]) -> Receipt:
    """Invalidate, and say whether the server has it. Cost: 1 round trip."""
    applied = await drop(ports, targets) is not None
    return Receipt(applied, ports.clock.now_ms() / 1000)


async def drop(ports: Ports, targets: Sequence[Target]) -> int | None:
    """Invalidate, and return how many entries were there; None if the server may not have it. Cost: 1 round trip."""
    if not targets:
        return 0
    called_ms = ports.clock.now_ms()
    replies: Sequence[Any]
    try:
        replies = await writes.attempt(ports, targets)
    except StoreError as error:
        replies = [error] * len(targets)
    except BaseException as error:  # cancelled or interrupted: nobody knows what came of it
        _postpone(ports, targets, called_ms, error)
        raise
    failures = [reply for reply in replies if isinstance(reply, StoreError)]
    if not failures:
        if ports.invalidations is not None:
            ports.invalidations.applied(targets, called_ms)
        return writes.dropped_by(targets, replies)
    ports.events.suppressed("invalidate", failures[0])
    refused = [target for target, reply in zip(targets, replies, strict=True) if isinstance(reply, StoreError)]
    _postpone(ports, refused, called_ms, failures[0])
    return None


def _postpone(ports: Ports, targets: Sequence[Target], called_ms: int, error: BaseException) -> None:
    """Withhold what could not be invalidated, and have it repeated."""
    if ports.invalidations is None:
        return
    ports.invalidations.failed(targets, called_ms, error)
    ports.changed([*late_of(targets, called_ms)])  # it may have been filled between the attempt and now


async def expire(ports: Ports, targets: Sequence[Target]) -> Receipt:
    """Make entries stale, and say whether the server has it; if it may not, they are invalidated as soon as it can be told.

    Cost: 1 round trip.
    """
    called_ms = ports.clock.now_ms()
    try:
        if targets:
            await writes.expire(ports, targets)
    except BaseException as error:
        _postpone(ports, targets, called_ms, error)
        if not isinstance(error, StoreError):  # cancelled or interrupted: nobody knows what came of it
            raise
        ports.events.suppressed("expire", error)
    else:
        return Receipt(applied=True, at=ports.clock.now_ms() / 1000)
    return Receipt(applied=False, at=ports.clock.now_ms() / 1000)
