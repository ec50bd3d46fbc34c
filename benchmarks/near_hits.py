"""Hits in the near tier, against the fastest thing that remembers results: `functools.lru_cache`, which neither expires nor invalidates."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

from afresh import Cache, Near
from afresh.testing import wait_until
from benchmarks import Comparison, Run
from benchmarks._async_peers import near_cashews
from benchmarks._checks import counters, same
from benchmarks._peers import client_side, inside_the_process, installed
from benchmarks._rounds import compare, timed, timed_tasks, timed_threads
from benchmarks.keys import VALUE

FLOOR = "floor: lru_cache(typed=True)"


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure one thread, four threads, and coroutines."""
    with Cache(run.url, namespace="bench", near=Near()) as cache, asyncio.Runner() as runner:
        yield plain(run, cache, runner)
        yield with_keyword(run, cache)
        yield by_threads(run, cache)
        yield from gets(run, cache, runner)
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
    warmed(cache, "function", lambda: double(7))
    warmed(cache, "dict", lambda: record(7))
    warmed(cache, "method", lambda: shop.double(7))
    warmed(cache, "coroutine", lambda: runner.run(double_later(7)))
    candidates = {
        FLOOR: timed(lambda: remembered(7)),
        "afresh: a function": timed(lambda: double(7)),
        "afresh: a method": timed(lambda: shop.double(7)),
        "afresh: a coroutine function": timed_tasks(runner, lambda: double_later(7), tasks=1),
        "afresh: a dict, each its own": timed(lambda: record(7)),
    }
    for name, theirs in inside_the_process(lambda n: 2 * n).items():
        candidates[name] = timed(functools.partial(theirs, 7))
    aims = {"afresh: a function": 2, "afresh: a method": 5, "afresh: a coroutine function": 2.5}
    return compare(run, "near hit: an argument", candidates, aims=aims)


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
    return compare(run, "near hit: three arguments, one by its name", candidates, aims={"afresh: a function": 2})


def by_threads(run: Run, cache: Cache) -> Comparison:
    """Compare four threads that call at once. Each call counts."""

    @functools.lru_cache(maxsize=None, typed=True)
    def remembered(n: int) -> int:
        return 2 * n

    @cache.memoize(name="threads")
    def double(n: int) -> int:
        return 2 * n

    warmed(cache, "threads", lambda: double(7))
    candidates = {FLOOR: timed_threads(lambda: remembered(7), 4), "afresh: a function": timed_threads(lambda: double(7), 4)}
    return compare(run, "near hit: an argument, four threads", candidates, aims={"afresh: a function": 2})


def gets(run: Run, cache: Cache, runner: asyncio.Runner) -> Iterator[Comparison]:
    """Compare reads of a key that the process answers for a client of a server: whoever writes the key there is heard of."""

    @functools.lru_cache(maxsize=None, typed=True)
    def remembered(n: int) -> int:
        return 2 * n

    with ExitStack() as stack:
        cache.set("key", 1)
        warmed(cache, "keys", lambda: cache.get("key"))
        candidates = {FLOOR: timed(lambda: remembered(7))}
        plain: dict[str, Callable[[], object]] = {"afresh: cache.get": lambda: cache.get("key")}
        plain |= installed({"valkey-py: client-side caching": client_side}, run)  # redis-py refuses it on Valkey
        for name, get in plain.items():
            in_process(run, name, get)
            candidates[name] = timed(get)
        with suppress(ImportError):
            get_later = stack.enter_context(near_cashews(run, runner, 1))
            in_process(run, "cashews", lambda: runner.run(get_later()))
            candidates["cashews: client side"] = timed_tasks(runner, get_later, tasks=1)
        yield compare(run, "near get of a client of a server", candidates, aims={"afresh: cache.get": 3})


def in_process(run: Run, name: str, get: Callable[[], object]) -> None:
    """Refuse what asks the server."""
    get()
    before = counters(run)["keyspace_hits"]
    for _ in range(5):
        same(name, get(), 1)
    same(f"{name}: what it asked the server", counters(run)["keyspace_hits"] - before, 0)
