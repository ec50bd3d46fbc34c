from __future__ import annotations

import pytest

from afresh.core import flows, ops
from afresh.core.commits import Claim
from afresh.core.decide import Cause
from afresh.core.policy import MARK_MS
from afresh.core.reads import Hit, read
from afresh.core.renewing import renew
from afresh.core.transactions import Transaction, begin, end, mark, new_transaction
from afresh.errors import StoreRefused, StoreUnavailable
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import NAMESPACE, Scripted, a_request

A, B = NAMESPACE.tag_of("a"), NAMESPACE.tag_of("b")
FULL = StoreRefused("OOM", "full")
DOWN = StoreUnavailable("down")


@pytest.fixture
def world() -> Scripted:
    return Scripted()


def marked(world: Scripted, *tags: object) -> Transaction:
    transaction = new_transaction(world.ports)
    run_now(mark(world.ports, transaction, tags))
    return transaction


def is_dirty(world: Scripted, name: str = "a") -> bool:
    _, verdict = run_now(read(world.ports, a_request(f"f:f:{name}", tags=[name])))
    return verdict.cause is Cause.DIRTY


def compute(world: Scripted, value: int) -> Claim:
    claim = run_now(flows.obtain(world.ports, a_request()))
    assert isinstance(claim, Claim)
    run_now(flows.commit(world.ports, claim, value))
    return claim


def test_tags_are_dirty_from_the_mark_to_the_end(world: Scripted) -> None:
    compute(world, 1)

    transaction = marked(world, A, B)

    assert is_dirty(world)
    assert is_dirty(world, "b")
    assert not is_dirty(world, "c")
    compute(world, 2)
    run_now(end(world.ports, transaction))
    assert not is_dirty(world)
    assert run_now(read(world.ports, a_request()))[0] is None, "neither what was there before nor what was computed meanwhile"
    compute(world, 3)
    assert run_now(flows.obtain(world.ports, a_request())) == Hit(3)


def test_a_value_computed_under_a_dirty_tag_takes_no_lease(world: Scripted) -> None:
    """It will not be stored: a lease would make the other processes compute one after the other."""
    marked(world, A)

    claim = run_now(flows.obtain(world.ports, a_request()))

    assert isinstance(claim, Claim)
    assert claim.mark is None
    assert claim.flight is not None, "the threads of this process share it all the same, by the rules of followers"
    assert not [op for op in world.asked if isinstance(op, ops.Claim)]


def test_of_a_batch_only_the_clean_are_claimed(world: Scripted) -> None:
    marked(world, A)
    dirty, clean = a_request(), a_request("f:f:2", tags=["b"])

    got = run_now(flows.obtain_many(world.ports, [dirty, clean]))

    assert [each.mark is None for each in got if isinstance(each, Claim)] == [True, False]


def test_a_mark_that_comes_between_read_and_claim_leaves_nothing_stored(world: Scripted) -> None:
    world.before[ops.Claim] = lambda: world.ask(ops.Mark(A.key, A.writers, b"another-", 60_000, 60_000))

    claim = compute(world, 1)

    assert claim.vector is None
    assert world.ask(ops.Get(a_request().names.lease)) is None
    assert world.ask(ops.Get(a_request().names.value)) is None


def test_a_refresh_under_a_dirty_tag_leaves_no_lease(world: Scripted) -> None:
    marked(world, A)

    claim = run_now(flows.seize(world.ports, a_request()))
    run_now(flows.commit(world.ports, claim, 1))

    assert world.ask(ops.Get(a_request().names.lease)) is None
    assert world.ask(ops.Get(a_request().names.value)) is None


def test_several_tags_are_marked_and_ended_in_one_round_trip(world: Scripted) -> None:
    flights: list[int] = []
    world.ports = world.ports.but(store=Counting(world, flights))

    run_now(end(world.ports, marked(world, A, B)))

    assert flights == [2, 2]


class Counting:
    def __init__(self, world: Scripted, flights: list[int]) -> None:
        self._world = world
        self._flights = flights

    async def flight(self, batch):
        self._flights.append(len(batch))
        return await self._world.flight(batch)


