"""Locks, under every order of their steps: one holder at a time, in the order of the line, with fences that rise, and nothing left behind.

Each process has a line of its own; a poller looks again once the server's data has changed. Time stands still unless a step says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from afresh.core import ops
from afresh.core.keys import lock_names
from afresh.core.locks import Holding, Wanted, acquire, release
from afresh.core.policy import PATIENCE_MS
from afresh.core.ports import Ports
from afresh.core.renewing import renew
from afresh.runtime.callers import Caller
from afresh.runtime.turns import Turn, TurnTable
from afresh.stores.memory import MemoryStore
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor, Exploration, Scenario
from tests.flows.world import _LOOKED_AT, NAMESPACE, PRODUCTION, Variant, World, isolated, sample

TTL_MS = 30_000
WANTED = Wanted("a", lock_names(NAMESPACE, "a"), TTL_MS, 3_600_000)
RUNS = 400


class SteppedTurns:
    """The production lines; who waits goes on in a step of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._table = TurnTable()
        self._callers = 0

    def take(self, wanted: Wanted, token: bytes, /) -> Turn:
        self._callers += 1
        return self._table.take(wanted, token, Caller(-self._callers))

    async def wait(self, turn: Turn, timeout_ms: float, /) -> None:
        looked_at, polls = _LOOKED_AT.get(), turn.speaks  # whoever does not speak waits until it is called
        # Who is told of its own process's release has no need to look again and again meanwhile.
        await pause(until=lambda: turn._is_called or (polls and not turn.is_held_here and self._world.version != looked_at))
        turn._is_called = False

    def hold(self, turn: Turn, holding: Holding, /) -> None:
        turn.hold(holding)

    def leave(self, turn: Turn, /) -> None:
        turn.leave()


@dataclass
class Locked:
    """A world with one lock, and what went on in it."""

    world: World
    inside: list[int] = field(default_factory=list)
    served: list[int] = field(default_factory=list)
    fence: int = 0
    problem: str | None = None

    def process(self) -> tuple[Ports, SteppedTurns]:
        return self.world.process(replies=False), SteppedTurns(self.world)

    async def user(self, number: int, process: tuple[Ports, SteppedTurns], *, renews: bool = False) -> None:
        """Take the lock, be in the block for a step, give it back."""
        ports, turns = process
        holding = await acquire(ports, turns, WANTED)
        self.enter(number, holding)
        if renews:
            await renew(ports, [holding])
        await pause()
        self.leave(number, holding)
        if not await release(ports, turns, holding):
            self.fail("a lock was lost that nobody took")

    async def giving_up(self, process: tuple[Ports, SteppedTurns], *, turns_to_wait: int) -> None:
        """Take a place in the line, and be cancelled there."""
        waiting: Any = acquire(*process, WANTED)
        for left in reversed(range(turns_to_wait)):
            try:
                until = waiting.send(None)
            except StopIteration as done:
                await release(*process, done.value)
                return
            await pause(until if left else None)  # an interrupt comes when it comes
        try:
            until = waiting.throw(KeyboardInterrupt)
            while True:
                await pause(until)
                until = waiting.send(None)
        except KeyboardInterrupt:
            return

    async def dying(self, process: tuple[Ports, SteppedTurns]) -> None:
        """Take the lock, stand still until it has lapsed, and go on as if nothing had been."""
        ports, turns = process
        holding = await acquire(ports, turns, WANTED)
        self.enter(0, holding)
        await pause()
        self.world.clock.now += TTL_MS
        self.world.version += 1  # who waits looks again
        self.leave(0, holding, was_lost=True)
        await renew(ports, [holding])
        await release(ports, turns, holding)

    async def dead_in_the_line(self, process: tuple[Ports, SteppedTurns]) -> None:
        """Take a place in the line, and ask no more."""
        ports, _ = process
        patience = ops.Acquire(*WANTED.names, b"dead", TTL_MS, PATIENCE_MS, ())
        (fence,) = await ports.store.flight([patience])
        if fence > 0:
            await ports.store.flight([ops.Release(*WANTED.names, b"dead")])
        else:
            await pause()
            self.world.clock.now += PATIENCE_MS
            self.world.version += 1

    def enter(self, number: int, holding: Holding) -> None:
        self.inside.append(number)
        self.served.append(number)
        if len(self.inside) > 1:
            self.fail(f"{self.inside} are in the block at once")
        if holding.fence <= self.fence:
            self.fail(f"fence {holding.fence} after {self.fence}")
        self.fence = holding.fence

    def leave(self, number: int, holding: Holding, *, was_lost: bool = False) -> None:
        self.inside.remove(number)
        if was_lost and not holding.is_lost:
            self.fail("the holder takes for held what has lapsed")

    def fail(self, problem: str) -> None:
        self.problem = self.problem or problem

    def verdict(self) -> str | None:
        names = WANTED.names
        if self.world.holds(names.holder) or self.world.memory._scores(names.queue).keys() - {b"dead"}:
            self.fail("somebody is left who holds the lock, or waits for it")
        return self.problem


