"""Flights delivered twice: the server ran one, its reply was lost with the connection, and it was sent again.

The network brings the first copy at any time: before the second, or long after it, as a half-open way does that heals. Its operations run
as one step then, and nobody hears of what they answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from afresh.core import ops, writes
from afresh.core.ports import Ports
from afresh.core.reads import Request
from afresh.core.repeats import may_repeat, repeated
from afresh.core.writes import Target
from afresh.errors import StoreUnavailable
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor, Scenario
from tests.flows.world import FUNCTION, KEYS, NAMES, NAMESPACE, PRODUCTION, STAMPS, Variant, World, isolated, request

Kinds = Collection[type]
Repeat = Callable[[Sequence[ops.Op], Callable[[int], bytes]], Sequence[ops.Op] | None]


def as_in_production(batch: Sequence[ops.Op], token: Callable[[int], bytes]) -> Sequence[ops.Op] | None:
    return repeated(batch, token) if may_repeat(batch) else None


class RepeatingWorld(World):
    """A world whose network loses replies to flights with operations of some kinds, each kind once."""

    def __init__(self, variant: Variant, repeat: Repeat) -> None:
        super().__init__(variant)
        self.repeat = repeat
        self.under_way: dict[type, Sequence[ops.Op]] = {}
        self.lost: set[type] = set()
        self.ended = False

    def losing(self, *kinds: type) -> Ports:
        """Return a process that loses replies."""
        ports = self.process()
        return Ports(_LosingStore(self, ports.store, kinds), ports.clock, ports.flights, ports.events, ports.token)

    async def network(self, kind: type, *, is_late: bool = False) -> None:
        """Bring the first copy of a flight with an operation of this kind; a late one, after something was invalidated."""
        await pause(until=lambda: bool(self.applied) if is_late else kind in self.under_way or self.ended)
        if kind in self.under_way:
            self.run(self.under_way.pop(kind))

    async def ending(self, actor: Actor) -> None:
        await actor
        self.ended = True

    async def losing_invalidator(self, kind: str) -> None:
        bit = self._bit()
        self.called |= bit
        target = Target(NAMES, FUNCTION.key) if kind == "key" else Target(None, STAMPS[kind])
        await writes.invalidate(self.losing(ops.Bump, ops.Invalidate), [target])
        self.applied |= bit

    def verdict(self, wanted: Request) -> str | None:
        """Judge as ever, but for leases: one that a late claim took lapses by itself."""
        self.memory._data.pop(NAMES.lease, None)
        return super().verdict(wanted)


class _LosingStore:
    def __init__(self, world: RepeatingWorld, store: Any, kinds: Kinds) -> None:
        self._world, self._store, self._kinds = world, store, kinds

    async def flight(self, batch: Sequence[ops.Op], /, spent_us: int = 0) -> list[Any]:
        world = self._world
        for kind in (each.__class__ for each in batch):
            if kind in self._kinds and kind not in world.lost:
                world.lost.add(kind)
                world.under_way[kind] = list(batch)
                again = world.repeat(batch, world._token)
                if again is None:
                    await pause()
                    raise StoreUnavailable("the connection was lost")
                return await self._store.flight(again, spent_us)
        return await self._store.flight(batch, spent_us)


Cast = Callable[[RepeatingWorld, Request], list[Actor]]


def scenario(cast: Cast, repeat: Repeat = as_in_production, *, warm: bool = False) -> Scenario:
    wanted = request()

    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        world = RepeatingWorld(PRODUCTION, repeat)
        if warm:
            world.warm(wanted)
        return [isolated(actor) for actor in cast(world, wanted)], lambda: world.verdict(wanted)

    return make


def two_invalidations(world: RepeatingWorld, wanted: Request, *, kind: str) -> list[Actor]:
    """The first is delivered twice; a value is computed in between."""
    sent = ops.Invalidate if kind == "key" else ops.Bump
    return [
        world.ending(world.losing_invalidator(kind)),
        world.network(sent),
        world.reader(world.process(), wanted),
        world.invalidator(kind),
    ]


def reader_and_invalidation(world: RepeatingWorld, wanted: Request, *, kind: str, lost: Kinds) -> list[Actor]:
    reader = world.ending(world.reader(world.losing(*lost), wanted))
    return [reader, *(world.network(each) for each in lost), world.invalidator(kind)]


def refresher_and_invalidation(world: RepeatingWorld, wanted: Request, *, lost: Kinds) -> list[Actor]:
    refresher = world.ending(world.refresher(world.losing(*lost), wanted))
    return [refresher, *(world.network(each) for each in lost), world.invalidator("key")]


def putter_and_eviction(world: RepeatingWorld, wanted: Request) -> list[Actor]:
    """A put elsewhere has made sure of the tag's stamp; once the tag was invalidated and its stamp evicted, the first copy comes."""
    putting = writes.put(world.losing(ops.Stamp), request(names=NAMESPACE.names("f:f(2)")), 0)
    with suppress(StopIteration):
        while True:
            putting.send(None)

    async def evict() -> None:
        await pause(until=lambda: bool(world.applied))
        world.memory._data.pop(KEYS["tag"], None)

    return [world.reader(world.process(), wanted), world.invalidator("tag"), evict(), world.network(ops.Stamp, is_late=True)]


SCENARIOS: dict[str, partial[Scenario]] = {
    **{f"{kind} invalidated twice over": partial(scenario, partial(two_invalidations, kind=kind), warm=True) for kind in ("key", "tag")},
    **{
        f"reader whose {' and '.join(each.__name__.lower() for each in lost)} came twice, {kind} invalidated": partial(
            scenario, partial(reader_and_invalidation, kind=kind, lost=lost)
        )
        for kind in ("key", "tag")
        for lost in ((ops.Get,), (ops.Claim,), (ops.Commit,), (ops.Claim, ops.Commit))
    },
    "refresh whose seize and commit came twice, key invalidated": partial(
        scenario, partial(refresher_and_invalidation, lost=(ops.Seize, ops.Replace))
    ),
    "put whose stamps came twice, tag invalidated and evicted": partial(scenario, putter_and_eviction),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_breaks_the_contract_when_a_flight_is_delivered_twice(name: str) -> None:
    found = explore(SCENARIOS[name]())

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


def unchanged(batch: Sequence[ops.Op], token: Callable[[int], bytes]) -> Sequence[ops.Op]:
    """The same stamp is sent twice."""
    return batch


WRONG = {
    "the same stamp sent twice, tag": (unchanged, "tag invalidated twice over"),
    "the same stamp sent twice, put": (unchanged, "put whose stamps came twice, tag invalidated and evicted"),
    "a claim sent twice": (unchanged, "reader whose claim came twice, key invalidated"),
    "a seize sent twice": (unchanged, "refresh whose seize and commit came twice, key invalidated"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_repeat_is_caught(name: str) -> None:
    repeat, wanted = WRONG[name]

    found = explore(SCENARIOS[wanted](repeat))

    assert found.failure is not None, f"{found.schedules:,} schedules passed"
    assert "deadlock" not in found.failure.problem
    print(f"{name}: caught after {found.schedules:,} schedules: {found.failure}")
