"""Reading one key from coroutines, by one task and by fifty at once, and a memoized coroutine function."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial

import ormsgpack

from afresh import AsyncCache, Cache
from benchmarks import Comparison, Run
from benchmarks._async_peers import NAMES, AsyncPeer, async_peers
from benchmarks._checks import hits, task_hits
from benchmarks._floor import Wire, open_wire
from benchmarks._rounds import compare
from benchmarks.keys import PACKED, STAMP, VALUE


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure in one event loop. The floor is the blocking socket, which no loop can share."""
    with (
        open_wire(run) as wire,
        asyncio.Runner() as runner,
        async_peers(run, runner, VALUE, ormsgpack.packb, ormsgpack.unpackb) as peers,
    ):
        cache = Cache(run.url, namespace="bench").aio
        runner.run(cache.set_many(dict.fromkeys(NAMES, VALUE)))
        names = itertools.cycle(NAMES)
        wire.one("SET", "by-hand", PACKED)
        gets: dict[str, Callable[[], Awaitable[object]]] = {"afresh: cache.aio.get": lambda: cache.get(next(names))}
        for name, peer in peers.items():
            gets[name] = lambda get=peer.get: get(next(names))  # type: ignore[misc]  # no lambda has annotations
        floor = hits(run, VALUE, {"floor: GET, blocking": lambda: ormsgpack.unpackb(wire.one("GET", "by-hand"))})
        work = f"a dict of {len(PACKED)} B, a hit"
        of_one = floor | task_hits(run, runner, VALUE, gets, tasks=1)
        yield compare(run, f"get, asyncio, 1 task: {work}", of_one, aims={"afresh: cache.aio.get": 2.2})
        of_fifty = task_hits(run, runner, VALUE, gets, tasks=50)
        by_hand = {"redis.asyncio by hand": of_fifty["redis.asyncio by hand"]}
        yield compare(run, f"get, asyncio, 50 tasks: {work}", by_hand | of_fifty, aims={"afresh: cache.aio.get": 1 / 8})
        yield calling(run, runner, cache, wire, peers)
        runner.run(cache.aclose())


def calling(run: Run, runner: asyncio.Runner, cache: AsyncCache, wire: Wire, peers: Mapping[str, AsyncPeer]) -> Comparison:
    """Compare calls of a memoized coroutine function."""

    async def profile(user_id: int) -> dict[str, object]:
        return VALUE | {"id": user_id}

    value = VALUE | {"id": 7}
    wire.all(("MSET", "by-hand-7", ormsgpack.packb(value), "stamp-1", STAMP, "stamp-2", STAMP))
    reads = (("GET", "by-hand-7"), ("GET", "stamp-1"), ("GET", "stamp-2"))
    memoized: dict[str, Callable[[int], Awaitable[object]]] = {"afresh: a memoized coroutine function": cache.memoize()(profile)}
    memoized |= {name: peer.memoize(profile) for name, peer in peers.items() if peer.memoize is not None}
    calls = {name: partial(call, 7) for name, call in memoized.items()}

    async def warm() -> None:
        for call in calls.values():
            await call()

    runner.run(warm())
    floor = hits(run, value, {"floor: GET, with two stamps, blocking": lambda: ormsgpack.unpackb(wire.all(*reads)[0])})
    return compare(run, "memoize, asyncio, 1 task: a hit on the server", floor | task_hits(run, runner, value, calls, tasks=1))
