"""Read, claim, commit, abandon: the protocol of one entry, written once for threads, tasks and step tests.

A caller *obtains*: it ends with a `Hit`, or with a `Claim` and computes, or with a claim that somebody is to compute `Behind` it. Then
the value is *committed* or the claim *abandoned*. The user's compute never runs in here.

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
6. Once the server failed, a call asks it nothing more: it computes, stores nothing, and followers share by rule 4. Who has something to
   serve does not even compute.
7. Who looks may do so for others (rule 4: for those whose calls began before the look). They wait for the server then, so what they waited
   is spent of their budget. Where nothing is found, the same flight goes on to compute.
8. A failure counts only under the stamps that its compute began with (core/failures.py), and is shared by rule 4 as values are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from afresh.core.batches import fetch_many
from afresh.core.budget import is_told, one_call, spent_us
from afresh.core.commits import Behind, Claim, abandon, commit, release
from afresh.core.decide import Cause, State, Verdict, fresh_for_ms, is_kept
from afresh.core.envelope import Entry, parse
from afresh.core.failures import MARK_BYTES, digest_of, is_failure, refusal
from afresh.core.ops import Abandon, Claim as ClaimOp, Get, Seize, Stamp
from afresh.core.policy import POLL_MS, pause_after_ms, tag_ttl_ms
from afresh.core.ports import Flight, Outcome, Ports, Seat
from afresh.core.reads import Hit, Request, fetch_for, fill_token, hit_kept, hit_of, read
from afresh.core.stamps import STAMP_BYTES, Needs
from afresh.errors import ComputeTimeout, StoreError, UndecodablePayload

__all__ = ["Behind", "Claim", "abandon", "commit", "new_stamps", "obtain", "obtain_many", "seize"]

# The part of a mark that is the claim's own; the rest is what the last compute took.
_NUMBER_BYTES = 8
# What makes a lease useless, since what is computed will not be stored: it would only keep other processes waiting.
_UNSTORED = frozenset((Cause.UNAVAILABLE, Cause.DIRTY, Cause.WITHHELD))


async def obtain(ports: Ports, request: Request) -> Hit | Claim | Behind:
    """Return the value, or the duty to compute it.

    Cost: a hit, 1 round trip; a miss, 2 (and 1 for the commit). While somebody else computes, it waits for at most the policy's
    `wait_ms` and then claims without a flight and without storing.

    Raises:
        ComputeBackingOff: if a compute raised a moment ago, and there is nothing to serve.
        ComputeTimeout: if somebody else's compute takes longer than this call waits for any.
    """
    asked_us = ports.clock.ticks_us() - spent_us(ports)
    deadline_us = asked_us + 1000 * request.policy.longest_wait_ms
    flights, key, arrived = ports.flights, request.names.value, ports.flights.arrive()
    place = None if is_told(ports) else flights.look(key, arrived)  # who was told has looked alone
    while True:
        if place is None or place.leads:
            hit, verdict = await fetch_for(ports, request, place)
            if hit is not None and verdict.state is State.FRESH:
                return _served(ports, request, hit)
            if not spent_us(ports):
                ports = one_call(ports, ports.clock.ticks_us() - asked_us)
            place = _enter(ports, request, place, arrived, hit)
            if place is not None and place.leads:
                return await _lead(ports, _Wanted(request, place, verdict, _new_mark(ports, verdict), hit), deadline_us)
            if hit is not None:
                return _served(ports, request, hit)
            if place is None:
                return _alone(ports, request, verdict.cause)
        outcome = await flights.wait(place, (deadline_us - ports.clock.ticks_us()) / 1000)
        if outcome is None:
            return await _waited(ports, request) or _alone(ports, request, Cause.BYPASS)
        if (got := _shared(ports, request, outcome)) is not None:
            return got
        asked_us = asked_us if outcome.looked else ports.clock.ticks_us()
        ports = one_call(ports, ports.clock.ticks_us() - asked_us)
        place = flights.look(key, arrived) if outcome.envelope is None else None


def _enter(ports: Ports, request: Request, look: Flight | None, arrived: int, hit: Hit | None) -> Flight | Seat | None:
    """Return the flight that computes, a place in it, or None; a look that we led is over, or is this flight."""
    place = ports.flights.enter(request.names.value, arrived, refreshes=hit is not None, look=look)
    if look is not None and place is not look:
        look.finish(None)
    return place


async def _waited(ports: Ports, request: Request) -> Hit | None:
    """Return what a caller gets whose time is up: None if it may compute for itself.

    Raises:
        ComputeTimeout: if it may not, and there is nothing to serve.
    """
    if request.policy.compute_timeout_ms is None:
        return None
    hit, verdict = await read(ports, request)
    if hit is None and (entry := _kept(ports, request, verdict)) is not None:
        hit = hit_kept(request, entry)
    if hit is None:
        ports.events.miss(request.owner, Cause.BYPASS)
        raise ComputeTimeout(request.owner, request.policy.compute_timeout_ms / 1000)
    return _served(ports, request, hit)


def _served(ports: Ports, request: Request, hit: Hit) -> Hit:
    ports.events.hit(request.owner, stale=hit.stale, near=hit.near)
    return hit


def _shared(ports: Ports, request: Request, outcome: Outcome) -> Hit | Claim | Behind | None:
    """What a follower makes of a flight's end: the value, a duty of its own, or None to look again."""
    if outcome.alone:
        return _alone(ports, request, Cause.BYPASS)
    if outcome.envelope is None:
        return None
    if is_failure(outcome.envelope):
        ports.events.miss(request.owner, Cause.BACKING_OFF)
        raise refusal(request.owner, outcome.envelope)
    entry = parse(outcome.envelope)
    if entry is None or entry.schema != request.values.schema or not request.needs.are_covered_by(entry):
        return None
    try:
        hit = hit_of(request, entry)
    except UndecodablePayload:
        return None
    hit.stale = entry.created_ms < entry.fresh_until_ms <= (now_ms := ports.clock.now_ms())
    if outcome.looked and hit.stale and fresh_for_ms(entry, now_ms) + request.policy.stale_ttl_ms <= 0:
        return None
    return _served(ports, request, hit)


