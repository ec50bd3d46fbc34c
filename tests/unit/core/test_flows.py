from __future__ import annotations

import threading
from typing import Any

import pytest

from afresh.core import flows, ops
from afresh.core.batches import read_many
from afresh.core.commits import Claim, Result, commit_many
from afresh.core.decide import Cause
from afresh.core.reads import Hit, Request, read
from afresh.core.renewing import renew
from afresh.core.stamps import NOTHING, needs_of
from afresh.errors import StoreRefused, StoreUnavailable, UncachedWarning
from afresh.runtime.looking import Looking
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import FUNCTION, NAMESPACE, Scripted, a_request, somebody_else

DOWN = StoreUnavailable("down")
FULL = StoreRefused("OOM", "full")
STRANGER = b"stranger" + (30).to_bytes(4, "little")


@pytest.fixture
def world() -> Scripted:
    return Scripted()


def obtain(world: Scripted, request: Request) -> Hit | Claim:
    return run_now(flows.obtain(world.ports, request))


def claim_of(world: Scripted, request: Request) -> Claim:
    got = obtain(world, request)
    assert isinstance(got, Claim)
    return got


def compute(world: Scripted, request: Request, value: Any) -> Claim:
    claim = claim_of(world, request)
    run_now(flows.commit(world.ports, claim, value))
    return claim


def causes(world: Scripted) -> dict[str, int]:
    return dict(world.tallies.stats("f").misses)


def not_stored(world: Scripted) -> dict[str, int]:
    return dict(world.tallies.stats("f").not_stored)


# --- hits and misses -----------------------------------------------------------------------------------------------
def test_a_computed_value_is_a_hit(world: Scripted) -> None:
    compute(world, a_request(), [1])

    assert obtain(world, a_request()) == Hit([1])
    assert causes(world) == {"cold": 1}
    assert world.is_idle


@pytest.mark.parametrize(
    ("happens", "cause"),
    [
        (ops.Bump(FUNCTION.key, FUNCTION.writers, b"renewed-"), "invalidated"),
        (ops.Unlink(FUNCTION.key), "stamp evicted"),
        (ops.Unlink(a_request().names.value), "cold"),
        (ops.Put(a_request().names.value, "l", b"foreign", 0), "foreign"),
    ],
)
def test_a_miss_says_why_and_is_replaced(world: Scripted, happens: ops.Op, cause: str) -> None:
    compute(world, a_request(), 1)
    world.ask(happens)

    compute(world, a_request(), 2)

    assert causes(world)[cause] >= 1
    assert obtain(world, a_request()) == Hit(2)


def test_bytes_that_do_not_decode_are_replaced(world: Scripted) -> None:
    compute(world, a_request(), 1)
    raw = world.ask(ops.Get(a_request().names.value))
    world.ask(ops.Put(a_request().names.value, "l", raw[:-1] + b"x", 60_000))

    hit, verdict = run_now(read(world.ports, a_request()))
    assert (hit, verdict.cause) == (None, Cause.UNDECODABLE)

    compute(world, a_request(), 2)
    assert obtain(world, a_request()) == Hit(2)


def test_what_would_live_for_no_time_is_not_stored(world: Scripted) -> None:
    request = a_request(ttl_of=lambda value: 0)

    compute(world, request, 1)

    assert world.ask(ops.Get(request.names.value)) is None
    assert world.ask(ops.Get(request.names.lease)) is None


def test_an_entry_without_stamps_depends_on_its_lifetime_alone(world: Scripted) -> None:
    request = a_request()._replace(needs=NOTHING, namespace=None)
    compute(world, request, 1)
    assert obtain(world, request) == Hit(1)

    world.now += 60_000

    assert isinstance(obtain(world, request), Claim)