def test_a_transaction_without_tags_asks_nothing(world: Scripted) -> None:
    run_now(end(world.ports, marked(world)))

    assert world.asked == []


def test_a_mark_that_cannot_be_set_raises_and_its_end_ends_the_others(world: Scripted) -> None:
    transaction = new_transaction(world.ports)
    world.refusing[ops.Mark] = FULL
    with pytest.raises(StoreRefused):
        run_now(mark(world.ports, transaction, [A]))
    del world.refusing[ops.Mark]
    world.failing[ops.Mark] = DOWN
    with pytest.raises(StoreUnavailable):
        run_now(mark(world.ports, transaction, [B]))

    run_now(end(world.ports, transaction))

    assert {op.key for op in world.asked if isinstance(op, ops.End)} == {A.key, B.key}


def test_a_transaction_that_cannot_begin_has_ended(world: Scripted) -> None:
    transaction = new_transaction(world.ports)
    world.refusing[ops.Mark] = FULL

    with pytest.raises(StoreRefused):
        run_now(begin(world.ports, transaction, [A, B]))

    assert not transaction.is_open
    assert [type(op) for op in world.asked] == [ops.Mark, ops.Mark, ops.End, ops.End]


@pytest.mark.parametrize("arranged", ["failing", "refusing"])
def test_an_end_that_fails_raises_nothing_and_the_mark_lapses(world: Scripted, arranged: str) -> None:
    transaction = marked(world, A)
    getattr(world, arranged)[ops.End] = FULL if arranged == "refusing" else DOWN

    run_now(end(world.ports, transaction))

    assert is_dirty(world)
    world.now += MARK_MS
    assert not is_dirty(world)


def test_a_mark_lives_as_long_as_it_is_renewed(world: Scripted) -> None:
    transaction = marked(world, A)
    world.now += MARK_MS - 1

    run_now(renew(world.ports, [transaction]))
    world.now += MARK_MS - 1

    assert is_dirty(world)
    world.now += 1
    assert not is_dirty(world)


def test_a_renewal_that_overtakes_the_end_is_taken_back(world: Scripted) -> None:
    transaction = marked(world, A)
    world.before[ops.Mark] = lambda: world.before.clear() or run_now(end(world.ports, transaction))

    run_now(renew(world.ports, [transaction]))

    assert not is_dirty(world)


def test_a_renewal_that_is_refused_raises_nothing(world: Scripted) -> None:
    transaction = marked(world, A)
    world.refusing[ops.Mark] = FULL

    run_now(renew(world.ports, [transaction]))

    assert is_dirty(world)


def test_what_this_process_holds_under_the_tags_is_dropped_at_once(world: Scripted) -> None:
    dropped: list[list[str]] = []

    class Near:
        def drop(self, names):
            dropped.append(list(names))

    world.ports = world.ports.but(near=Near())

    transaction = marked(world, A, B)
    assert dropped == [[A.key, B.key]] * 2, "before the mark is sent, and what was read meanwhile after it"
    run_now(end(world.ports, transaction))
    assert len(dropped) == 3


class Invalidations:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[str | None]]] = []

    def applied(self, targets, called_ms):
        self.told.append(("applied", [target.stamp for target in targets]))

    def failed(self, targets, called_ms, error):
        self.told.append(("failed", [target.stamp for target in targets]))


def test_tags_whose_marks_could_not_be_ended_are_invalidated_later(world: Scripted) -> None:
    """Where the server was away, they may have lapsed before COMMIT. What it has is noted, too, in case that it loses it."""
    told = Invalidations()
    world.ports = world.ports.but(invalidations=told)

    run_now(end(world.ports, marked(world, A)))
    transaction = marked(world, A, B)
    world.failing[ops.End] = DOWN
    run_now(end(world.ports, transaction))
    run_now(end(world.ports, marked(world)))

    assert told.told == [("applied", [A.key]), ("failed", [A.key, B.key])]
