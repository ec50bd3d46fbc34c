"""Reading one key from coroutines: by one task, and by fifty at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import ormsgpack
from redis.asyncio import Redis

from afresh import AsyncCache, Cache
from benchmarks import Comparison, Run
from benchmarks._floor import open_wire
from benchmarks._rounds import interleave, timed, timed_tasks
from benchmarks.keys import PACKED, VALUE


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure in one event loop. The floor is the blocking socket, which no loop can share."""
    with asyncio.Runner() as runner:
        cache, by_hand = Cache(run.url, namespace="bench").aio, Redis.from_url(run.url)
        runner.run(prepare(cache, by_hand))

        async def get_by_hand() -> object:
            return ormsgpack.unpackb(await by_hand.get("by-hand"))  # type: ignore[arg-type]  # bytes

        with open_wire(run) as wire:
            for tasks in (1, 50):
                yield Comparison(
                    f"get, asyncio, {tasks} task{'s' if tasks > 1 else ''}: a dict of {len(PACKED)} B, a hit",
                    interleave(
                        {
                            "floor: GET, blocking": timed(lambda: ormsgpack.unpackb(wire(("GET", "by-hand")))),
                            "afresh: cache.aio.get": timed_tasks(runner, lambda: cache.get("key"), tasks=tasks),
                            "redis.asyncio by hand": timed_tasks(runner, get_by_hand, tasks=tasks),
                        },
                        run.rounds,
                    ),
                    aims={"afresh: cache.aio.get": 2.2} if tasks == 1 else {},
                )
        runner.run(cache.aclose())
        runner.run(by_hand.aclose())


async def prepare(cache: AsyncCache, by_hand: Redis) -> None:
    """Store what is read."""
    await cache.set("key", VALUE)
    await by_hand.set("by-hand", PACKED)
