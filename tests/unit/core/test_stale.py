"""Freshness, failures and time-outs, flow by flow: what a caller gets, and what is left behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from afresh.core import flows, ops
from afresh.core.commits import Behind, Claim, commit, fail
from afresh.core.decide import Cause
from afresh.core.failures import digest_of, failure_record, is_failure, refusal
from afresh.core.reads import Hit, Request, hit_kept
from afresh.core.writes import Target, expire
from afresh.errors import ComputeBackingOff, ComputeTimeout, StoreRefused, StoreUnavailable
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import Scripted, a_request

DOWN = StoreUnavailable("down")
FULL = StoreRefused("OOM", "full")
STRANGER = b"stranger" + (30).to_bytes(4, "little")
TTL_MS = 60_000
BEHIND: dict[str, Any] = {"stale_ttl_ms": 60_000, "refresh_wait_ms": 0}
KEPT: dict[str, Any] = {"stale_if_error_ms": 60_000, "backoff_ms": 1000}


@pytest.fixture
def world() -> Scripted:
    return Scripted()


def obtain(world: Scripted, request: Request) -> Hit | Claim | Behind:
    return run_now(flows.obtain(world.ports, request))


def compute(world: Scripted, request: Request, value: object) -> None:
    got = obtain(world, request)
    claim = got.claim if isinstance(got, Behind) else got
    assert isinstance(claim, Claim)
    run_now(commit(world.ports, claim, value))


def age(world: Scripted, request: Request, age_ms: int = TTL_MS) -> None:
    """Have an entry that is so old."""
    compute(world, request, "old")
    world.now += age_ms


def lease_of(world: Scripted, request: Request) -> Any:
    return world.ask(ops.Get(request.names.lease))


def causes(world: Scripted) -> dict[str, int]:
    return dict(world.tallies.stats("f").misses)


# --- behind the caller ---------------------------------------------------------------------------------------------
def test_who_finds_it_stale_is_served_and_has_it_computed_behind(world: Scripted) -> None:
    request = a_request(**BEHIND)
    age(world, request)

    duty = obtain(world, request)

    assert isinstance(duty, Behind)
    assert (duty.hit, duty.wait_ms) == (Hit("old", stale=True), 0)
    assert causes(world) == {"cold": 1}, "to be served is no miss"
    assert obtain(world, request) == Hit("old", stale=True), "the others are served alone"
    run_now(commit(world.ports, duty.claim, "new"))
    assert obtain(world, request) == Hit("new")
    assert world.is_idle


@pytest.mark.parametrize("error", [DOWN, FULL])
def test_who_has_something_to_serve_does_not_compute_what_cannot_be_stored(world: Scripted, error: Exception) -> None:
    request = a_request(**BEHIND)
    age(world, request)
    (world.failing if error is DOWN else world.refusing)[ops.Claim] = error

    assert obtain(world, request) == Hit("old", stale=True)
    assert run_now(flows.obtain_many(world.ports, [request])) == [Hit("old", stale=True)]
    assert world.is_idle


def test_of_a_batch_what_is_stale_is_computed_behind(world: Scripted) -> None:
    stale, missing = a_request(**BEHIND), a_request("f:f:2", **BEHIND)
    age(world, stale)

    behind, claim = run_now(flows.obtain_many(world.ports, [stale, missing]))

    assert isinstance(behind, Behind)
    assert behind.hit == Hit("old", stale=True)
    assert isinstance(claim, Claim)


def test_a_flight_that_refreshes_is_not_followed_but_looked_past(world: Scripted) -> None:
    request = a_request(**BEHIND)
    age(world, request)
    duty = obtain(world, request)
    assert isinstance(duty, Behind)
    world.asked.clear()

    assert obtain(world, request) == Hit("old", stale=True)
    assert [type(op) for op in world.asked if not isinstance(op, ops.Get)] == []

    world.ask(ops.Unlink(request.names.value))
    threading.Timer(0.02, lambda: run_now(commit(world.ports, duty.claim, "new"))).start()
    assert obtain(world, request) == Hit("new"), "where nothing is left to serve, it is waited for"


def test_by_chance_an_entry_is_refreshed_before_its_ttl_is_over(world: Scripted) -> None:
    world.chance = 1e-9
    request = a_request(early_refresh=True)
    claim = obtain(world, request)
    assert isinstance(claim, Claim)
    world.now += 200
    run_now(commit(world.ports, claim, "old"))

    world.now += TTL_MS * 9 // 10 - 1
    assert obtain(world, request) == Hit("old"), "not before its last tenth"
    world.now += TTL_MS // 10 - 200
    early = obtain(world, request)
    assert isinstance(early, Claim)
    assert obtain(world, request) == Hit("old"), "the others notice nothing"
    assert early.kept is not None
    kept = hit_kept(request, early.kept)
    assert kept is not None
    assert kept.value == "old", "nor does this one, should its compute raise"
    run_now(flows.abandon(world.ports, early))


# --- computes that fail --------------------------------------------------------------------------------------------
def test_a_failure_holds_back_those_who_would_compute_under_the_same_stamps(world: Scripted) -> None:
    request = a_request(backoff_ms=1000)
    claim = obtain(world, request)
    assert isinstance(claim, Claim)
    run_now(fail(world.ports, claim, LookupError()))

    with pytest.raises(ComputeBackingOff) as caught:
        obtain(world, request)
    assert (caught.value.function, caught.value.raised) == ("f", "builtins.LookupError")
    assert causes(world) == {"cold": 1, "backing off": 1}
    assert world.is_idle

    world.now += 1000
    assert isinstance(obtain(world, request), Claim), "the back-off is over"


def test_a_failure_holds_nobody_back_once_something_was_invalidated(world: Scripted) -> None:
    request = a_request(backoff_ms=1000)
    claim = obtain(world, request)
    assert isinstance(claim, Claim)
    run_now(fail(world.ports, claim, LookupError()))
    world.ask(ops.Unlink(request.needs.tags[-1].key))

    assert isinstance(obtain(world, request), Claim)


def test_an_old_entry_is_served_while_a_failure_holds_back(world: Scripted) -> None:
    request = a_request(**KEPT)
    age(world, request)
    claim = obtain(world, request)
    assert isinstance(claim, Claim)
    assert claim.kept is not None
    run_now(fail(world.ports, claim, LookupError()))

    assert obtain(world, request) == Hit("old", stale=True)
    world.now += 500
    assert obtain(world, request) == Hit("old", stale=True)
    assert world.tallies.stats("f").stale_hits == 2


def test_an_old_entry_that_does_not_decode_is_none(world: Scripted) -> None:
    request = a_request(**KEPT)
    age(world, request)
    raw = world.ask(ops.Get(request.names.value))
    world.ask(ops.Put(request.names.value, "elsewhere", raw[:-3] + b"\xc1\xc1\xc1", 10**9))
    claim = obtain(world, request)
    assert isinstance(claim, Claim)
    assert claim.kept is not None
    assert hit_kept(request, claim.kept) is None
    run_now(fail(world.ports, claim, LookupError()))

    with pytest.raises(ComputeBackingOff):
        obtain(world, request)


def test_beyond_stale_if_error_nothing_is_kept(world: Scripted) -> None:
    request = a_request(**KEPT)
    age(world, request, 2 * TTL_MS)
    claim = obtain(world, request)

    assert isinstance(claim, Claim)
    assert claim.kept is None


def test_followers_share_the_failure_of_a_compute_that_began_after_them(world: Scripted) -> None:
    request = a_request(backoff_ms=1000)
    claim = obtain(world, request)
    assert isinstance(claim, Claim)
    assert claim.flight is not None
    raised: list[Exception] = []

    def follow() -> None:
        try:
            obtain(world, request)
        except ComputeBackingOff as error:
            raised.append(error)

    following = threading.Thread(target=follow)
    following.start()
    while not claim.flight.cabin.seats:
        pass
    claim.flight.mark()
    run_now(fail(world.ports, claim, LookupError()))
    following.join()

    assert [type(error) for error in raised] == [ComputeBackingOff]


@pytest.mark.parametrize("how", ["overtaken", "down", "refused", "unstored"])
def test_a_failure_that_cannot_be_recorded_holds_nobody_back(world: Scripted, how: str) -> None:
    request = a_request(backoff_ms=1000)
    claim = obtain(world, request)
    assert isinstance(claim, Claim)
    if how == "overtaken":
        world.ask(ops.Seize(request.names.lease, 10**6, STRANGER))
    elif how == "down":
        world.failing[ops.Fail] = DOWN
    elif how == "refused":
        world.refusing[ops.Fail] = FULL
    else:
        claim.vector = None
    run_now(fail(world.ports, claim, LookupError()))

    held = lease_of(world, request)
    assert held == {"overtaken": STRANGER, "unstored": None}.get(how, claim.mark)
    assert world.is_idle


def test_a_failure_without_a_flight_is_recorded_as_well(world: Scripted) -> None:
    request = a_request(backoff_ms=1000)
    claim = run_now(flows.seize(world.ports, request))
    run_now(fail(world.ports, claim, LookupError()))

    assert is_failure(lease_of(world, request))


def test_a_record_says_what_was_raised_and_is_no_mark() -> None:
    record = failure_record(b"stamps", KeyError("a secret"))

    assert is_failure(record)
    assert not is_failure(STRANGER)
    assert not is_failure(b"F:too-short.")
    assert record[2:10] == digest_of(b"stamps") != digest_of(b"others")
    assert digest_of(None) == b""
    assert refusal("f", record).raised == "builtins.KeyError"
    assert b"secret" not in record


# --- computes that take long ---------------------------------------------------------------------------------------
def test_a_bounded_compute_runs_behind_a_caller_that_waits_for_it(world: Scripted) -> None:
    duty = obtain(world, a_request(compute_timeout_ms=100))

    assert isinstance(duty, Behind)
    assert (duty.hit, duty.wait_ms) == (None, 100)
    assert causes(world) == {"cold": 1}


def test_who_waits_for_anothers_bounded_compute_waits_no_longer_than_for_its_own(world: Scripted) -> None:
    request = a_request(compute_timeout_ms=20)
    world.ask(ops.Seize(request.names.lease, 10**9, STRANGER))

    with pytest.raises(ComputeTimeout) as caught:
        obtain(world, request)

    assert (caught.value.function, caught.value.timeout_s) == ("f", 0.02)
    assert world.is_idle
    assert lease_of(world, request) == STRANGER


def test_who_has_waited_is_served_what_there_is(world: Scripted) -> None:
    request = a_request(compute_timeout_ms=20, stale_if_error_ms=60_000)
    age(world, request)
    world.ask(ops.Seize(request.names.lease, 10**9, STRANGER))

    assert obtain(world, request) == Hit("old", stale=True)
    assert world.is_idle


def test_a_follower_that_has_waited_is_served_or_told(world: Scripted) -> None:
    request = a_request(compute_timeout_ms=1)
    duty = obtain(world, request)
    assert isinstance(duty, Behind)
    assert duty.claim.flight is not None
    duty.claim.flight.hand_over()

    with pytest.raises(ComputeTimeout):
        obtain(world, request)


# --- expire, and a lease that is waited for ------------------------------------------------------------------------
def test_what_is_expired_is_stale_and_no_older_compute_undoes_that(world: Scripted) -> None:
    request = a_request(**BEHIND)
    compute(world, request, "old")
    elsewhere = Scripted()
    elsewhere.memory = world.memory
    older = run_now(flows.seize(elsewhere.ports, request))

    run_now(expire(world.ports, [Target(request.names, None), Target(None, "no entry: nothing to expire")]))
    run_now(commit(elsewhere.ports, older, "older"))

    duty = obtain(world, request)
    assert isinstance(duty, Behind)
    assert duty.hit == Hit("old", stale=True)


def test_a_server_that_fails_while_a_lease_is_waited_for_ends_the_wait(world: Scripted) -> None:
    request = a_request()
    world.ask(ops.Seize(request.names.lease, 10**9, STRANGER))
    world.before[ops.Get] = lambda: world.sleeps and world.failing.setdefault(ops.Get, DOWN)

    claim = obtain(world, request)

    assert isinstance(claim, Claim)
    assert causes(world) == {Cause.UNAVAILABLE.value: 1}
    assert len(world.sleeps) <= 2