def test_stamps_that_nobody_can_name_are_not_looked_up(world: Scripted) -> None:
    """Without a namespace there are no names of stamps: an entry with tags is a miss."""
    compute(world, a_request(), 1)

    hit, verdict = run_now(read(world.ports, a_request(tags=())._replace(namespace=None)))

    assert (hit, verdict.cause) == (None, Cause.EVICTED)


def test_more_tags_than_an_entry_holds_are_computed_and_not_stored(world: Scripted) -> None:
    request = a_request(tags=[str(at) for at in range(256)])

    compute(world, request, 1)

    assert world.ask(ops.Get(request.names.value)) is None
    assert world.ask(ops.Get(request.names.lease)) is None
    assert world.is_idle


def test_several_entries_are_read_each_under_its_own_stamps(world: Scripted) -> None:
    plain = a_request("k:k")._replace(needs=needs_of(NAMESPACE))
    compute(world, plain, 1)
    compute(world, a_request(), 2)
    compute(world, a_request("f:f:2", tags=["b"]), 3)

    found = run_now(read_many(world.ports, [plain, a_request(), a_request("f:f:2", tags=[]), a_request("f:f:3")]))

    assert [hit and hit.value for hit, _ in found] == [1, 2, 3, None]


# --- a server that fails -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [DOWN, FULL], ids=["down", "full"])
def test_a_failing_server_is_asked_once_and_nothing_is_stored(world: Scripted, error: Any) -> None:
    world.failing[ops.Get] = error

    claim = claim_of(world, a_request())
    run_now(flows.commit(world.ports, claim, 1))

    assert (claim.mark, claim.vector) == (None, None)
    assert causes(world) == {"unavailable": 1}
    assert {type(op) for op in world.asked} == {ops.Get}
    assert world.is_idle


@pytest.mark.parametrize("refusal", [StoreRefused("LOADING", "wait"), StoreRefused("NOPERM", "no")])
def test_a_refusal_that_says_nothing_of_the_entry_is_a_failing_server(world: Scripted, refusal: StoreRefused) -> None:
    world.refusing[ops.Get] = refusal

    for hit, verdict in (run_now(read(world.ports, a_request())), *run_now(read_many(world.ports, [a_request(), a_request("f:f:2")]))):
        assert (hit, verdict.cause) == (None, Cause.UNAVAILABLE)


def test_a_server_that_fails_at_several_reads_fails_them_all(world: Scripted) -> None:
    world.failing[ops.Get] = DOWN

    found = run_now(read_many(world.ports, [a_request(), a_request("f:f:2")]))

    assert [(hit, verdict.cause) for hit, verdict in found] == [(None, Cause.UNAVAILABLE)] * 2


@pytest.mark.parametrize("way", ["failing", "refusing"])
def test_who_cannot_claim_computes_and_stores_nothing(world: Scripted, way: str) -> None:
    getattr(world, way)[ops.Claim] = FULL

    claim = compute(world, a_request(), 1)

    assert claim.mark is None
    assert causes(world) == {"unavailable": 1}
    assert world.ask(ops.Get(a_request().names.value)) is None
    assert world.is_idle


def test_a_stamp_that_is_refused_leaves_the_value_unstored_and_no_lease(world: Scripted) -> None:
    world.refusing[ops.Stamp] = FULL

    claim = compute(world, a_request(), 1)

    assert claim.vector is None
    assert world.ask(ops.Get(a_request().names.value)) is None
    assert world.ask(ops.Get(a_request().names.lease)) is None


@pytest.mark.parametrize("way", ["failing", "refusing"])
def test_a_commit_that_fails_is_counted_and_raises_nothing(world: Scripted, way: str) -> None:
    claim = claim_of(world, a_request())
    getattr(world, way)[ops.Commit] = FULL

    run_now(flows.commit(world.ports, claim, 1))

    assert not_stored(world) == {"the server failed": 1}
    assert world.is_idle


def test_a_commit_that_was_overtaken_is_counted(world: Scripted) -> None:
    claim = claim_of(world, a_request())
    world.ask(ops.Unlink(a_request().names.lease))

    run_now(flows.commit(world.ports, claim, 1))

    assert not_stored(world) == {"invalidated or overtaken meanwhile": 1}