def _alone(ports: Ports, request: Request, cause: Cause | None) -> Claim | Behind:
    return _duty(ports, Claim(request, None, None, None, ports.clock.ticks_us(), spent_us=spent_us(ports)), cause or Cause.BYPASS)


def _duty(ports: Ports, claim: Claim, cause: Cause, hit: Hit | None = None) -> Claim | Behind:
    """Return the claim for the caller to compute, or to have it computed behind it, as its policy says."""
    request = claim.request
    policy = request.policy
    if hit is not None and policy.refresh_wait_ms is not None:
        return Behind(claim, _served(ports, request, hit), policy.refresh_wait_ms)
    ports.events.miss(request.owner, cause)
    return claim if policy.compute_timeout_ms is None else Behind(claim, None, policy.compute_timeout_ms)


async def _lead(ports: Ports, wanted: _Wanted, deadline_us: int) -> Hit | Claim | Behind:
    """Claim the lease, or wait for who has it; whatever happens, the flight is finished or belongs to the claim returned."""
    request, flight = wanted.request, wanted.flight
    try:
        got = await _claim_or_serve(ports, wanted, deadline_us)
    except GeneratorExit:  # a coroutine that is being closed must not suspend
        flight.finish(None)
        ports.lost.append(Abandon(request.names.lease, wanted.mark))
        raise
    except BaseException:
        flight.finish(None)
        await release(ports, [Claim(request, None, wanted.mark, None, 0, lost=ports.lost)])
        raise
    if isinstance(got, bytes):
        ports.events.miss(request.owner, Cause.BACKING_OFF)
        raise refusal(request.owner, got)
    return got


async def _claim_or_serve(ports: Ports, wanted: _Wanted, deadline_us: int) -> Hit | Claim | Behind | bytes:
    """Do what `_lead` does; where a compute failed a moment ago, return the entry to serve, or the record of the failure."""
    request, flight = wanted.request, wanted.flight
    looked_for_all = False  # since the calls began that take part in the flight
    while True:
        got = await _claim(ports, wanted)
        hit = wanted.hit
        if hit is not None and got and not (isinstance(got, Claim) and got.mark is not None):
            flight.finish(None)  # somebody else computes, or nobody could store
            return _served(ports, request, hit)
        if isinstance(got, Claim):
            return _duty(ports, got, _cause(got, wanted.verdict), hit)
        left_ms, looking = (deadline_us - ports.clock.ticks_us()) / 1000, ports
        if is_failure(got):
            if looked_for_all:
                return _backed_off(ports, wanted, got)
        elif left_ms <= 0:
            if (served := await _waited(ports, request)) is not None:
                flight.finish(None)
                return served
            return _duty(ports, _computing(ports, wanted), Cause.BYPASS)
        elif got:
            await _outwait(ports, request, got, deadline_us)
            looking = one_call(ports, spent_us(ports))  # to look whether somebody else is done is to wait
        flight.mark()
        looked_for_all = True
        hit, verdict = await read(looking, request)
        if hit is not None and not hit.stale:
            assert verdict.entry is not None
            flight.finish(verdict.entry.raw)
            return _served(ports, request, hit)
        wanted = wanted._replace(verdict=verdict, hit=hit)


