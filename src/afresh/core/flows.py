"""Read, claim, commit, abandon: the protocol of one entry, written once for threads, tasks and step tests.

A caller *obtains*: it ends with a `Hit`, or with a `Claim` and computes. Then it *commits* the value or *abandons* the claim.
The user's compute never runs in here.

Rules, each with the race that it closes:

1. The lease and the stamps are taken before compute. A value computed from what was there before an invalidation then carries an older
   stamp, or finds its lease gone, and is not served.
2. The lease's mark is new for each claim, and a commit stores only under its own mark: a slow compute whose lease lapsed, or whose key
   was invalidated, stores nothing.
3. A claim names what the reader saw. If something else is there by now, the caller looks again.
4. A follower whose call began before the flight's operation started may share its result: it is younger than the call. One whose call
   began later shares it only if the commit, sent after it joined, found lease and stamps unchanged. Others look for themselves, and share
   what the first of them gets; so do those who depend on a tag that the entry does not carry, since nobody has looked at its stamp.
5. What is shared with others is read from the server with all its stamps. Only a caller's own first look may be answered by the near tier,
   or make use of what that holds.
6. Once the server failed, a call asks it nothing more: it computes, stores nothing, and followers share by rule 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from afresh.core.commits import Claim, abandon, commit, release
from afresh.core.decide import Cause, Verdict
from afresh.core.envelope import parse
from afresh.core.ops import Claim as ClaimOp, Seize, Stamp
from afresh.core.policy import POLL_MS, tag_ttl_ms
from afresh.core.ports import Flight, Outcome, Ports
from afresh.core.reads import Hit, Request, fetch, fetch_many, fill_token, hit_of, read
from afresh.core.stamps import STAMP_BYTES, Needs
from afresh.errors import StoreError, UndecodablePayload

__all__ = ["Claim", "abandon", "commit", "new_stamps", "obtain", "obtain_many", "seize"]

MARK_BYTES = 8
# What makes a lease useless, since what is computed will not be stored: it would only keep other processes waiting.
_UNSTORED = frozenset((Cause.UNAVAILABLE, Cause.DIRTY))


async def obtain(ports: Ports, request: Request) -> Hit | Claim:
    """Return the value, or the duty to compute it.

    Cost: a hit, 1 round trip; a miss, 2 (and 1 for the commit). While somebody else computes, it waits for at most the policy's
    `wait_ms` and then claims without a flight and without storing.
    """
    deadline_us = ports.clock.ticks_us() + 1000 * request.policy.wait_ms
    key, arrived = request.names.value, ports.flights.arrive()
    # Who would take a stale entry must look first; anybody else gains nothing by looking while the entry is being computed.
    seat = ports.flights.follow(key, arrived) if not request.policy.stale_ttl_ms else None
    while True:
        if seat is None:
            hit, verdict = await fetch(ports, request)
            if hit is not None and not hit.stale:
                ports.events.hit(request.owner, near=hit.near)
                return hit
            place = ports.flights.enter(key, arrived)
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
    if entry is None or entry.schema != request.values.schema or not request.needs.are_covered_by(entry):
        return None
    try:
        hit = hit_of(request, entry)
    except UndecodablePayload:
        return None
    ports.events.hit(request.owner)
    return hit


def _alone(ports: Ports, request: Request, cause: Cause | None) -> Claim:
    ports.events.miss(request.owner, cause or Cause.BYPASS)
    return Claim(request, None, None, None, ports.clock.ticks_us())


async def _lead(ports: Ports, request: Request, flight: Flight, verdict: Verdict, hit: Hit | None, deadline_us: int) -> Hit | Claim:
    """Claim the lease, or wait for who has it; whatever happens, the flight is finished or belongs to the claim returned."""
    mark = _new_mark(ports, verdict)
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
    except GeneratorExit:  # a coroutine that is being closed must not suspend: the lease, if there is one, lapses
        flight.finish(None)
        raise
    except BaseException:
        flight.finish(None)
        await release(ports, [Claim(request, None, mark, None, 0)])
        raise


def _new_mark(ports: Ports, verdict: Verdict) -> bytes:
    """Return a claim's mark: a number of its own, and what the last compute took in ms, for those who will wait."""
    cost_ms = verdict.entry.cost_us // 1000 if verdict.entry else 0
    return ports.token(MARK_BYTES) + cost_ms.to_bytes(4, "little")


def _next_pause_ms(last_ms: float, cost_ms: int) -> float:
    shortest, longest = POLL_MS
    if not last_ms:
        return max(shortest, cost_ms)
    return shortest if last_ms > longest else min(longest, 2 * last_ms)


async def _claim(ports: Ports, request: Request, flight: Flight, verdict: Verdict, mark: bytes) -> Claim | bytes:
    """Return the claim; or the mark of who holds the lease; or b"" if the entry has changed and must be read again."""
    return (await _claim_many(ports, [(request, flight, verdict, mark)]))[0]


