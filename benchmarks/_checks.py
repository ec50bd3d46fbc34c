"""Nothing is timed that is not what its row says: a hit returns the value, and the server's own counters say who answered it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from benchmarks import Run, Timed
from benchmarks._async_peers import NAMES
from benchmarks._floor import open_wire
from benchmarks._rounds import timed, timed_tasks

_TIMES = 5


def hits(run: Run, value: object, operations: Mapping[str, Callable[[], object]]) -> dict[str, Timed]:
    """Return the candidates for functions that return that value from the server, each of them checked."""
    for name, operation in operations.items():
        with served(run, name, at_least=_TIMES):
            for _ in range(_TIMES):
                same(name, operation(), value)
    return {name: timed(operation) for name, operation in operations.items()}


def task_hits(
    run: Run, runner: asyncio.Runner, value: object, operations: Mapping[str, Callable[[], Awaitable[object]]], *, tasks: int
) -> dict[str, Timed]:
    """Return the candidates for coroutine functions that return that value from the server, each of them checked."""

    async def check(name: str, operation: Callable[[], Awaitable[object]]) -> None:
        for got in await asyncio.gather(*(operation() for _ in range(tasks))):
            same(name, got, value)

    for name, operation in operations.items():
        with served(run, name, at_least=min(tasks, len(NAMES))):
            runner.run(check(name, operation))
    return {name: timed_tasks(runner, operation, tasks=tasks) for name, operation in operations.items()}


@contextmanager
def served(run: Run, name: str, *, at_least: int) -> Iterator[None]:
    """Have the server confirm that it found so many keys, and that it missed none."""
    before = counters(run)
    yield
    after = counters(run)
    found, missed = (after[counter] - before[counter] for counter in ("keyspace_hits", "keyspace_misses"))
    if found < at_least or missed:
        raise AssertionError(f"{name} is not what its row says: the server found {found} keys, and missed {missed}")


def counters(run: Run) -> dict[str, int]:
    """Return what the server counts."""
    with open_wire(run) as wire:
        told = (line.partition(":") for line in wire.one("INFO", "stats").decode().splitlines())
        return {name: int(value) for name, _, value in told if value.isdecimal()}


def same(name: str, got: object, value: object) -> None:
    """Refuse a wrong value."""
    if got != value:
        raise AssertionError(f"{name} returned {got!r:.100}")
