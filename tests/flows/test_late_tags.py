"""Tags that only the result names, under every order of steps: nothing that was invalidated while it was computed is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import pytest

from afresh.core import ops
from afresh.core.ports import Ports
from afresh.core.writes import Target, invalidate
from afresh.near.access import NearAccess, Token
from afresh.near.pushes import Pushes
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor, Scenario
from tests.flows.near_world import NearVariant, NearWorld
from tests.flows.world import NAMESPACE, Still, isolated, request, sample

LATE = NAMESPACE.tag_of("late")
WANTED = request()._replace(result_tags=lambda _: ["late"])
HOUR_MS = 3_600_000


class Hearing(Still):
    """A clock that stands; while somebody sleeps, what is on its way to that process arrives."""

    ports: Ports

    async def sleep_ms(self, duration_ms: float, /) -> None:
        await pause()
        self._world.deliver(self.ports, 100)


class LateWorld(NearWorld):
    """A process whose results name their tags, and others that invalidate them."""

    def hearing_process(self) -> Ports:
        clock = Hearing(self)
        clock.ports = self.near_process().but(clock=clock)
        return clock.ports

    async def late_invalidator(self) -> None:
        bit = self._bit()
        self.called |= bit
        await invalidate(self.process(replies=False), [Target(None, LATE.key)])
        self.applied |= bit
        self.due[bit] = self.sent


def scenario(variant: NearVariant, *, there: bool, cast: Callable[[LateWorld, Ports], Sequence[Actor]], replies: bool = False) -> Scenario:
    """Return a world in which the late tag has a stamp, or none; with `replies`, their way back is a step of its own."""

    def make() -> tuple[Sequence[Actor], Callable[[], str | None]]:
        world = LateWorld(variant, replies=replies)
        near = world.hearing_process()
        if there:
            world.run([ops.Stamp(LATE.key, LATE.writers, b"stamp--0", HOUR_MS)])
        world.deliver(near, 100)
        return [isolated(actor) for actor in cast(world, near)], lambda: world.outcome(WANTED)

    return make


def reader_and_invalidation(world: LateWorld, near: Ports, *, pushes: int = 1, reads: int = 1) -> list[Actor]:
    return [world.near_reader(near, WANTED, reads=reads), world.late_invalidator(), world.pump(near, pushes=pushes)]


def listener_that_begins_anew(world: LateWorld, near: Ports) -> list[Actor]:
    """The connection is lost with what is on its way, and there is another one."""

    async def reconnect() -> None:
        await pause()
        ear = world.ear(near)
        ear.heard += len(ear.on_its_way)
        ear.on_its_way.clear()
        ear.tier.begin()
        ear.tier.extend(1e12)

    return [world.near_reader(near, WANTED, reads=1), world.late_invalidator(), reconnect()]


def two_readers(world: LateWorld, near: Ports) -> list[Actor]:
    return [*(world.near_reader(near, WANTED, reads=1) for _ in range(2)), world.late_invalidator(), world.pump(near)]


SCENARIOS: Mapping[str, Callable[[NearVariant], Scenario]] = MappingProxyType(
    {
        "stamp there": partial(scenario, there=True, cast=reader_and_invalidation),
        "no stamp": partial(scenario, there=False, cast=reader_and_invalidation),
        "listener begins anew": partial(scenario, there=True, cast=listener_that_begins_anew),
    }
)
SAMPLED: Mapping[str, Callable[[NearVariant], Scenario]] = MappingProxyType(
    {
        "two reads, stamp there": partial(scenario, there=True, cast=partial(reader_and_invalidation, reads=2, pushes=3), replies=True),
        "two reads, no stamp": partial(scenario, there=False, cast=partial(reader_and_invalidation, reads=2, pushes=3), replies=True),
        "two readers": partial(scenario, there=True, cast=two_readers, replies=True),
        "two readers, no stamp": partial(scenario, there=False, cast=two_readers, replies=True),
    }
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_stores_what_was_invalidated_meanwhile(name: str) -> None:
    found = explore(SCENARIOS[name](NearVariant()))

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", SAMPLED)
def test_no_schedule_drawn_stores_what_was_invalidated_meanwhile(name: str) -> None:
    found = sample(SAMPLED[name](NearVariant()), runs=400, seed=7)

    print(f"{name}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)


class Impatient(NearAccess):
    """Does not wait for the mark."""

    def silence(self, token: Token, names: Sequence[str], mark: str, /) -> bool | None:
        return super().silence(token, names, mark) is not False


class Deaf(Pushes):
    """Has never heard of any tag."""

    def were_silent(self, names, since: int) -> bool:
        return super().were_silent([name for name in names if name != LATE.key], since)


class Trusting(NearAccess):
    """Asks the generation of now, which may have begun since."""

    def silence(self, token: Token, names: Sequence[str], mark: str, /) -> bool | None:
        return super().silence(token._replace(generation=self._tier.generation), names, mark)


WRONG: Mapping[str, tuple[NearVariant, str]] = MappingProxyType(
    {
        "stamps after the compute, whatever was pushed": (NearVariant(pushes=Deaf), "stamp there"),
        "no wait for what is on its way": (NearVariant(access=Impatient), "stamp there"),
        "a first stamp that counts for nothing": (NearVariant(silent=lambda name: name == LATE.key), "no stamp"),
        "a generation that has not heard everything": (NearVariant(access=Trusting), "listener begins anew"),
    }
)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_variant_is_caught(name: str) -> None:
    variant, wanted = WRONG[name]

    found = explore(SCENARIOS[wanted](variant))

    assert found.failure is not None, f"{found.schedules:,} schedules passed"
    assert "deadlock" not in found.failure.problem
    print(f"{name}: caught after {found.schedules:,} schedules: {found.failure}")