async def _claim_many(ports: Ports, wanted: Sequence[tuple[Request, Flight, Verdict, bytes]]) -> list[Claim | bytes]:
    """Claim for several requests of one policy, in one write."""
    claiming = {
        request.names.value: ClaimOp(request.names.value, request.names.lease, verdict.seen, mark, ports.lease_ms)
        for request, _, verdict, mark in wanted
        if verdict.cause not in _UNSTORED
    }
    stamping = {op.key: op for request, _, _, _ in wanted for op in _stamping(ports, request) if request.names.value in claiming}
    token = fill_token(ports, wanted[0][0])
    asked: list[str] = [*claiming, *stamping]
    replies: Sequence[object]
    try:
        replies = await ports.store.flight([*claiming.values(), *stamping.values()]) if asked else ()
    except StoreError as error:
        replies = [error] * len(asked)
    told = dict(zip(asked, replies, strict=True))
    return [_claimed(ports, *each, told, token) for each in wanted]


def _claimed(
    ports: Ports, request: Request, flight: Flight, verdict: Verdict, mark: bytes, told: Mapping[str, object], token: Any
) -> Claim | bytes:
    answer = told.get(request.names.value)
    if isinstance(answer, StoreError):  # full or read-only, or not there: nobody can claim, nothing can be stored
        ports.events.suppressed("claim", answer)
    if not isinstance(answer, list):
        return _computing(ports, request, flight, Cause.DIRTY if verdict.cause is Cause.DIRTY else Cause.UNAVAILABLE)
    if answer[0] == 1:
        needs = request.needs
        vector = needs.vector([told[tag.key] for tag in needs.tags]) if needs.is_storable else None
        return _computing(ports, request, flight, verdict.cause or Cause.EXPIRED, mark, vector, token)
    return bytes(answer[1]) if answer[0] == 2 else b""


def _stamping(ports: Ports, request: Request) -> list[Stamp]:
    px_ms = tag_ttl_ms(request.policy.longest_ttl_ms, request.policy.stale_ttl_ms)
    return request.needs.stamping(new_stamps(ports, request.needs), px_ms)


def _computing(
    ports: Ports, request: Request, flight: Flight, cause: Cause, mark: bytes | None = None, vector: bytes | None = None, token: Any = None
) -> Claim:
    ports.events.miss(request.owner, cause)
    flight.mark()
    return Claim(request, flight, mark, vector, ports.clock.ticks_us(), token)


def new_stamps(ports: Ports, needs: Needs) -> list[bytes]:
    """Return a new stamp for each need, in case it has none."""
    tokens = ports.token(STAMP_BYTES * len(needs.tags))
    return [tokens[at : at + STAMP_BYTES] for at in range(0, len(tokens), STAMP_BYTES)]


async def seize(ports: Ports, request: Request) -> Claim:
    """Claim whatever is there and whoever computes: what comes of it will replace both. Cost: 1 round trip."""
    mark, needs = ports.token(MARK_BYTES) + bytes(4), request.needs
    vector: bytes | None = None
    token = fill_token(ports, request)
    try:
        answer, *stamps = await ports.store.flight([Seize(request.names.lease, ports.lease_ms, mark), *_stamping(ports, request)])
        if isinstance(answer, StoreError):
            raise answer
        vector = needs.vector(stamps) if needs.is_storable else None
    except StoreError as error:
        ports.events.suppressed("claim", error)
    return Claim(request, None, mark if vector is not None else None, vector, ports.clock.ticks_us(), token)


async def obtain_many(ports: Ports, requests: Sequence[Request]) -> list[Hit | Claim | None]:
    """Return a value, a duty to compute, or None, for each of several requests of one policy.

    None is for what somebody else computes: after one's own computing, `obtain` it. Nobody waits in here, so no two batches wait for
    each other.

    Cost: 1 round trip if all are hits, otherwise 2.
    """
    arrived = ports.flights.arrive()
    got: list[Hit | Claim | None] = []
    wanted: list[tuple[Request, Flight, Verdict, bytes]] = []
    for request, (hit, verdict) in zip(requests, await fetch_many(ports, requests), strict=True):
        place = None if hit is not None and not hit.stale else ports.flights.enter(request.names.value, arrived)
        if place is not None and place.leads:
            wanted.append((request, place, verdict, _new_mark(ports, verdict)))
            got.append(None)
        elif hit is not None:
            ports.events.hit(request.owner, stale=hit.stale, near=hit.near)
            got.append(hit)
        else:
            got.append(_alone(ports, request, verdict.cause) if place is None else None)
    claimed = await _claim_or_leave(ports, wanted)
    return [claimed.get(request.names.value, each) for request, each in zip(requests, got, strict=True)]


async def _claim_or_leave(ports: Ports, wanted: Sequence[tuple[Request, Flight, Verdict, bytes]]) -> dict[str, Claim]:
    """Claim what can be claimed at once, by value key; end the other flights."""
    if not wanted:
        return {}
    try:
        answers = await _claim_many(ports, wanted)
    except BaseException:
        for _, flight, _, _ in wanted:
            flight.finish(None)
        await release(ports, [Claim(request, None, mark, None, 0) for request, _, _, mark in wanted])
        raise
    claims: dict[str, Claim] = {}
    for (request, flight, _, _), answer in zip(wanted, answers, strict=True):
        if isinstance(answer, Claim):
            claims[request.names.value] = answer
        else:
            flight.finish(None)
    return claims
