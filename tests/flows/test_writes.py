"""Writes without a compute, under every order of their steps: no update is lost, and one `add` of several succeeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from afresh.core import ops, writes
from afresh.core.batches import Alike
from afresh.core.plain_puts import Puts
from afresh.core.reads import Request, read
from afresh.core.writes import Target
from afresh.runtime.run_now import run_now
from afresh.testing import explore
from afresh.testing.stepping import Actor, Scenario
from tests.flows.world import BARE, FUNCTION, NAMES, NAMESPACE, PRODUCTION, STAMPS, World, isolated, request

WANTED = request()
UNTAGGED = request(tags=())


def meeting(cast: Callable[[World], Sequence[Actor]], verdict: Callable[[World], str | None], *, there: int | None = None) -> Scenario:
    """Return a world with these actors, and with an entry that holds a number."""

    def make() -> tuple[Sequence[Actor], Callable[[], str | None]]:
        world = World(PRODUCTION)
        if there is not None:
            run_now(writes.put(world.direct, WANTED, there))
        return [isolated(actor) for actor in cast(world)], lambda: verdict(world)

    return make


def stored(world: World, wanted: Request = WANTED) -> object:
    hit, _ = run_now(read(world.direct, wanted))
    return None if hit is None else hit.value


def counting(amounts: Sequence[int]) -> Callable[[World], Sequence[Actor]]:
    def cast(world: World) -> Sequence[Actor]:
        return [writes.incr(world.process(), WANTED, by, create=True) for by in amounts]

    return cast


@pytest.mark.parametrize(
    ("there", "amounts"),
    [
        (None, [1, 2]),
        (5, [1, 2, 4]),
        (10**15 - 1, [1, 1]),  # from the script's numbers to those that it leaves to Python
        (10**20, [1, 2]),
        (10**15, [1, 9 * 10**15 + 5]),  # the digits of one sum are the beginning of another's
        (-(10**20), [10**20, 10**20]),
    ],
)
def test_no_amount_is_lost(there: int | None, amounts: list[int]) -> None:
    total = (there or 0) + sum(amounts)

    def verdict(world: World) -> str | None:
        return None if stored(world) == total else f"{stored(world)}, not {total}"

    found = explore(meeting(counting(amounts), verdict, there=there))

    print(f"{there} + {amounts}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("there", [None, 7])
def test_amounts_added_after_an_invalidation_are_in_the_sum(there: int | None) -> None:
    """A counter that is invalidated begins anew: what was added before is gone, what comes later is not."""

    def cast(world: World) -> Sequence[Actor]:
        async def late() -> None:
            bit = world.applied
            total = await writes.incr(world.process(), WANTED, 1, create=True)
            assert total is not None
            if bit and total > 2:
                world.problem = f"{total}: what was there before the invalidation is in it"

        return [world.invalidator("key"), late(), writes.incr(world.process(), WANTED, 1, create=True)]

    found = explore(meeting(cast, lambda world: world.problem, there=there))

    print(f"{found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("changed", [None, "tag"])
def test_of_several_puts_one_is_there(changed: str | None) -> None:
    """Under stamps that are remembered, as they are or as they were: whoever is last, nobody's value is lost to all."""

    def cast(world: World) -> Sequence[Actor]:
        return [writes.put(world.remembering(WANTED, changed=changed), WANTED, value) for value in (1, 2)]

    def verdict(world: World) -> str | None:
        return None if stored(world) in {1, 2} else f"{stored(world)} is there"

    found = explore(meeting(cast, verdict))

    print(f"{found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("changed", [None, "namespace"])
@pytest.mark.parametrize("are_alike", [False, True])
def test_of_several_plain_puts_one_is_there(are_alike: bool, changed: str | None) -> None:
    """A put of one key and one of several, which are both in one step where the stamp is as it was."""
    names = [BARE.names, NAMESPACE.names("k:other")]
    wanted = Alike(BARE, tuple(each.value for each in names), names.__getitem__)

    def putting(world: World, value: int) -> Actor:
        ports = world.remembering(BARE, changed=changed)
        if are_alike:
            return writes.put_alike(ports, Puts(wanted, [each.lease for each in names], [value, value]))
        return writes.put(ports, BARE, value)

    def verdict(world: World) -> str | None:
        each = [stored(world, request) for request in wanted.requests()]
        return None if each in ([1, 1], [2, 2]) or (not are_alike and each[0] in {1, 2}) else f"{each} are there"

    found = explore(meeting(lambda world: [putting(world, 1), putting(world, 2)], verdict))

    print(f"{found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("kind", STAMPS)
def test_what_was_put_under_stamps_that_had_changed_is_not_served_if_they_change_again(kind: str) -> None:
    world = World(PRODUCTION)
    putting = writes.put(world.remembering(WANTED, changed="tag"), WANTED, 1)
    putting.send(None)  # it is about to write under what it remembers
    putting.send(None)  # it knows better
    assert world.holds(NAMES.value)
    assert stored(world) is None

    run_now(writes.invalidate(world.direct, [Target(None, STAMPS[kind])]))
    with pytest.raises(StopIteration):
        putting.send(None)

    assert world.holds(NAMES.value)
    assert stored(world) is None


@pytest.mark.parametrize("remembers", [False, True])
@pytest.mark.parametrize("state", ["cold", "invalidated", "valid"])
@pytest.mark.parametrize("wanted", [WANTED, UNTAGGED], ids=["tagged", "untagged"])
def test_one_of_several_adds_succeeds(state: str, wanted: Request, remembers: bool) -> None:
    def make() -> tuple[Sequence[Actor], Callable[[], str | None]]:
        world = World(PRODUCTION)
        processes = [world.remembering(wanted) if remembers else world.process() for _ in range(2)]
        if state != "cold":
            run_now(writes.put(world.direct, wanted, 0))
        if state == "invalidated":
            run_now(writes.invalidate(world.direct, [Target(None, FUNCTION.key)]))
        added: list[int] = []

        async def adder(value: int) -> None:
            if await writes.add(processes[value - 1], wanted, value):
                added.append(value)

        def verdict() -> str | None:
            if state == "valid":
                return f"{added} were added to what was there" if added else None
            return None if added == [stored(world, wanted)] else f"{added} were added, {stored(world, wanted)} is there"

        return [isolated(adder(1)), isolated(adder(2))], verdict

    found = explore(make)

    print(f"{state}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("kind", STAMPS)
def test_a_put_overtaken_by_an_invalidation_of_its_tag_is_not_served(kind: str) -> None:
    world = World(PRODUCTION)
    putting = writes.put(world.process(), WANTED, 1)
    putting.send(None)  # it is about to ask for its stamps
    putting.send(None)  # it has them

    run_now(writes.invalidate(world.direct, [Target(None, STAMPS[kind])]))
    with pytest.raises(StopIteration):
        putting.send(None)

    assert world.holds(NAMES.value)
    assert stored(world) is None


def test_a_touch_does_not_revive_what_was_invalidated() -> None:
    def cast(world: World) -> Sequence[Actor]:
        async def toucher() -> None:
            low = world.applied
            if await writes.touch(world.process(), WANTED) and low:
                world.problem = "an entry was touched that had been invalidated"

        return [toucher(), world.invalidator("tag"), world.invalidator("key")]

    def verdict(world: World) -> str | None:
        return world.problem or (None if stored(world) is None else "an invalidated entry is served")

    found = explore(meeting(cast, verdict, there=0))

    print(f"{found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


def test_an_operation_of_a_flight_that_is_refused_harms_no_other() -> None:
    world = World(PRODUCTION)
    run_now(world.memory.flight([ops.TableStart("t:h:{x}", b"", b"g", 1000, 0, (b"1",))]))

    refused, reply = run_now(world.memory.flight([ops.Get("t:h:{x}"), ops.Get("t:v:{y}")]))

    assert refused.code == "WRONGTYPE"
    assert reply is None
