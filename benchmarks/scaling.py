"""What does not change as a cache grows: more threads, more tasks, more entries on the server, more tags on an entry."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import ormsgpack
import redis
from redis.asyncio import Redis

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._floor import open_wire
from benchmarks._rounds import Timed, interleave, timed, timed_tasks
from benchmarks.keys import PACKED, VALUE


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure a hit of one key."""
    with Cache(run.url, namespace="bench") as cache, redis.Redis.from_url(run.url) as by_hand:
        cache.set("key", VALUE)
        by_hand.set("by-hand", PACKED)
        yield from threads(run, cache)
        with asyncio.Runner() as runner:
            yield tasks(run, runner, cache)
        yield tags(run, cache)
        yield entries(run, cache, by_hand)


def threads(run: Run, cache: Cache) -> Iterator[Comparison]:
    """Compare by the number of threads, on one processor."""
    with open_wire(run) as wire:
        candidates = {"floor: GET, 1 thread": timed(lambda: ormsgpack.unpackb(wire(("GET", "by-hand"))))}
        candidates |= {f"afresh: cache.get, {many} threads": timed_threads(lambda: cache.get("key"), many) for many in (1, 4, 16, 64)}
        yield Comparison("get, by threads", interleave(candidates, run.rounds))


def timed_threads(operation: Callable[[], object], threads: int) -> Timed:
    """Return the candidate for a function that so many threads call. Each call counts."""

    def spread(times: int) -> float:
        each = times // threads + 1
        workers = [threading.Thread(target=timed(operation), args=(each,)) for _ in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return (time.perf_counter() - began) * times / (each * threads)

    return spread


def tasks(run: Run, runner: asyncio.Runner, cache: Cache) -> Comparison:
    """Compare by the number of tasks, with redis.asyncio, whose tasks have a connection each."""
    client = Redis.from_url(run.url)

    async def by_hand() -> object:
        return ormsgpack.unpackb(await client.get("by-hand"))  # type: ignore[arg-type]  # bytes

    with open_wire(run) as wire:
        candidates = {"floor: GET, blocking": timed(lambda: ormsgpack.unpackb(wire(("GET", "by-hand"))))}
        for many in (1, 50, 1000):
            candidates[f"afresh: cache.aio.get, {many} tasks"] = timed_tasks(runner, lambda: cache.aio.get("key"), tasks=many)
        candidates["redis.asyncio by hand, 50 tasks"] = timed_tasks(runner, by_hand, tasks=50)
        measured = interleave(candidates, run.rounds)
    runner.run(client.aclose())
    runner.run(cache.aio.aclose())
    return Comparison("get, asyncio, by tasks", measured)


def tags(run: Run, cache: Cache) -> Comparison:
    """Compare by the number of tags that a memoized function declares."""
    candidates: dict[str, Timed] = {}
    with open_wire(run) as wire:
        candidates["floor: GET, with two stamps"] = timed(lambda: wire(("GET", "by-hand"), ("GET", "s1"), ("GET", "s2")))
        for many in (0, 1, 4, 16):
            function = cache.memoize(tags=[f"tag-{at}" for at in range(many)], name=f"with-{many}-tags")(lambda: VALUE)
            function()
            candidates[f"afresh: a remote hit, {many} tags"] = timed(function)
        return Comparison("memoize, by tags", interleave(candidates, run.rounds))


def entries(run: Run, cache: Cache, by_hand: redis.Redis) -> Comparison:
    """Compare by the number of entries on the server: to read one, and to invalidate a tag."""
    samples: dict[str, list[float]] = {}
    with open_wire(run) as wire:
        for more, shown in ((1, "few"), (100_000, "100,000"), (1_000_000, "1,000,000")):
            by_hand.execute_command("DEBUG", "POPULATE", more, "filler", 64)  # type: ignore[no-untyped-call]  # redis-py
            candidates = {"floor: GET": timed(lambda: wire(("GET", "by-hand")))} if not samples else {}
            candidates |= {
                f"afresh: cache.get, {shown} entries": timed(lambda: cache.get("key")),
                f"afresh: invalidate a tag, {shown} entries": timed(lambda: cache.invalidate_tags("a-tag")),
            }
            samples |= interleave(candidates, run.rounds)
    by_hand.flushall()
    return Comparison("by entries on the server", samples)