@pytest.mark.parametrize("way", ["failing", "refusing"])
def test_a_claim_is_given_up_even_if_the_server_fails(world: Scripted, way: str) -> None:
    claim = claim_of(world, a_request())
    getattr(world, way)[ops.Abandon] = DOWN

    run_now(flows.abandon(world.ports, claim))

    assert world.is_idle


@pytest.mark.parametrize("way", ["failing", "refusing"])
def test_who_cannot_seize_computes_and_stores_nothing(world: Scripted, way: str) -> None:
    getattr(world, way)[ops.Seize] = FULL

    claim = run_now(flows.seize(world.ports, a_request()))
    run_now(flows.commit(world.ports, claim, 1))

    assert (claim.mark, claim.vector) == (None, None)
    assert world.ask(ops.Get(a_request().names.value)) is None


def test_a_seized_claim_replaces_what_is_there(world: Scripted) -> None:
    compute(world, a_request(), 1)

    run_now(flows.commit(world.ports, run_now(flows.seize(world.ports, a_request())), 2))

    assert obtain(world, a_request()) == Hit(2)


def test_leases_are_renewed_where_they_are_ours(world: Scripted) -> None:
    ours, lost = claim_of(world, a_request()), claim_of(world, a_request("f:f:2"))
    world.ask(ops.Seize(lost.request.names.lease, 1000, STRANGER))
    world.now += world.ports.lease_ms - 1

    run_now(renew(world.ports, [ours, lost, Claim(a_request("f:f:3"), None, None, None, 0)]))
    world.now += 2

    assert world.ask(ops.Get(ours.request.names.lease)) == ours.mark
    assert world.ask(ops.Get(lost.request.names.lease)) is None


def test_a_renewal_that_fails_raises_nothing(world: Scripted) -> None:
    claim = claim_of(world, a_request())
    world.failing[ops.Extend] = DOWN

    run_now(renew(world.ports, [claim]))
    run_now(flows.commit(world.ports, claim, 1))

    assert obtain(world, a_request()) == Hit(1)


# --- somebody else computes ----------------------------------------------------------------------------------------
def a_stranger_computes(world: Scripted, request: Request, cost_ms: int = 30) -> None:
    world.ask(ops.Seize(request.names.lease, 10**9, b"stranger" + cost_ms.to_bytes(4, "little")))


def test_a_poller_sleeps_through_the_cost_and_then_looks_more_and_more_rarely(world: Scripted) -> None:
    request = a_request(wait_ms=3000)
    a_stranger_computes(world, request, cost_ms=300)
    began = world.now

    claim = claim_of(world, request)

    cost, *pauses, _ = world.sleeps
    assert cost == 300
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (2, 50)
    assert world.now - began == 3000, "and waits no longer than the policy says"
    asked = [type(op) for op in world.asked]
    assert asked.count(ops.Claim) == 2, "each look is one command"
    assert asked.count(ops.Get) < len(world.sleeps) + 3 * 3 + 1
    assert (claim.mark, claim.vector) == (None, None)
    assert causes(world) == {"bypass": 1}
    run_now(flows.commit(world.ports, claim, 1))
    assert world.ask(ops.Get(request.names.value)) is None
    assert world.is_idle


def test_a_poller_takes_the_value_when_it_is_there(world: Scripted) -> None:
    request = a_request()
    stranger = Scripted()
    stranger.memory = world.memory
    theirs = claim_of(stranger, request)

    def finish() -> None:
        if world.sleeps and world.memory._data.get(request.names.lease):
            run_now(flows.commit(stranger.ports, theirs, "theirs"))

    world.before[ops.Get] = finish

    assert obtain(world, request) == Hit("theirs")
    assert world.is_idle


