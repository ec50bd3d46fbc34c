"""Read, claim, commit, abandon: the protocol of one entry, written once for threads, tasks and step tests.

A caller *obtains*: it ends with a `Hit`, or with a `Claim` and computes. Then it *commits* the value or *abandons* the claim.
The user's compute never runs in here.

Rules, each with the race that it closes:

1. The lease and the stamps are taken before compute. A value computed from what was there before an invalidation then carries an older
   stamp, or finds its lease gone, and is not served.
2. The lease's mark is new for each claim, and a commit stores only under its own mark: a slow compute whose lease lapsed, or whose key
   was invalidated, stores nothing.
3. A claim names what the reader saw. If something else is there by now, the caller looks again.
4. A follower that joined before the flight's operation started may share its result: it is younger than the follower's call. One that
   joined later shares it only if the commit, sent after it joined, found lease and stamps unchanged. Others look for themselves.
5. Once the server failed, a call asks it nothing more: it computes, stores nothing, and followers share by rule 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afresh.core.decide import Cause, Verdict
from afresh.core.envelope import FOR_EVER, pack_prefix, parse
from afresh.core.ops import Abandon, Claim as ClaimOp, Commit, Seize
from afresh.core.policy import LEASE_MS, POLL_MS, hard_ttl_ms, tag_ttl_ms
from afresh.core.ports import Encoded, Flight, Outcome, Ports
from afresh.core.reads import Hit, Request, read
from afresh.core.stamps import STAMP_BYTES, Needs
from afresh.errors import StoreError, StoreRefused, StoreUnavailable, UndecodablePayload, UnencodableValue

__all__ = ["Claim", "abandon", "commit", "envelope_of", "new_stamps", "obtain", "seize"]

MARK_BYTES = 8


@dataclass(slots=True)
class Claim:
    """The duty to compute. `mark` is our lease, if we got it; `vector` the stamps from before, None if the result must not be stored."""

    request: Request
    flight: Flight | None
    mark: bytes | None
    vector: bytes | None
    started_us: int


async def obtain(ports: Ports, request: Request) -> Hit | Claim:
    """Return the value, or the duty to compute it.

    Cost: a hit, 1 round trip; a miss, 2 (and 1 for the commit). While somebody else computes, it waits for at most the policy's
    `wait_ms` and then claims without a flight and without storing.
    """
    deadline_us = ports.clock.ticks_us() + 1000 * request.policy.wait_ms
    key = request.names.value
    # Who would take a stale entry must look first; anybody else gains nothing by looking while the entry is being computed.
    seat = ports.flights.follow(key) if not request.policy.stale_ttl_ms else None
    while True:
        if seat is None:
            hit, verdict = await read(ports, request)
            if hit is not None and not hit.stale:
                ports.events.hit(request.owner)
                return hit
            place = ports.flights.enter(key)
            if place is None:
                return _alone(ports, request, verdict.cause)
            if place.leads:
                return await _lead(ports, request, place, verdict, hit, deadline_us)
            if hit is not None:
                ports.events.hit(request.owner, stale=True)
                return hit
            seat = place
        outcome = await ports.flights.wait(seat, (deadline_us - ports.clock.ticks_us()) / 1000)
        if (got := _shared(ports, request, outcome)) is not None:
            return got
        seat = None


def _shared(ports: Ports, request: Request, outcome: Outcome | None) -> Hit | Claim | None:
    """What a follower makes of a flight's end: the value, a duty of its own, or None to look again."""
    if outcome is None or outcome.alone:
        return _alone(ports, request, Cause.BYPASS)
    entry = parse(outcome.envelope) if outcome.envelope is not None else None
    if entry is None:
        return None
    try:
        value = request.values.decode(request.names.value, entry)
    except UndecodablePayload:
        return None
    ports.events.hit(request.owner)
    return Hit(value)


def _alone(ports: Ports, request: Request, cause: Cause | None) -> Claim:
    ports.events.miss(request.owner, cause or Cause.BYPASS)
    return Claim(request, None, None, None, ports.clock.ticks_us())


