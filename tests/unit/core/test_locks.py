from __future__ import annotations

from collections.abc import Iterator

import pytest

from afresh.core import ops
from afresh.core.keys import lock_names
from afresh.core.locks import Holding, Wanted, acquire, release
from afresh.core.policy import PATIENCE_MS, PATIENCE_RENEWAL_MS, POLL_MS
from afresh.core.renewing import renew
from afresh.errors import LockReentered, LockTimeout, StoreRefused, StoreUnavailable
from afresh.runtime.run_now import run_now
from afresh.runtime.turns import SyncTurns, Turn, TurnTable
from tests.unit.core.scripted import NAMESPACE, Scripted

TTL_MS = 30_000
NAMES = lock_names(NAMESPACE, "a")
WANTED = Wanted("a", NAMES, TTL_MS, 10_000)
ONCE = WANTED._replace(wait_ms=0)
FULL = StoreRefused("OOM", "full")


class Turns(SyncTurns):
    """The production lines; to wait lets time pass at once."""

    def __init__(self, world: Scripted) -> None:
        super().__init__(TurnTable())
        self._world = world
        self.waited: list[float] = []

    async def wait(self, turn: Turn, timeout_ms: float, /) -> None:
        self.waited.append(timeout_ms)
        await self._world.sleep_ms(max(1, timeout_ms))


@pytest.fixture
def world() -> Scripted:
    return Scripted()


@pytest.fixture
def turns(world: Scripted) -> Iterator[Turns]:
    made = Turns(world)
    yield made
    assert made._table._lines == {}, "nobody is left in a line"


def held(world: Scripted, turns: Turns, wanted: Wanted = WANTED) -> Holding:
    return run_now(acquire(world.ports, turns, wanted))


def give_back(world: Scripted, turns: Turns, holding: Holding) -> bool:
    return run_now(release(world.ports, turns, holding))


def taken_by_others(world: Scripted) -> None:
    world.ask(ops.Acquire(*NAMES, b"theirs", 3_600_000, 0, ()))


def kinds(world: Scripted) -> list[type]:
    return [type(op) for op in world.asked]


def test_a_free_lock_costs_one_round_trip_and_one_to_give_it_back(world: Scripted, turns: Turns) -> None:
    holding = held(world, turns)

    assert give_back(world, turns, holding) is True
    assert kinds(world) == [ops.Acquire, ops.Release]
    assert turns.waited == []


def test_to_try_once_takes_no_place_and_leaves_none(world: Scripted, turns: Turns) -> None:
    taken_by_others(world)

    with pytest.raises(LockTimeout):
        held(world, turns, ONCE)

    assert kinds(world) == [ops.Acquire]
    assert world.memory._scores(NAMES.queue) == {}


def test_who_waits_asks_more_and_more_seldom_and_gives_up_its_place(world: Scripted, turns: Turns) -> None:
    taken_by_others(world)

    with pytest.raises(LockTimeout):
        held(world, turns)

    shortest, longest = POLL_MS
    assert turns.waited[:3] == [shortest, 2 * shortest, 4 * shortest]
    assert max(turns.waited) == longest / 5 < PATIENCE_MS, "it comes next"
    assert sum(turns.waited) == pytest.approx(WANTED.wait_ms, rel=0.01)
    assert kinds(world)[-1] is ops.Release
    assert world.memory._scores(NAMES.queue) == {}


def test_who_does_not_come_next_looks_less_often(world: Scripted, turns: Turns) -> None:
    taken_by_others(world)
    for token in (b"first", b"second"):
        world.ask(ops.Acquire(*NAMES, token, TTL_MS, 3_600_000, ()))

    with pytest.raises(LockTimeout):
        held(world, turns)

    assert max(turns.waited) == 3 * POLL_MS[1] / 5


def test_where_this_process_holds_the_lock_who_waits_only_keeps_its_place(world: Scripted, turns: Turns) -> None:
    holding = held(world, turns)
    turns._table._lines[NAMES.holder]._holder = None  # another thread's

    with pytest.raises(LockTimeout):
        held(world, turns)

    assert turns.waited[0] == PATIENCE_RENEWAL_MS < PATIENCE_MS
    give_back(world, turns, holding)