def test_a_poller_takes_a_lease_that_was_given_up(world: Scripted) -> None:
    request = a_request()
    a_stranger_computes(world, request)
    world.before[ops.Get] = lambda: world.sleeps and world.memory._data.pop(request.names.lease, None)

    claim = claim_of(world, request)

    assert claim.mark is not None
    assert len(world.sleeps) == 1


def test_a_stale_entry_is_served_while_somebody_computes(world: Scripted) -> None:
    request = a_request(stale_ttl_ms=60_000)
    compute(world, request, "old")
    world.now += 60_000
    a_stranger_computes(world, request)

    assert obtain(world, request) == Hit("old", stale=True)
    assert world.tallies.stats("f").stale_hits == 1
    assert world.sleeps == []
    assert world.is_idle


def test_a_stale_entry_is_served_while_this_process_computes(world: Scripted) -> None:
    request = a_request(stale_ttl_ms=60_000)
    compute(world, request, "old")
    world.now += 60_000
    claim = claim_of(world, request)

    assert obtain(world, request) == Hit("old", stale=True)

    run_now(flows.commit(world.ports, claim, "new"))
    assert obtain(world, request) == Hit("new")


def test_what_came_between_look_and_claim_is_taken(world: Scripted) -> None:
    request = a_request()
    stranger = Scripted()
    stranger.memory = world.memory

    def come() -> None:
        world.before.clear()
        compute(stranger, request, "theirs")

    world.before[ops.Claim] = come

    assert obtain(world, request) == Hit("theirs")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), GeneratorExit(), RuntimeError("a bug")])
@pytest.mark.parametrize("kind", [ops.Claim, ops.Get])
def test_an_interrupted_leader_leaves_nobody_waiting(world: Scripted, interruption: BaseException, kind: type[ops.Op]) -> None:
    a_stranger_computes(world, a_request())
    world.before[ops.Get] = lambda: world.sleeps and world.failing.setdefault(kind, interruption)
    if kind is ops.Claim:
        world.failing[kind] = interruption

    with pytest.raises(type(interruption)):
        obtain(world, a_request())

    assert world.is_idle
    assert world.ask(ops.Get(a_request().names.lease)) == STRANGER


# --- followers -----------------------------------------------------------------------------------------------------
class Outcome:
    """What a flight left."""

    def __init__(self, envelope: bytes | None, *, alone: bool = False, looked: bool = False) -> None:
        self.envelope = envelope
        self.alone = alone
        self.looked = looked


def test_a_follower_shares_only_what_it_could_have_read(world: Scripted) -> None:
    compute(world, a_request(), [1])
    raw = world.ask(ops.Get(a_request().names.value))

    def shared(envelope: bytes | None, request: Request | None = None, **how: bool) -> Hit | Claim | None:
        return flows._shared(world.ports, request or a_request(), Outcome(envelope, **how))

    assert shared(raw) == Hit([1])
    assert shared(None) is None
    assert shared(b"foreign") is None
    assert shared(raw[:28] + b"\x01\x00\x00\x00" + raw[32:]) is None, "of another type"
    assert shared(raw[:-1]) is None, "does not decode"
    assert shared(raw, a_request(tags=["b"])) is None, "does not carry the tag"
    assert isinstance(shared(None, alone=True), Claim)
    world.now += 60_000
    assert shared(raw, a_request(stale_ttl_ms=60_000), looked=True) == Hit([1], stale=True)
    assert shared(raw, looked=True) is None, "found for somebody who takes old values"


def test_a_look_for_all_that_is_cancelled_leaves_nobody_waiting(world: Scripted) -> None:
    world.table.alone = Looking(0, {}, {})
    world.failing[ops.Get] = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        obtain(world, a_request())

    assert world.is_idle