def _backed_off(ports: Ports, wanted: _Wanted, record: bytes) -> Hit | bytes:
    """Share the old entry that may be served where a compute failed, or the failure."""
    entry = _kept(ports, wanted.request, wanted.verdict)
    hit = None if entry is None else hit_kept(wanted.request, entry)
    if entry is None or hit is None:
        wanted.flight.finish(record)
        return record
    wanted.flight.finish(entry.raw)
    return _served(ports, wanted.request, hit)


def _kept(ports: Ports, request: Request, verdict: Verdict) -> Entry | None:
    return verdict.entry if is_kept(verdict, now_ms=ports.clock.now_ms(), kept_ms=request.policy.stale_if_error_ms) else None


def _new_mark(ports: Ports, verdict: Verdict) -> bytes:
    """Return a claim's mark: a number of its own, and what the last compute took in ms, for those who will wait."""
    cost_ms = verdict.entry.cost_us // 1000 if verdict.entry else 0
    return ports.token(_NUMBER_BYTES) + cost_ms.to_bytes(MARK_BYTES - _NUMBER_BYTES, "little")


async def _outwait(ports: Ports, request: Request, mark: bytes, deadline_us: int) -> None:
    """Sleep until this mark does not hold the lease any more, or the time is up. Cost: 1 command for each look."""
    began_us = ports.clock.ticks_us()
    cost_ms = int.from_bytes(mark[_NUMBER_BYTES:], "little")
    pause_ms: float = max(POLL_MS[0], cost_ms)
    while (left_ms := (deadline_us - ports.clock.ticks_us()) / 1000) > 0:
        await ports.clock.sleep_ms(min(pause_ms, left_ms))
        looking = one_call(ports, spent_us(ports))
        try:
            (held,) = await looking.store.flight((Get(request.names.lease),))
        except StoreError:
            return
        if held != mark:
            return
        pause_ms = pause_after_ms((ports.clock.ticks_us() - began_us) / 1000 - cost_ms)


class _Wanted(NamedTuple):
    """What a leader claims: under which mark, and what it could serve instead."""

    request: Request
    flight: Flight
    verdict: Verdict
    mark: bytes
    hit: Hit | None


async def _claim(ports: Ports, wanted: _Wanted) -> Claim | bytes:
    """Return the claim; or the mark of who holds the lease; or b"" if the entry has changed and must be read again."""
    return (await _claim_many(ports, [wanted]))[0]


async def _claim_many(ports: Ports, wanted: Sequence[_Wanted]) -> list[Claim | bytes]:
    """Claim for several requests of one policy, in one write."""
    claiming = {
        request.names.value: ClaimOp(
            request.names.value, request.names.lease, verdict.seen, mark, ports.lease_ms, digest_of(verdict.vector)
        )
        for request, _, verdict, mark, _ in wanted
        if verdict.cause not in _UNSTORED
    }
    stamping = {op.key: op for each in wanted for op in _stamping(ports, each.request) if each.request.names.value in claiming}
    token = fill_token(ports)
    asked: list[str] = [*claiming, *stamping]
    replies: Sequence[object]
    lost = ports.take_lost() if asked else []
    try:
        replies = (await ports.store.flight([*lost, *claiming.values(), *stamping.values()]))[len(lost) :] if asked else ()
    except StoreError as error:
        replies = [error] * len(asked)
    told = dict(zip(asked, replies, strict=True))
    return [_claimed(ports, each, told, token) for each in wanted]


def _claimed(ports: Ports, wanted: _Wanted, told: Mapping[str, object], token: Any) -> Claim | bytes:
    answer, needs = told.get(wanted.request.names.value), wanted.request.needs
    _tell(ports, [answer, *[told.get(tag.key) for tag in needs.tags]])
    if not isinstance(answer, list):
        return _computing(ports, wanted)
    if answer[0] == 1:
        vector = needs.vector([told[tag.key] for tag in needs.tags]) if needs.is_storable else None
        return _computing(ports, wanted, wanted.mark, vector, token)
    return bytes(answer[1]) if answer[0] == 2 else b""


def _tell(ports: Ports, replies: Iterable[object]) -> None:
    """Tell of a refusal: the server is full, read-only or not there, or a name is somebody else's. Nothing can be stored then."""
    refusal = next((reply for reply in replies if isinstance(reply, StoreError)), None)
    if refusal is not None:
        ports.events.suppressed("claim", refusal)


