"""Memo tables under every order of steps: rows from before an invalidation are never served after it, nor built upon."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from afresh import AsyncRecurrence, Cache
from afresh.core import ops
from afresh.core.ports import Ports
from afresh.core.writes import Target, invalidate
from afresh.runtime.run_now import run_now
from afresh.stores.memory import MemoryStore
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor, Scenario
from tests.flows.world import NAMESPACE, PRODUCTION, Variant, World, isolated, sample


@Cache("memory://", namespace="t").recurrence(base={0: -1}, name="rows")
async def rows(n: int, previous: int) -> int:
    """Stand for the functions of all worlds: their table, and how it is grown. The base has seen every invalidation."""
    raise NotImplementedError


TABLE = rows._table
STAMP = TABLE.needs.tags[-1].key


class TableWorld(World):
    """Processes that have one memo table."""

    def recurrence(self, ports: Ports, *, raises: bool = False) -> AsyncRecurrence[int]:
        async def fn(n: int, previous: int) -> int:
            if raises:
                raise LookupError
            seen = self.called
            await pause()
            return seen & previous

        return AsyncRecurrence(_Using(ports), fn, TABLE)

    async def grower(self, ports: Ports, n: int) -> None:
        low = self.applied
        self.check(await self.recurrence(ports)(n), low)

    async def late_beginner(self, ports: Ports) -> None:
        """Begin the table anew after the invalidation, and get no further."""
        await pause(until=lambda: bool(self.applied))
        with suppress(LookupError):
            await self.recurrence(ports, raises=True)(3)

    async def invalidator_of_table(self) -> None:
        bit = self._bit()
        self.called |= bit
        await invalidate(self.process(replies=False), [Target(None, STAMP)])
        self.applied |= bit

    def outcome(self, n: int) -> str | None:
        """Say what went wrong, also for those who come now."""
        low = self.applied
        for row in range(n + 1):
            self.check(_run_through(self.recurrence(self.direct)(row)), low)
        if self.problem is None and any(table._flights for table in self.tables):
            return "a flight is left that nobody leads"
        return self.problem


class _Using:
    """As much of an engine as a recurrence uses: the ports."""

    def __init__(self, ports: Ports) -> None:
        self.async_ports = lambda: ports
        self.counters = ports.events
        self.namespace = NAMESPACE


def _run_through(coroutine: Actor) -> object:
    """Drive what suspends only at `pause`."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value


def growing(variant: Variant, cast: Callable[[TableWorld], list[Actor]], *, rows: int = 0, **steps: bool) -> Scenario:
    """Return a world with a table of so many rows, and these actors."""

    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        world = TableWorld(variant, **steps)
        if rows:
            _run_through(world.recurrence(world.direct)(rows))
        return [isolated(actor) for actor in cast(world)], lambda: world.outcome(2)

    return make


def grower_and_invalidation(world: TableWorld) -> list[Actor]:
    return [world.grower(world.process(), 2), world.invalidator_of_table()]


def two_growers(world: TableWorld, *, processes: int) -> list[Actor]:
    ports = [world.process() for _ in range(processes)]
    return [world.grower(ports[0], 2), world.grower(ports[-1], 1), world.invalidator_of_table()]


def grower_and_beginner(world: TableWorld) -> list[Actor]:
    """Whoever begins the table anew does so in one step."""
    return [world.grower(world.process(), 2), world.late_beginner(world.direct), world.invalidator_of_table()]


def stepped_beginner(world: TableWorld) -> list[Actor]:
    return [world.grower(world.process(), 2), world.late_beginner(world.process()), world.invalidator_of_table()]


def eviction(world: TableWorld, *, key: str) -> list[Actor]:
    return [world.grower(world.process(), 2), world.invalidator_of_table(), world.evictor(key)]


SCENARIOS = {
    "grower, invalidation": (grower_and_invalidation, {}),
    "grower, invalidation, rows there": (grower_and_invalidation, {"rows": 1}),
    "grower, invalidation, step by operation and reply": (grower_and_invalidation, {"rows": 1, "by_op": True, "replies": True}),
    "grower, invalidation, begun anew": (grower_and_beginner, {}),
    "grower, invalidation, table evicted": (partial(eviction, key=TABLE.key), {"rows": 1}),
    "grower, invalidation, stamp evicted": (partial(eviction, key=STAMP), {"rows": 1}),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_serves_a_row_from_before_an_invalidation(name: str) -> None:
    cast, options = SCENARIOS[name]

    found = explore(growing(PRODUCTION, cast, **options))

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


SAMPLED = {
    "two growers": (partial(two_growers, processes=1), {"replies": True}),
    "two growers in 2": (partial(two_growers, processes=2), {"replies": True}),
    "two growers in 2, rows there": (partial(two_growers, processes=2), {"rows": 1, "replies": True}),
    "grower and beginner": (stepped_beginner, {"rows": 1}),
    "two growers in 2, step by operation": (partial(two_growers, processes=2), {"rows": 1, "by_op": True}),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_no_schedule_drawn_serves_a_row_from_before_an_invalidation(name: str) -> None:
    cast, options = SAMPLED[name]

    found = sample(growing(PRODUCTION, cast, **options), runs=400, seed=7)

    print(f"{name}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)


def ignores_the_fence(memory: MemoryStore, op: ops.Op) -> ops.Op:
    if not isinstance(op, ops.TableExtend):
        return op
    (fields,) = run_now(memory.flight([ops.HashGet(op.key, ("g",))]))
    return op._replace(fence=fields[0] or op.fence)


def test_a_table_without_its_fence_is_caught() -> None:
    found = explore(growing(Variant(ignores_the_fence), grower_and_beginner))

    assert found.failure is not None
    assert "deadlock" not in found.failure.problem
    print(f"a memo table without its fence: caught after {found.schedules:,} schedules: {found.failure}")
