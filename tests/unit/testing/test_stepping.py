from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import factorial, prod

import pytest

from afresh.testing.stepping import Actor, Scenario, explore, pause


def nothing_wrong() -> str | None:
    return None


def actors_of(steps: list[int], trace: list[int] | None = None) -> list[Actor]:
    async def actor(index: int, steps: int) -> None:
        for _ in range(steps - 1):
            if trace is not None:
                trace.append(index)
            await pause()
        if trace is not None:
            trace.append(index)

    return [actor(index, count) for index, count in enumerate(steps)]


@pytest.mark.parametrize("steps", [[1], [5], [1, 1], [2, 2], [3, 4], [1, 2, 3], [2, 2, 2], [3, 3, 3], [1, 1, 1, 1, 1], []])
def test_every_order_of_steps_runs_exactly_once(steps: list[int]) -> None:
    seen: list[tuple[int, ...]] = []

    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        trace: list[int] = []

        def verdict() -> None:
            seen.append(tuple(trace))

        return actors_of(steps, trace), verdict

    found = explore(make)

    assert found.failure is None
    assert found.schedules == factorial(sum(steps)) // prod(map(factorial, steps))
    assert len(set(seen)) == len(seen) == found.schedules
    assert seen == sorted(seen)


def counter(*, atomic: bool) -> Scenario:
    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        total = 0

        async def increment() -> None:
            nonlocal total
            await pause()
            read = total
            if not atomic:
                await pause()
            total = read + 1

        return [increment(), increment()], lambda: None if total == 2 else f"total is {total}"

    return make


def test_a_lost_update_is_found_and_its_schedule_named() -> None:
    failure = explore(counter(atomic=False)).failure

    assert failure is not None
    assert failure.problem == "total is 1"
    # Both read before either writes, and no schedule that comes earlier in the order does so.
    assert failure.schedule == (0, 0, 1, 1, 0, 1)
    assert str(failure) == "total is 1, under schedule [0, 0, 1, 1, 0, 1]"


def test_the_first_failure_and_its_count_are_the_same_each_time() -> None:
    assert explore(counter(atomic=False)) == explore(counter(atomic=False))


def test_an_atomic_update_passes_under_every_schedule() -> None:
    found = explore(counter(atomic=True))

    assert found.failure is None
    assert found.schedules == 6


def hand_over(*, signal: bool) -> Scenario:
    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        done: list[str] = []

        async def leader() -> None:
            await pause()
            if signal:
                done.append("value")

        async def follower() -> None:
            await pause(until=lambda: bool(done))
            done.append("seen")

        return [leader(), follower()], lambda: None if done == ["value", "seen"] else repr(done)

    return make


def test_an_actor_that_waits_is_not_stepped_before_its_condition_holds() -> None:
    found = explore(hand_over(signal=True))

    assert found.failure is None
    # Without the condition: 2 steps and 2 steps, 6 orders. With it the follower's last step comes last.
    assert found.schedules == 3


def test_actors_that_wait_for_what_never_comes_are_a_deadlock() -> None:
    failure = explore(hand_over(signal=False)).failure

    assert failure is not None
    assert failure.problem == "deadlock: actors [1] wait for each other"


def test_what_an_actor_raises_comes_out_with_its_schedule() -> None:
    async def fails() -> None:
        await pause()
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone") as caught:
        explore(lambda: ([*actors_of([1]), fails()], nothing_wrong))

    assert caught.value.__notes__ == ["under schedule [0, 1, 1]"]


def test_awaiting_anything_else_is_refused() -> None:
    class Foreign:
        def __await__(self):
            yield "a future"

    async def stray() -> None:
        await Foreign()

    with pytest.raises(TypeError, match=r"actor 0 awaited 'a future': an actor suspends at pause\(\) only"):
        explore(lambda: ([stray()], nothing_wrong))


def test_too_many_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 100 schedules"):
        explore(lambda: (actors_of([5, 5, 5]), nothing_wrong), limit=100)


def test_a_failure_leaves_no_actor_unfinished() -> None:
    closed: list[int] = []

    async def actor(index: int) -> None:
        try:
            await pause()
            await pause(until=lambda: False)
        finally:
            closed.append(index)

    assert explore(lambda: ([actor(0), actor(1)], nothing_wrong)).failure is not None
    assert sorted(closed) == [0, 1]


async def test_exploring_inside_a_running_event_loop_works() -> None:
    await asyncio.sleep(0)

    assert explore(counter(atomic=True)).schedules == 6
