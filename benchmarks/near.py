"""Hits inside the process, against the standard library's cache, which has no ttl, no bound in bytes and no coherence."""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from afresh import Cache, Near
from afresh.testing import wait_until
from benchmarks import Comparison, Run
from benchmarks._rounds import Timed, interleave, timed, timed_tasks


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure calls whose results are immutable and were asked for before."""
    with Cache(run.url, namespace="bench-near", near=Near()) as cache, asyncio.Runner() as runner:

        @functools.lru_cache(typed=True)
        def by_lru_cache(a: int, b: int) -> int:
            return a + b

        @cache.memoize()
        def function(a: int, b: int) -> int:
            return a + b

        @cache.aio.memoize()
        async def coroutine_function(a: int, b: int) -> int:
            return a + b

        class Adder:
            @cache.memoize()
            def method(self, b: int) -> int:
                return 1 + b

            def __cache_key__(self) -> str:
                return "adder"

        adder = Adder()
        cache.set("key", 3)

        def is_warm() -> bool:
            by_lru_cache(1, 2), function(1, 2), runner.run(coroutine_function(1, 2)), adder.method(2), cache.get("key")
            return function.stats().near_hits > 0 and coroutine_function.stats().near_hits > 0

        wait_until(is_warm, 10, "the near tier to be coherent")
        candidates: dict[str, Timed] = {
            "floor: lru_cache(typed=True)": timed(lambda: by_lru_cache(1, 2)),
            "afresh: a memoized function": timed(lambda: function(1, 2)),
            "afresh: a memoized method": timed(lambda: adder.method(2)),
            "afresh: cache.get": timed(lambda: cache.get("key")),
            "afresh: a coroutine function": timed_tasks(runner, lambda: coroutine_function(1, 2), tasks=1),
        }
        candidates |= {name: timed(call) for name, call in peers().items()}
        aims = {
            "afresh: a memoized function": 2,
            "afresh: a memoized method": 5,
            "afresh: cache.get": 3,
            "afresh: a coroutine function": 2.5,
        }
        yield Comparison("near: a hit inside the process", interleave(candidates, run.rounds), aims)
        runner.run(cache.aio.aclose())


def peers() -> dict[str, Callable[[], Any]]:
    """Return the same by others, where they are installed."""
    found: dict[str, Callable[[], Any]] = {}
    for package in ("cachebox", "cachetools"):
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue
        made = module.TTLCache(maxsize=1000, ttl=300) if package == "cachetools" else module.TTLCache(1000, 300)

        @module.cached(made)  # type: ignore[untyped-decorator]  # it may be absent
        def function(a: int, b: int) -> int:
            return a + b

        function(1, 2)
        found[package] = functools.partial(function, 1, 2)
    return found