def test_what_waiting_for_a_look_took_is_spent(world: Scripted) -> None:
    """The server was asked meanwhile, for all who wait."""
    look = world.table.look(a_request().names.value, 0, somebody_else)
    while look is None:
        look = world.table.look(a_request().names.value, 0, somebody_else)
    spent: list[int] = []
    flight_of = world.flight

    async def flight(batch: Any, /, spent_us: int = 0) -> list[Any]:
        spent.append(spent_us)
        return await flight_of(batch)

    def end() -> None:
        world.now += 7
        look.finish(None)

    world.flight = flight  # type: ignore[method-assign]  # what it is asked for is all that is looked at
    ending = threading.Timer(0.02, end)
    ending.start()

    assert isinstance(obtain(world, a_request()), Claim)
    ending.join()
    assert spent[0] == 7_000


@pytest.mark.parametrize("stale_ttl_ms", [0, 60_000])
def test_a_follower_whose_time_is_up_computes_and_stores_nothing(world: Scripted, stale_ttl_ms: int) -> None:
    """With or without a look before it takes its seat."""
    flight = world.table.enter(a_request().names.value, 0, somebody_else)

    claim = claim_of(world, a_request(wait_ms=0, stale_ttl_ms=stale_ttl_ms))

    assert (claim.flight, claim.mark) == (None, None)
    assert flight.leads


def test_a_follower_that_may_not_share_looks_for_itself(world: Scripted) -> None:
    flight = world.table.enter(a_request().names.value, 0, somebody_else)
    flight.mark()
    others = Scripted()
    others.memory = world.memory

    def compute_and_end() -> None:
        compute(others, a_request(), "theirs")
        flight.finish(b"unproven")

    ending = threading.Timer(0.02, compute_and_end)
    ending.start()

    assert obtain(world, a_request()) == Hit("theirs")
    ending.join()


def test_a_seized_claim_is_given_up(world: Scripted) -> None:
    run_now(flows.abandon(world.ports, run_now(flows.seize(world.ports, a_request()))))

    assert world.ask(ops.Get(a_request().names.lease)) is None


def test_a_caller_that_must_not_wait_computes_and_stores_nothing(world: Scripted) -> None:
    outer = claim_of(world, a_request())
    assert outer.flight is not None
    outer.flight.start_compute()

    inner = claim_of(world, a_request())

    assert (inner.flight, inner.mark) == (None, None)
    run_now(flows.commit(world.ports, inner, "inner"))
    outer.flight.end_compute()
    run_now(flows.commit(world.ports, outer, "outer"))
    assert obtain(world, a_request()) == Hit("outer")


@pytest.mark.filterwarnings("default::afresh.errors.UncachedWarning")
def test_what_cannot_be_encoded_frees_everybody(world: Scripted) -> None:
    claim = claim_of(world, a_request())

    with pytest.warns(UncachedWarning):
        run_now(flows.commit(world.ports, claim, object()))

    assert world.ask(ops.Get(a_request().names.lease)) is None
    assert not_stored(world) == {"unencodable": 1}
    assert world.is_idle


@pytest.mark.filterwarnings("error::afresh.errors.UncachedWarning")
def test_a_warning_that_is_an_error_frees_everybody_too(world: Scripted) -> None:
    claim = claim_of(world, a_request())

    with pytest.raises(UncachedWarning):
        run_now(flows.commit(world.ports, claim, object()))

    assert world.ask(ops.Get(a_request().names.lease)) is None
    assert world.is_idle


def test_a_ttl_that_cannot_be_computed_frees_everybody(world: Scripted) -> None:
    def ttl_of(value: object) -> int:
        raise ZeroDivisionError

    claim = claim_of(world, a_request(ttl_of=ttl_of))

    with pytest.raises(ZeroDivisionError):
        run_now(flows.commit(world.ports, claim, 1))

    assert world.ask(ops.Get(a_request().names.lease)) is None
    assert world.is_idle


# --- several at once -----------------------------------------------------------------------------------------------
def obtain_many(world: Scripted, *requests: Request) -> list[Hit | Claim | None]:
    return run_now(flows.obtain_many(world.ports, requests))


