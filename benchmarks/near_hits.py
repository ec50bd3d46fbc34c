"""Hits in the near tier, against the fastest thing that remembers results: `functools.lru_cache`, which neither expires nor invalidates."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Iterator

from afresh import Cache, Near
from afresh.testing import wait_until
from benchmarks import Comparison, Run
from benchmarks._peers import inside_the_process
from benchmarks._rounds import Timed, interleave, timed, timed_tasks
from benchmarks.keys import VALUE

FLOOR = "floor: lru_cache(typed=True)"


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure one thread, four threads, and coroutines."""
    with Cache(run.url, namespace="bench", near=Near()) as cache, asyncio.Runner() as runner:
        yield plain(run, cache, runner)
        yield with_keyword(run, cache)
        yield by_threads(run, cache)
        runner.run(cache.aio.aclose())


def warmed(cache: Cache, owner: str, call: Callable[[], object]) -> None:
    """Call until the near tier answers, and does so by the call's arguments."""

    def is_near() -> bool:
        before = near_hits()
        for _ in range(3):
            call()
        return near_hits() == before + 3

    def near_hits() -> int:
        stats = cache.stats().get(owner)
        return stats.near_hits if stats else 0

    wait_until(is_near, 10, f"near hits of {owner}")


class Calls:
    """What is called with one argument: the floor, and what afresh has for it."""

    def __init__(self, cache: Cache) -> None:
        @functools.lru_cache(maxsize=None, typed=True)
        def remembered(n: int) -> int:
            return 2 * n

        @cache.memoize(name="function")
        def double(n: int) -> int:
            return 2 * n

        @cache.memoize(name="dict")
        def record(n: int) -> dict[str, object]:
            return VALUE | {"id": n}

        @cache.memoize(name="coroutine")
        async def double_later(n: int) -> int:
            return 2 * n

        class Shop:
            @cache.memoize(name="method", ignore=["self"])
            def double(self, n: int) -> int:
                return 2 * n

        self.remembered, self.double, self.record, self.double_later, self.shop = remembered, double, record, double_later, Shop()


def plain(run: Run, cache: Cache, runner: asyncio.Runner) -> Comparison:
    """Compare a call with one argument, whose result is a number, and what costs more than that."""
    calls = Calls(cache)
    remembered, double, record, double_later, shop = calls.remembered, calls.double, calls.record, calls.double_later, calls.shop
    cache.set("key", 1)
    warmed(cache, "function", lambda: double(7))
    warmed(cache, "dict", lambda: record(7))
    warmed(cache, "method", lambda: shop.double(7))
    warmed(cache, "keys", lambda: cache.get("key"))
    warmed(cache, "coroutine", lambda: runner.run(double_later(7)))
    candidates = {
        FLOOR: timed(lambda: remembered(7)),
        "afresh: a function": timed(lambda: double(7)),
        "afresh: a method": timed(lambda: shop.double(7)),
        "afresh: a coroutine function": timed_tasks(runner, lambda: double_later(7), tasks=1),
        "afresh: cache.get": timed(lambda: cache.get("key")),
        "afresh: a dict, each its own": timed(lambda: record(7)),
    }
    for name, theirs in inside_the_process(lambda n: 2 * n).items():
        candidates[name] = timed(functools.partial(theirs, 7))
    aims = {"afresh: a function": 2, "afresh: a method": 5, "afresh: a coroutine function": 2.5, "afresh: cache.get": 3}
    return Comparison("near hit: an argument", interleave(candidates, run.rounds), aims=aims)


def with_keyword(run: Run, cache: Cache) -> Comparison:
    """Compare a call with several arguments, one by its name."""

    @functools.lru_cache(maxsize=None, typed=True)
    def remembered(a: int, b: int, *, c: int = 1) -> int:
        return a + b + c

    @cache.memoize(name="keyword")
    def added(a: int, b: int, *, c: int = 1) -> int:
        return a + b + c

    warmed(cache, "keyword", lambda: added(1, 2, c=3))
    candidates = {FLOOR: timed(lambda: remembered(1, 2, c=3)), "afresh: a function": timed(lambda: added(1, 2, c=3))}
    return Comparison("near hit: three arguments, one by its name", interleave(candidates, run.rounds), aims={"afresh: a function": 2})


def by_threads(run: Run, cache: Cache) -> Comparison:
    """Compare four threads that call at once. Each call counts."""

    @functools.lru_cache(maxsize=None, typed=True)
    def remembered(n: int) -> int:
        return 2 * n

    @cache.memoize(name="threads")
    def double(n: int) -> int:
        return 2 * n

    warmed(cache, "threads", lambda: double(7))
    candidates = {FLOOR: timed_threads(lambda: remembered(7)), "afresh: a function": timed_threads(lambda: double(7))}
    return Comparison("near hit: an argument, four threads", interleave(candidates, run.rounds), aims={"afresh: a function": 2})


def timed_threads(operation: Callable[[], object], threads: int = 4) -> Timed:
    """Return the candidate for a plain function that so many threads call at once."""

    def run(times: int) -> float:
        ready = threading.Barrier(threads + 1)

        def repeat() -> None:
            ready.wait()
            for _ in range(times // threads + 1):
                operation()

        started = [threading.Thread(target=repeat) for _ in range(threads)]
        for thread in started:
            thread.start()
        ready.wait()
        began = time.perf_counter()
        for thread in started:
            thread.join()
        return (time.perf_counter() - began) * times / ((times // threads + 1) * threads)

    return run