def test_who_holds_the_lock_does_not_wait_for_itself(world: Scripted, turns: Turns) -> None:
    holding = held(world, turns)

    with pytest.raises(LockReentered):
        held(world, turns)

    assert kinds(world) == [ops.Acquire], "nor is the server asked"
    give_back(world, turns, holding)


@pytest.mark.parametrize(
    ("error", "gives_up"),
    [
        (FULL, False),  # nothing was granted
        (StoreUnavailable("late", is_timeout=True), True),  # it may have been granted
        (StoreUnavailable("down"), False),  # it would only take as long again
        (KeyboardInterrupt(), True),
        (GeneratorExit(), False),  # a closing coroutine must not suspend
    ],
)
def test_what_goes_wrong_is_raised_and_what_may_have_been_granted_is_given_up(
    world: Scripted, turns: Turns, error: BaseException, gives_up: bool
) -> None:
    world.failing[ops.Acquire] = error

    with pytest.raises(type(error)):
        held(world, turns)

    assert (ops.Release in kinds(world)) is gives_up


def test_a_refusal_is_raised(world: Scripted, turns: Turns) -> None:
    world.refusing[ops.Acquire] = FULL

    with pytest.raises(StoreRefused):
        held(world, turns)


def test_places_taken_for_those_who_have_left_are_given_up(world: Scripted, turns: Turns) -> None:
    taken_by_others(world)
    behind: list[Turn] = []

    async def wait(turn: Turn, timeout_ms: float, /) -> None:
        """Somebody else takes a place behind us, and gives it up while we announce it."""
        if not behind:
            behind.append(turns.take(WANTED, b"behind"))
            world.before[ops.Acquire] = lambda: turns.leave(behind[0])
        await world.sleep_ms(WANTED.wait_ms)

    turns.wait = wait  # type: ignore[method-assign]
    with pytest.raises(LockTimeout):
        held(world, turns)

    assert [op.others for op in world.asked if isinstance(op, ops.Acquire)] == [(), (b"behind",)]
    assert world.memory._scores(NAMES.queue) == {}


@pytest.mark.parametrize("arranged", ["failing", "refusing"])
def test_a_release_that_fails_raises_nothing_while_the_lock_is_ours(world: Scripted, turns: Turns, arranged: str) -> None:
    holding = held(world, turns)
    getattr(world, arranged)[ops.Release] = FULL if arranged == "refusing" else StoreUnavailable("down")

    assert give_back(world, turns, holding) is True
    world.now += TTL_MS
    assert give_back(world, turns, holding) is False


def test_a_lock_is_ours_until_its_ttl_after_the_last_renewal_was_sent(world: Scripted, turns: Turns) -> None:
    holding = held(world, turns)
    world.now += TTL_MS - 1
    assert not holding.is_lost
    world.before[ops.Extend] = lambda: world.before.clear()

    run_now(renew(world.ports, [holding]))
    world.now += TTL_MS - 1

    assert not holding.is_lost
    world.now += 1
    assert holding.is_lost
    assert give_back(world, turns, holding) is False


def test_a_renewal_that_finds_somebody_else_tells_the_holder(world: Scripted, turns: Turns) -> None:
    holding = held(world, turns)
    world.ask(ops.Seize(NAMES.holder, TTL_MS, b"theirs"))

    run_now(renew(world.ports, [holding]))

    assert holding.is_lost
    assert give_back(world, turns, holding) is False
    assert world.ask(ops.Get(NAMES.holder)) == b"theirs"


@pytest.mark.parametrize("arranged", ["failing", "refusing"])
def test_a_renewal_that_fails_leaves_the_lock_to_its_time(world: Scripted, turns: Turns, arranged: str) -> None:
    holding = held(world, turns)
    getattr(world, arranged)[ops.Extend] = FULL if arranged == "refusing" else StoreUnavailable("down")
    world.now += TTL_MS // 3

    run_now(renew(world.ports, [holding]))

    assert not holding.is_lost
    world.now += TTL_MS
    assert holding.is_lost
    give_back(world, turns, holding)


def test_two_renewals_may_fail_before_a_lock_lapses(world: Scripted, turns: Turns) -> None:
    holding = held(world, turns)

    assert 3 * holding.renewed_every_ms <= TTL_MS
    give_back(world, turns, holding)
