"""Taking samples: every candidate once a round, in changing order, so that what else the machine does meets all of them."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from benchmarks import Comparison, Run, Timed
from benchmarks._profile import profiled

SAMPLE_S = 0.02


def compare(run: Run, work: str, candidates: Mapping[str, Timed], aims: Mapping[str, float] | None = None) -> Comparison:
    """Measure candidates in turn. Cost: about 20 ms per candidate and round."""
    profiles = {name: partial(profiled, candidate) for name, candidate in candidates.items()}
    return Comparison(work, interleave(candidates, run.rounds), aims or {}, profiles=profiles)


def timed(operation: Callable[[], object]) -> Timed:
    """Return the candidate for a plain function."""

    def run(times: int) -> float:
        began = time.perf_counter()
        for _ in itertools.repeat(None, times):
            operation()
        return time.perf_counter() - began

    return run


def timed_threads(operation: Callable[[], object], threads: int) -> Timed:
    """Return the candidate for a plain function that so many threads call at once. Each call counts."""

    def run(times: int) -> float:
        each = times // threads + 1
        ready = threading.Barrier(threads + 1)

        def repeat() -> None:
            ready.wait()
            for _ in itertools.repeat(None, each):
                operation()

        started = [threading.Thread(target=repeat) for _ in range(threads)]
        for thread in started:
            thread.start()
        began = time.perf_counter()
        ready.wait()
        for thread in started:
            thread.join()
        return (time.perf_counter() - began) * times / (each * threads)

    return run


def timed_tasks(runner: asyncio.Runner, operation: Callable[[], Awaitable[object]], *, tasks: int) -> Timed:
    """Return the candidate for a coroutine function, called by that many tasks at a time. Each call counts."""

    async def repeat(times: int) -> None:
        for _ in itertools.repeat(None, times):
            await operation()

    async def spread(times: int) -> float:
        began = time.perf_counter()
        await asyncio.gather(*(repeat(times // tasks + 1) for _ in range(tasks)))
        return (time.perf_counter() - began) * times / ((times // tasks + 1) * tasks)

    return lambda times: runner.run(spread(times))


def interleave(candidates: Mapping[str, Timed], rounds: int) -> dict[str, list[float]]:
    """Return µs per operation by candidate, a sample for each round. Cost: about 20 ms per candidate and round."""
    times = {name: _calibrated(candidate) for name, candidate in candidates.items()}
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            random.shuffle(order)
            for name in order:
                samples[name].append(candidates[name](times[name]) / times[name] * 1e6)
    finally:
        gc.enable()
    return samples


def _calibrated(candidate: Timed) -> int:
    """Return how many operations take as long as a sample shall. Warms the candidate up, too."""
    times, elapsed_s = 1, 0.0
    while elapsed_s < SAMPLE_S / 4:
        times *= 2
        elapsed_s = candidate(times)
    return max(1, round(times * SAMPLE_S / elapsed_s))