async def _lead(ports: Ports, request: Request, flight: Flight, verdict: Verdict, hit: Hit | None, deadline_us: int) -> Hit | Claim:
    """Claim the lease, or wait for who has it; whatever happens, the flight is finished or belongs to the claim returned."""
    cost_ms = verdict.entry.cost_us // 1000 if verdict.entry else 0
    mark = ports.token(MARK_BYTES) + cost_ms.to_bytes(4, "little")
    pause_ms = 0.0
    try:
        while True:
            got = await _claim(ports, request, flight, verdict, mark)
            if isinstance(got, Claim):
                return got
            if got and hit is not None:  # somebody computes, and there is a stale value to serve meanwhile
                flight.finish(None)
                ports.events.hit(request.owner, stale=True)
                return hit
            left_ms = (deadline_us - ports.clock.ticks_us()) / 1000
            if left_ms <= 0:
                return _computing(ports, request, flight, Cause.BYPASS)
            if got:
                pause_ms = _next_pause_ms(pause_ms, int.from_bytes(got[MARK_BYTES:], "little"))
                await ports.clock.sleep_ms(min(pause_ms, left_ms))
            flight.mark()
            hit, verdict = await read(ports, request)
            if hit is not None and not hit.stale:
                assert verdict.entry is not None
                flight.finish(verdict.entry.raw)
                ports.events.hit(request.owner)
                return hit
    except BaseException:
        flight.finish(None)
        await _release(ports, request, mark)
        raise


def _next_pause_ms(last_ms: float, cost_ms: int) -> float:
    shortest, longest = POLL_MS
    if not last_ms:
        return max(shortest, cost_ms)
    return shortest if last_ms > longest else min(longest, 2 * last_ms)


async def _claim(ports: Ports, request: Request, flight: Flight, verdict: Verdict, mark: bytes) -> Claim | bytes:
    """Return the claim; or the mark of who holds the lease; or b"" if the entry has changed and must be read again."""
    names, needs, policy = request.names, request.needs, request.policy
    cause = verdict.cause or Cause.EXPIRED
    if cause is Cause.UNAVAILABLE:
        return _computing(ports, request, flight, cause)
    longest_ms = tag_ttl_ms(hard_ttl_ms(policy.ttl_ms, policy.stale_ttl_ms))
    claiming = ClaimOp(names.value, names.lease, verdict.seen, mark, LEASE_MS)
    try:
        answer, *stamps = await ports.store.flight([claiming, *needs.stamping(new_stamps(ports, needs), longest_ms)])
        if isinstance(answer, StoreError):  # full or read-only: nobody can claim, nothing can be stored
            raise answer
    except StoreError as error:
        ports.events.suppressed("claim", error)
        return _computing(ports, request, flight, Cause.UNAVAILABLE)
    if answer[0] == 0:
        return b""
    if answer[0] == 2:
        return bytes(answer[1])
    vector = needs.vector(stamps) if needs.is_storable else None
    return _computing(ports, request, flight, cause, mark, vector)


def _computing(
    ports: Ports, request: Request, flight: Flight, cause: Cause, mark: bytes | None = None, vector: bytes | None = None
) -> Claim:
    ports.events.miss(request.owner, cause)
    flight.mark()
    return Claim(request, flight, mark, vector, ports.clock.ticks_us())


def new_stamps(ports: Ports, needs: Needs) -> list[bytes]:
    """Return a new stamp for each need, in case it has none."""
    tokens = ports.token(STAMP_BYTES * len(needs.tags))
    return [tokens[at : at + STAMP_BYTES] for at in range(0, len(tokens), STAMP_BYTES)]


