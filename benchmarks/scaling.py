"""What does not change as a cache grows: more threads, more tasks, more entries on the server, more tags on an entry."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import ormsgpack
import redis

from afresh import Cache
from benchmarks import Comparison, Run, Timed
from benchmarks._async_peers import NAMES, async_peers
from benchmarks._checks import hits, task_hits
from benchmarks._floor import Wire, open_wire
from benchmarks._rounds import compare, interleave, timed, timed_threads
from benchmarks.keys import PACKED, STAMP, VALUE

THREADS = (1, 4, 16, 64)
TASKS = (1, 10, 50, 200, 1000)
TAGS = (0, 1, 4, 16)
ENTRIES = (1_000, 10_000, 100_000, 1_000_000)


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure a hit, on one processor. Callers at one time read different keys."""
    with Cache(run.url, namespace="bench") as cache, redis.Redis.from_url(run.url) as by_hand, open_wire(run) as wire:
        cache.set_many(dict.fromkeys(NAMES, VALUE))
        by_hand.mset(dict.fromkeys(["by-hand", *NAMES], PACKED))
        floor = hits(run, VALUE, {"floor: GET, 1 thread": lambda: ormsgpack.unpackb(wire.one("GET", "by-hand"))})
        yield threads(run, cache, by_hand, floor)
        with asyncio.Runner() as runner:
            yield tasks(run, runner, cache, floor)
        yield tags(run, cache, wire)
        yield entries(run, cache, wire, floor)


def threads(run: Run, cache: Cache, by_hand: redis.Redis, floor: dict[str, Timed]) -> Comparison:
    """Compare by the number of threads, with redis-py, each of whose threads takes a connection."""
    candidates = dict(floor)
    names = itertools.cycle(NAMES)
    for many in THREADS:
        candidates[f"afresh: cache.get, {many} threads"] = timed_threads(lambda: cache.get(next(names)), many)
        candidates[f"redis-py by hand, {many} threads"] = timed_threads(lambda: ormsgpack.unpackb(by_hand.get(next(names))), many)  # type: ignore[arg-type]  # bytes
    return compare(run, "get, by threads", candidates)


def tasks(run: Run, runner: asyncio.Runner, cache: Cache, floor: dict[str, Timed]) -> Comparison:
    """Compare by the number of tasks, with redis.asyncio, each of whose tasks takes a connection."""
    candidates = dict(floor)
    names = itertools.cycle(NAMES)
    with async_peers(run, runner, VALUE, ormsgpack.packb, ormsgpack.unpackb) as peers:
        by_hand = peers["redis.asyncio by hand"].get
        for many in TASKS:
            candidates |= task_hits(
                run, runner, VALUE, {f"afresh: cache.aio.get, {many} tasks": lambda: cache.aio.get(next(names))}, tasks=many
            )
            if many <= 50:  # beyond a hundred connections it raises
                candidates |= task_hits(
                    run, runner, VALUE, {f"redis.asyncio by hand, {many} tasks": lambda: by_hand(next(names))}, tasks=many
                )
        measured = compare(run, "get, asyncio, by tasks", candidates)
    runner.run(cache.aio.aclose())
    return measured


def tags(run: Run, cache: Cache, wire: Wire) -> Comparison:
    """Compare by the number of tags that a memoized function declares: each is a stamp more to read."""
    wire.all(("MSET", "stamp-1", STAMP, "stamp-2", STAMP))
    reads = (("GET", "by-hand"), ("GET", "stamp-1"), ("GET", "stamp-2"))
    operations = {"floor: GET, with two stamps": lambda: ormsgpack.unpackb(wire.all(*reads)[0])}
    for many in TAGS:
        function = cache.memoize(tags=[f"tag-{at}" for at in range(many)], name=f"with-{many}-tags")(lambda: VALUE)
        function()
        operations[f"afresh: a remote hit, {many} tags"] = function
    return compare(run, "memoize, by tags", hits(run, VALUE, operations))


def entries(run: Run, cache: Cache, wire: Wire, floor: dict[str, Timed]) -> Comparison:
    """Compare by the number of entries on the server: to read one, and to invalidate a tag."""
    samples: dict[str, list[float]] = {}
    cache.set("tagged", 1, tags=["a-tag"])
    for many in ENTRIES:
        wire.one("DEBUG", "POPULATE", many, "filler", 64)
        candidates = {
            f"afresh: cache.get, {many:,} entries": timed(lambda: cache.get(NAMES[0])),
            f"afresh: invalidate a tag, {many:,} entries": timed(lambda: cache.invalidate_tags("a-tag")),
        }
        samples |= interleave((floor if not samples else {}) | candidates, run.rounds)
    wire.one("FLUSHALL")
    return Comparison("by entries on the server", samples)