Cast = Callable[[Locked], Sequence[Actor]]


def scenario(cast: Cast, variant: Variant) -> Scenario:
    def make() -> tuple[Sequence[Actor], Callable[[], str | None]]:
        locked = Locked(World(variant))
        return [isolated(actor) for actor in cast(locked)], locked.verdict

    return make


def users(locked: Locked, *, processes: Sequence[int], renews: bool = False) -> Sequence[Actor]:
    """Users, each of one of the processes."""
    opened = {number: locked.process() for number in set(processes)}
    return [locked.user(at, opened[number], renews=renews and not at) for at, number in enumerate(processes, 1)]


def giving_up(locked: Locked, *, processes: Sequence[int], turns_to_wait: int) -> Sequence[Actor]:
    """The first of the users is interrupted somewhere."""
    opened = {number: locked.process() for number in set(processes)}
    first, *others = (opened[number] for number in processes)
    return [locked.giving_up(first, turns_to_wait=turns_to_wait), *(locked.user(at, each) for at, each in enumerate(others, 1))]


def dying(locked: Locked) -> Sequence[Actor]:
    return [locked.dying(locked.process()), locked.user(1, locked.process())]


def dead_in_the_line(locked: Locked) -> Sequence[Actor]:
    return [locked.dead_in_the_line(locked.process()), locked.user(1, locked.process()), locked.user(2, locked.process())]


MEETINGS: dict[str, Cast] = {
    "two of one process": partial(users, processes=[1, 1]),
    "two of two processes": partial(users, processes=[1, 2]),
    "two of two processes, one renews": partial(users, processes=[1, 2], renews=True),
    "holder that stands still until its lock has lapsed": dying,
    **{
        f"one of {kind} is interrupted after {turns} turns": partial(giving_up, processes=processes, turns_to_wait=turns)
        for kind, processes in {"one process": [1, 1], "two processes": [1, 2]}.items()
        for turns in range(4)
    },
}
DRAWN: dict[str, Cast] = {
    "three of one process": partial(users, processes=[1, 1, 1]),
    "three of two processes": partial(users, processes=[1, 1, 2]),
    "three of three processes": partial(users, processes=[1, 2, 3]),
    "four of two processes": partial(users, processes=[1, 2, 1, 2]),
    "somebody in the line is dead": dead_in_the_line,
    **{
        f"one of three of two processes is interrupted after {turns} turns": partial(giving_up, processes=[1, 1, 2], turns_to_wait=turns)
        for turns in range(1, 4)
    },
}