async def seize(ports: Ports, request: Request) -> Claim:
    """Claim whatever is there and whoever computes: what comes of it will replace both. Cost: 1 round trip."""
    mark, needs, policy = ports.token(MARK_BYTES) + bytes(4), request.needs, request.policy
    longest_ms = tag_ttl_ms(hard_ttl_ms(policy.ttl_ms, policy.stale_ttl_ms))
    vector: bytes | None = None
    try:
        seizing = Seize(request.names.lease, LEASE_MS, mark)
        answer, *stamps = await ports.store.flight([seizing, *needs.stamping(new_stamps(ports, needs), longest_ms)])
        if isinstance(answer, StoreError):
            raise answer
        vector = needs.vector(stamps) if needs.is_storable else None
    except StoreError as error:
        ports.events.suppressed("claim", error)
    return Claim(request, None, mark if vector is not None else None, vector, ports.clock.ticks_us())


async def commit(ports: Ports, claim: Claim, value: Any) -> None:
    """Store the value if the claim still holds, and give it to those who wait. Cost: 1 round trip. Never raises for the server."""
    request, flight = claim.request, claim.flight
    cost_us = ports.clock.ticks_us() - claim.started_us
    ports.events.computed(request.owner, cost_us)
    if flight is None and claim.mark is None:
        return
    envelope: bytes | None = None
    proven = alone = False
    mark = claim.mark
    try:
        ttl_ms = request.policy.ttl_for(value)
        encoded = request.values.encode(value)
        envelope = envelope_of(ports, request, encoded, claim.vector, ttl_ms=ttl_ms, cost_us=cost_us)
        if flight is not None:
            flight.close()
        if mark is not None and claim.vector is not None and ttl_ms != 0:
            proven = await _store(ports, claim, envelope, hard_ttl_ms(ttl_ms, request.policy.stale_ttl_ms))
            mark = None
    except UnencodableValue as error:
        alone = True
        ports.events.unencodable(request.owner, error)
    finally:
        if flight is not None:
            flight.finish(envelope, proven=proven, alone=alone)
        await _release(ports, request, mark)


def envelope_of(ports: Ports, request: Request, encoded: Encoded, vector: bytes | None, *, ttl_ms: int | None, cost_us: int = 0) -> bytes:
    """Return the bytes of a new entry. Without a vector it is fit for followers only."""
    now_ms, needs = ports.clock.now_ms(), request.needs
    prefix = pack_prefix(
        vector or b"",
        flags=(needs.flags if vector else 0) | encoded.flags,
        codec=encoded.codec,
        tags=len(needs.tags) - needs.implicit if vector else 0,
        created_ms=now_ms,
        fresh_until_ms=FOR_EVER if ttl_ms is None else now_ms + ttl_ms,
        cost_us=cost_us,
        schema=request.values.schema,
    )
    return request.values.seal(request.names.value, prefix, encoded)


async def _store(ports: Ports, claim: Claim, envelope: bytes, px_ms: int) -> bool:
    """Commit under the lease. True if that stored it and, after it, every stamp was still what the claim had read."""
    names, needs = claim.request.names, claim.request.needs
    assert claim.mark is not None
    try:
        stored, *stamps = await ports.store.flight((Commit(names.value, names.lease, claim.mark, envelope, px_ms), *needs.reads))
    except StoreError as error:
        stored, stamps = error, []
    if isinstance(stored, StoreError):
        ports.events.suppressed("commit", stored)
        ports.events.not_stored(claim.request.owner, "the server failed")
        return False
    if not stored:
        ports.events.not_stored(claim.request.owner, "invalidated or overtaken meanwhile")
        return False
    return needs.vector(stamps) == claim.vector


async def abandon(ports: Ports, claim: Claim) -> None:
    """Give the claim up: compute raised, was cancelled or interrupted. Who waits takes over. Cost: at most 1 round trip."""
    if claim.flight is not None:
        claim.flight.finish(None)
    await _release(ports, claim.request, claim.mark)


async def _release(ports: Ports, request: Request, mark: bytes | None) -> None:
    if mark is None:
        return
    try:
        replies: Sequence[object] = await ports.store.flight((Abandon(request.names.lease, mark),))
    except StoreUnavailable as error:
        replies = (error,)
    for reply in replies:
        if isinstance(reply, (StoreRefused, StoreUnavailable)):
            ports.events.suppressed("abandon", reply)
