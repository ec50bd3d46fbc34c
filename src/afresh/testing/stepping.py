"""Every interleaving of a few actors, one step at a time.

An *actor* is a coroutine that suspends only at `pause`: what it does between two pauses is one atomic step, as one command
or script is on a server. `explore` runs the actors under every order of their steps and asks after each whether the
outcome is acceptable, so that "no schedule breaks this" is a statement about all schedules, not about those that a stress
test happened to hit.

Give the flows of production a port that pauses before each of its calls, and what is explored is what runs in production.

The search is depth-first by replay: coroutines cannot be copied, so each schedule starts from a new world. Actors of
n₁, n₂, … steps have (n₁+n₂+…)! / (n₁!·n₂!·…) schedules, where k pauses make k + 1 steps: keep actors short and few.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Actor", "Exploration", "Failure", "Scenario", "explore", "pause"]

Actor: TypeAlias = Coroutine[Any, Any, object]
Scenario: TypeAlias = Callable[[], tuple[Sequence[Actor], Callable[[], str | None]]]
_Ready: TypeAlias = Callable[[], bool]


@types.coroutine
def pause(until: Callable[[], bool] | None = None) -> Generator[_Ready | None]:
    """End the actor's step; the next one begins when the schedule says so.

    Args:
        until: the next step may begin only while this returns true, as for an actor that waits for another. It must only
            look at the world.
    """
    yield until


@dataclass(frozen=True, slots=True)
class Failure:
    """A schedule that breaks the scenario.

    Attributes:
        problem: what the verdict said; or that all actors left wait for each other.
        schedule: the actors' indexes, in the order of their steps.
    """

    problem: str
    schedule: tuple[int, ...]

    def __str__(self) -> str:
        """Say both on one line."""
        return f"{self.problem}, under schedule {list(self.schedule)}"


@dataclass(frozen=True, slots=True)
class Exploration:
    """What `explore` found.

    Attributes:
        schedules: how many schedules ran, the failing one included.
        failure: the first failure; None when every schedule passed.
    """

    schedules: int
    failure: Failure | None


def explore(make: Scenario, *, limit: int = 1_000_000) -> Exploration:
    """Run a scenario under every order of its actors' steps, until one fails.

    The search is in the lexicographic order of schedules: the same scenario gives the same count and the same first
    failure each time. What an actor or the verdict raises is not caught; a note on it names the schedule.

    Args:
        make: builds a new world; returns its actors and the verdict, a function that is called when all of them have
            ended and returns what is wrong, or None. It builds the same world each time: no clock, no randomness.
        limit: schedules to run at most, so that a scenario that grew too large says so.

    Returns:
        How many schedules ran, and the first failure.

    Raises:
        ValueError: there are more than ``limit`` schedules.
        TypeError: an actor awaited something other than `pause`.
    """
    schedules = 0
    todo: list[list[int]] = [[]]
    while todo:
        if schedules == limit:
            raise ValueError(f"more than {limit:,} schedules: take fewer or shorter actors, or raise limit=")
        schedule = todo.pop()
        schedules += 1
        try:
            problem = _Run(make).follow(schedule, todo)
        except Exception as error:
            error.add_note(f"under schedule {schedule}")
            raise
        if problem is not None:
            return Exploration(schedules, Failure(problem, tuple(schedule)))
    return Exploration(schedules, None)


class _Run:
    """One world, and where its actors stand."""

    def __init__(self, make: Scenario) -> None:
        self._actors, self._verdict = make()
        # What each actor that has not ended waits for; kept in the order of indexes.
        self._live: dict[int, _Ready | None] = dict.fromkeys(range(len(self._actors)))

    def follow(self, schedule: list[int], todo: list[list[int]]) -> str | None:
        """Take the schedule's steps, go on to the end in the first order there is, and note the others in ``todo``."""
        try:
            for index in schedule:
                self._step(index)
            while self._live:
                ready = [index for index, until in self._live.items() if until is None or until()]
                if not ready:
                    return f"deadlock: actors {list(self._live)} wait for each other"
                todo.extend([*schedule, other] for other in ready[:0:-1])
                schedule.append(ready[0])
                self._step(ready[0])
            return self._verdict()
        finally:
            for actor in self._actors:
                actor.close()

    def _step(self, index: int) -> None:
        try:
            until = self._actors[index].send(None)
        except StopIteration:
            del self._live[index]
            return
        if until is not None and not callable(until):
            raise TypeError(f"actor {index} awaited {until!r}: an actor suspends at pause() only")
        self._live[index] = until