def _computing(ports: Ports, wanted: _Wanted, mark: bytes | None = None, vector: bytes | None = None, token: Any = None) -> Claim:
    wanted.flight.mark()
    kept = _kept(ports, wanted.request, wanted.verdict)
    spent = spent_us(ports)
    claim = Claim(wanted.request, wanted.flight, mark, vector, ports.clock.ticks_us(), token, kept, lost=ports.lost, spent_us=spent)
    wanted.flight.carry(claim)
    return claim


def _cause(claim: Claim, verdict: Verdict) -> Cause:
    if claim.mark is None:
        return verdict.cause if verdict.cause in {Cause.DIRTY, Cause.WITHHELD} else Cause.UNAVAILABLE
    return verdict.cause or Cause.EXPIRED


def _stamping(ports: Ports, request: Request) -> list[Stamp]:
    px_ms = tag_ttl_ms(request.policy.longest_ttl_ms, request.policy.kept_ms)
    return request.needs.stamping(new_stamps(ports, request.needs), px_ms)


def new_stamps(ports: Ports, needs: Needs) -> list[bytes]:
    """Return a new stamp for each need, in case it has none."""
    tokens = ports.token(STAMP_BYTES * len(needs.tags))
    return [tokens[at : at + STAMP_BYTES] for at in range(0, len(tokens), STAMP_BYTES)]


async def seize(ports: Ports, request: Request) -> Claim:
    """Claim whatever is there and whoever computes: what comes of it will replace both. Cost: 1 round trip."""
    mark, needs = ports.token(_NUMBER_BYTES) + bytes(MARK_BYTES - _NUMBER_BYTES), request.needs
    lease: bytes | None = mark
    ports = one_call(ports)
    vector: bytes | None = None
    token = fill_token(ports)
    try:
        answer, *stamps = await ports.store.flight([Seize(request.names.lease, ports.lease_ms, mark), *_stamping(ports, request)])
        if isinstance(answer, StoreError):
            raise answer
        _tell(ports, stamps)
        vector = needs.vector(stamps) if needs.is_storable else None
    except StoreError as error:
        lease = None
        ports.events.suppressed("claim", error)
    spent = spent_us(ports)
    return Claim(request, None, lease, vector, ports.clock.ticks_us(), token, replaces=True, lost=ports.lost, spent_us=spent)


async def obtain_many(ports: Ports, requests: Sequence[Request]) -> list[Hit | Claim | Behind | None]:
    """Return a value, a duty to compute, or None, for each of several requests of one policy.

    None is for what somebody else computes: after one's own computing, `obtain` it. Nobody waits in here, so no two batches wait for
    each other.

    Cost: 1 round trip if all are hits, otherwise 2.
    """
    arrived, asked_us = ports.flights.arrive(), ports.clock.ticks_us()
    got: list[Hit | Claim | Behind | None] = []
    wanted: list[_Wanted] = []
    for request, (hit, verdict) in zip(requests, await fetch_many(ports, requests), strict=True):
        place = None
        if hit is None or hit.stale:
            place = ports.flights.enter(request.names.value, arrived, refreshes=hit is not None)
        if place is not None and place.leads:
            wanted.append(_Wanted(request, place, verdict, _new_mark(ports, verdict), hit))
            got.append(None)
        elif hit is not None:
            got.append(_served(ports, request, hit))
        else:
            got.append(_alone(ports, request, verdict.cause) if place is None else None)
    if not wanted:
        return got
    claimed = await _claim_or_leave(one_call(ports, ports.clock.ticks_us() - asked_us), wanted)
    return [claimed.get(request.names.value, each) for request, each in zip(requests, got, strict=True)]


async def _claim_or_leave(ports: Ports, wanted: Sequence[_Wanted]) -> dict[str, Hit | Claim | Behind]:
    """Claim what can be claimed at once, or serve what is there, by value key; end the other flights."""
    try:
        answers = await _claim_many(ports, wanted)
    except BaseException:
        for each in wanted:
            each.flight.finish(None)
        await release(ports, [Claim(each.request, None, each.mark, None, 0, lost=ports.lost) for each in wanted])
        raise
    got: dict[str, Hit | Claim | Behind] = {}
    for each, answer in zip(wanted, answers, strict=True):
        request, hit = each.request, each.hit
        if isinstance(answer, Claim) and (answer.mark is not None or hit is None):
            got[request.names.value] = _duty(ports, answer, _cause(answer, each.verdict), hit)
            continue
        each.flight.finish(None)
        if hit is not None:
            got[request.names.value] = _served(ports, request, hit)
    return got