@pytest.mark.parametrize("name", MEETINGS)
def test_no_schedule_lets_two_in(name: str) -> None:
    found = explore(scenario(MEETINGS[name], PRODUCTION))

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", DRAWN)
def test_no_schedule_drawn_lets_two_in(name: str) -> None:
    found = sample(scenario(DRAWN[name], PRODUCTION), runs=RUNS, seed=5)

    print(f"{name}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)


def test_who_stands_in_the_line_is_served_in_its_order() -> None:
    """Whatever the order in which those who wait look: it is that of their places."""

    def cast(locked: Locked) -> Sequence[Actor]:
        processes = [locked.process() for _ in range(3)]

        def in_line() -> int:
            return len(locked.world.memory._scores(WANTED.names.queue))

        async def later(number: int) -> None:
            await pause(until=lambda: locked.world.holds(WANTED.names.holder) and in_line() == number - 2)
            await locked.user(number, processes[number - 1])

        async def first() -> None:
            ports, turns = processes[0]
            holding = await acquire(ports, turns, WANTED)
            locked.enter(1, holding)
            await pause(until=lambda: in_line() == 2)
            locked.leave(1, holding)
            await release(ports, turns, holding)

        return [first(), later(2), later(3)]

    def make() -> tuple[Sequence[Actor], Callable[[], str | None]]:
        locked = Locked(World(PRODUCTION))
        return [
            isolated(actor) for actor in cast(locked)
        ], lambda: locked.verdict() or (None if locked.served == [1, 2, 3] else f"served in the order {locked.served}")

    found = explore(make)

    print(f"{found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


# --- a test of the tests -------------------------------------------------------------------------------------------
def nothing() -> ops.Op:
    return ops.Get("nothing")


def releases_anybodys(memory: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(token=memory._bytes(op.holder) or op.token) if isinstance(op, ops.Release) else op


def renews_anybodys(memory: MemoryStore, op: ops.Op) -> ops.Op:
    return ops.Seize(op.lease, op.ttl_ms, op.mark) if isinstance(op, ops.Extend) else op


def one_token_for_all(_: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(token=b"process") if isinstance(op, (ops.Acquire, ops.Release)) else op


def forgets_its_place(_: MemoryStore, op: ops.Op) -> ops.Op:
    """Who gives up leaves its place in the line to nobody."""
    return op._replace(queue="elsewhere") if isinstance(op, ops.Release) else op


def waits_for_the_dead(_: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(patience_ms=3_600_000) if isinstance(op, ops.Acquire) else op


def has_one_fence(memory: MemoryStore, op: ops.Op) -> ops.Op:
    """The fence is a number of the holder's key, and goes with it."""
    if isinstance(op, ops.Acquire):
        memory._drop(op.waiters)
    return op


WRONG: dict[str, tuple[Variant, str, str]] = {
    "a release that does not compare": (Variant(releases_anybodys), "one of two processes is interrupted after 2 turns", "lost"),
    "a renewal by SET": (Variant(renews_anybodys), "holder that stands still until its lock has lapsed", "lost|left"),
    "one token for all": (Variant(one_token_for_all), "two of two processes", "at once|fence"),
    "a place that is not given up": (Variant(forgets_its_place), "one of two processes is interrupted after 2 turns", "left"),
    "a line that waits for the dead": (Variant(waits_for_the_dead), "somebody in the line is dead", "deadlock"),
    "a fence that goes with its holder": (Variant(has_one_fence), "two of two processes", "fence"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_variant_is_caught(name: str) -> None:
    variant, meeting, said = WRONG[name]
    make = scenario((MEETINGS | DRAWN)[meeting], variant)

    caught(name, explore(make) if meeting in MEETINGS else sample(make, runs=10 * RUNS, seed=5), said)


def test_lines_in_which_nobody_is_called_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Turn, "call", lambda turn: None)

    caught("nobody is called", explore(scenario(MEETINGS["two of one process"], PRODUCTION)), "deadlock")


def caught(name: str, found: Exploration, said: str) -> None:
    assert found.failure is not None, f"{found.schedules:,} schedules passed"
    print(f"{name}: caught after {found.schedules:,} schedules: {found.failure}")
    assert any(word in found.failure.problem for word in said.split("|")), found.failure.problem
