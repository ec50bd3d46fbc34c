"""Stamps that are held, and another run of the server: it may have loaded an entry from before an invalidation, and its stamps.

Each thread has a connection of its own and meets the new run when it next has something to ask, as `afresh.stores.peer` does; the listener
has noticed nothing yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from afresh.core import ops
from afresh.core.keys import run_note
from afresh.core.ports import Ports
from afresh.core.reads import Request
from afresh.core.restarts import NOTE_MS, ServerRun
from afresh.near.access import NearAccess, Token
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor, Scenario
from tests.flows.near_world import NearVariant, NearWorld, run_through
from tests.flows.world import NAMES, NAMESPACE, SteppedStore, isolated, request, sample

RUNS = 2000
OLD, NEW = "1" * 40, "2" * 40
NOTE = run_note(NAMESPACE)
WANTED = request()
ANOTHER = request(names=NAMES._replace(value="t:v:{f:f(2)}", lease="t:l:{f:f(2)}", stamp="t:t:{f:f(2)}"))


@dataclass(frozen=True)
class RunVariant(NearVariant):
    """A way to get restarts wrong.

    Attributes:
        bumps: who meets another run bumps the namespace.
        tells: and has its process give up what it held.
        tells_late: but not before others take the run for the one known.
    """

    bumps: bool = True
    tells: bool = True
    tells_late: bool = False


@dataclass
class RestartingWorld(NearWorld):
    """A server that is restarted from a snapshot."""

    run_id: str = OLD
    snapshot: dict[str, Any] = field(default_factory=dict)

    def take_snapshot(self) -> None:
        self.memory._store(NOTE, OLD.encode(), NOTE_MS)
        self.snapshot = dict(self.memory._data)

    async def restart(self) -> None:
        await pause()
        self.memory._data.clear()
        self.memory._data.update(self.snapshot)
        self.run_id, self.version = NEW, self.version + 1

    async def invalidated_and_restarted(self, kind: str) -> None:
        await self.remote(kind, WANTED)
        await self.restart()

    def thread(self, ports: Ports, run: ServerRun) -> Ports:
        """Return a thread of this process, with a connection of its own."""
        return ports.but(store=_MeetingStore(self, run))

    def outcome(self, wanted: Request) -> str | None:
        run_through(_MeetingStore(self, ServerRun()).meet())  # as who comes later does
        return super().outcome(wanted)


class _MeetingStore(SteppedStore):
    """A connection of a process that knows a run. One that was lost is made anew, and what was asked is asked again."""

    def __init__(self, world: RestartingWorld, run: ServerRun) -> None:
        super().__init__(world, by_op=False, replies=True)
        self._restarting = world
        self._run = run
        self._met = OLD

    async def flight(self, batch: Sequence[ops.Op], /, spent_us: int = 0) -> list[Any]:
        while True:
            while self._met != self._restarting.run_id:
                await self.meet()
            await pause()
            if self._met == self._restarting.run_id:
                replies = self._restarting.run(batch)
                await pause()
                return replies

    async def meet(self) -> None:
        """Do what `Peer.meet` does."""
        world, variant = self._restarting, self._restarting.variant
        await pause()
        run_id, noted = world.run_id, world.memory._bytes(NOTE)
        if self._run.is_another(run_id, noted):
            await pause()
            if variant.bumps:
                world.run([ops.Bump(NAMESPACE.tag.key, NAMESPACE.tag.writers, world._token(8))])
        if noted != run_id.encode():
            await pause()
            world.memory._store(NOTE, run_id.encode(), NOTE_MS)
        if variant.tells_late:
            self._run._known, known = run_id, self._run._known
            await pause()
            self._run._known = known
        self._run.settle(run_id)
        self._met = run_id


def scenario(kind: str, variant: RunVariant, *, threads: int) -> Scenario:
    """Return a world in which process P holds stamps that another entry carries, and hears of the invalidation, or not."""

    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        world = RestartingWorld(variant)
        near = world.near_process()
        world.warm(WANTED)
        world.prepare(near, ANOTHER)
        world.deliver(near, 100)
        world.take_snapshot()
        tier = world.ear(near).tier
        run = ServerRun((lambda: tier.generation.pushed_all()) if variant.tells else None)
        run.settle(OLD)
        readers = [world.near_reader(world.thread(near, run), WANTED, reads=1) for _ in range(threads)]
        cast = [*readers, world.invalidated_and_restarted(kind), world.pump(near, pushes=2)]
        return [isolated(actor) for actor in cast], lambda: world.outcome(WANTED)

    return make


class UnbrokenForEver(Token):
    """Says nothing of another run."""

    def is_unbroken(self) -> bool:
        return True


class HeldAcrossRuns(NearAccess):
    """Trusts what it held when it asked."""

    def token(self) -> Token:
        return UnbrokenForEver(*super().token())


SCENARIOS: Mapping[str, Callable[[RunVariant], Scenario]] = {
    f"{kind} invalidated, then restarted": partial(scenario, kind, threads=1) for kind in ("key", "tag")
}
SAMPLED: Mapping[str, Callable[[RunVariant], Scenario]] = {
    f"{kind} invalidated, then restarted, two threads": partial(scenario, kind, threads=2) for kind in ("key", "tag")
}
WRONG: Mapping[str, RunVariant] = {
    "held stamps vouch for another run": RunVariant(access=HeldAcrossRuns),
    "nobody is told of another run": RunVariant(tells=False),
    "no bump": RunVariant(bumps=False),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_breaks_the_contract(name: str) -> None:
    found = explore(SCENARIOS[name](RunVariant()))

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", SAMPLED)
def test_no_schedule_drawn_breaks_the_contract(name: str) -> None:
    found = sample(SAMPLED[name](RunVariant()), runs=RUNS, seed=7)

    print(f"{name}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_variant_is_caught(name: str) -> None:
    found = explore(SCENARIOS["key invalidated, then restarted"](WRONG[name]))

    assert found.failure is not None, f"{found.schedules:,} schedules passed"
    assert "deadlock" not in found.failure.problem
    print(f"{name}: caught after {found.schedules:,} schedules: {found.failure}")


def test_who_takes_the_run_for_known_too_early_is_caught() -> None:
    found = sample(SAMPLED["key invalidated, then restarted, two threads"](RunVariant(tells_late=True)), runs=RUNS, seed=7)

    assert found.failure is not None
    assert "deadlock" not in found.failure.problem