def test_several_are_claimed_in_one_write_and_committed_in_one(world: Scripted) -> None:
    requests = [a_request(f"f:f:{at}") for at in range(3)]
    compute(world, requests[0], 0)

    hit, *claims = obtain_many(world, *requests)
    assert hit == Hit(0)
    run_now(commit_many(world.ports, [Result(claim, at) for at, claim in enumerate(claims, 1)]))

    assert obtain_many(world, *requests) == [Hit(0), Hit(1), Hit(2)]
    assert world.is_idle


def test_what_others_compute_is_left_to_them(world: Scripted) -> None:
    here, elsewhere, ours = (a_request(f"f:f:{at}") for at in range(3))
    claim = claim_of(world, here)
    a_stranger_computes(world, elsewhere)

    got = obtain_many(world, here, elsewhere, ours)

    assert got[:2] == [None, None]
    assert isinstance(got[2], Claim)
    run_now(flows.abandon(world.ports, claim))
    run_now(flows.abandon(world.ports, got[2]))
    assert world.is_idle


def test_a_stale_one_is_a_hit_while_this_process_computes_it(world: Scripted) -> None:
    request = a_request(stale_ttl_ms=60_000)
    compute(world, request, "old")
    world.now += 60_000
    claim = claim_of(world, request)

    assert obtain_many(world, request) == [Hit("old", stale=True)]

    run_now(flows.abandon(world.ports, claim))


def test_one_that_needs_this_very_caller_is_computed_and_not_stored(world: Scripted) -> None:
    outer = claim_of(world, a_request())
    assert outer.flight is not None
    outer.flight.start_compute()

    (inner,) = obtain_many(world, a_request())

    assert isinstance(inner, Claim)
    assert (inner.flight, inner.mark) == (None, None)
    outer.flight.end_compute()


@pytest.mark.parametrize("kind", [ops.Get, ops.Claim])
def test_a_server_that_fails_leaves_all_to_compute(world: Scripted, kind: type[ops.Op]) -> None:
    world.failing[kind] = DOWN

    got = obtain_many(world, a_request(), a_request("f:f:2"))

    assert all(isinstance(claim, Claim) and claim.mark is None for claim in got)
    run_now(commit_many(world.ports, [Result(claim, 1) for claim in got]))
    assert world.is_idle


def test_an_interrupted_batch_leaves_nobody_waiting(world: Scripted) -> None:
    world.failing[ops.Claim] = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        obtain_many(world, a_request(), a_request("f:f:2"))

    assert world.is_idle


# --- who is torn from a computation ---------------------------------------------------------------------------------
def test_the_lease_of_a_claim_that_is_dropped_ends_with_the_next_claim(world: Scripted) -> None:
    claim_of(world, a_request())
    assert isinstance(world.ask(ops.Get(a_request().names.lease)), bytes)

    claim = claim_of(world, a_request("f:f:2"))

    assert world.ask(ops.Get(a_request().names.lease)) is None
    assert world.is_idle is False
    run_now(flows.abandon(world.ports, claim))
    assert not world.ports.lost
    assert world.is_idle


def test_a_claim_that_was_committed_or_abandoned_leaves_nothing_to_others(world: Scripted) -> None:
    compute(world, a_request(), "value")
    run_now(flows.abandon(world.ports, claim_of(world, a_request("f:f:2"))))
    run_now(flows.abandon(world.ports, run_now(flows.seize(world.ports, a_request()))))

    assert not world.ports.lost


def test_a_refresh_that_is_dropped_leaves_its_lease_to_others(world: Scripted) -> None:
    run_now(flows.seize(world.ports, a_request()))

    assert [type(op) for op in world.ports.take_lost()] == [ops.Abandon]
    assert world.ports.take_lost() == []


def test_who_is_torn_from_making_a_claim_harms_nobody() -> None:
    Claim.__new__(Claim).__del__()
