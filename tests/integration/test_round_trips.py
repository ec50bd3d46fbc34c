"""What the docstrings state as Cost, counted on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest

from afresh import Cache, Memoized, Recurrence
from afresh.many import Many
from afresh.stores.scripts import SCRIPTS, script
from afresh.testing import FaultProxy
from tests.conformance.facades import Colourless, ColourlessCache
from tests.support.servers import Server

KEYS = [f"k{at}" for at in range(100)]


class Subject(NamedTuple):
    """A cache behind a proxy, with entries of each kind."""

    cache: ColourlessCache
    call: Colourless
    many: Colourless
    table: Colourless


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    for name, _ in SCRIPTS.values():
        server.command("SCRIPT", "LOAD", script(name).source)
    with FaultProxy(server.port) as proxy:
        yield proxy


@pytest.fixture(params=["sync", "async"])
async def subject(request: pytest.FixtureRequest, proxy: FaultProxy, namespace: str) -> AsyncIterator[Subject]:
    both = Cache(proxy.url, namespace=namespace, budget="10s")
    cache = ColourlessCache(both, request.param)
    call = cache.memoized(lambda x: [x], name="f", tags=["t"])
    many = Colourless(cache.subject.memoize_many(name="m")(cache.coloured(lambda ids: {each: each for each in ids})))
    table = Colourless(both.recurrence(base={0: 1}, name="r")(cache.coloured(lambda n, previous: n * previous)))
    for key in ("plain", "n"):
        await cache.set(key, 1)
    await cache.set("tagged", 1, tags=["t"])
    await cache.set("m", 1, tags=["t"])
    await cache.set("large", 10**20)
    await call("there")
    await table(10)
    yield Subject(cache, call, many, table)
    await both.aio.aclose()


class Cost(NamedTuple):
    """What an action must cost, and the words that say so in a docstring."""

    does: Callable[[Subject], Awaitable[Any]]
    round_trips: int
    where: Any
    stated: str


MISS = "a miss, 3"
COSTS = {
    "get": Cost(lambda s: s.cache.get("plain"), 1, Cache.get, "1 round trip"),
    "get, nothing there": Cost(lambda s: s.cache.get("nothing"), 1, Cache.get, "1 round trip"),
    "get, tags": Cost(lambda s: s.cache.get("tagged"), 2, Cache.get, "2 for an entry with tags"),
    "get_many": Cost(lambda s: s.cache.get_many([*KEYS, "plain"]), 1, Cache.get_many, "1 round trip in all"),
    "get_many, tags": Cost(lambda s: s.cache.get_many(["plain", "tagged", "m"]), 2, Cache.get_many, "2 if an entry has tags"),
    "set": Cost(lambda s: s.cache.set("k", 1), 1, Cache.set, "1 round trip"),
    "set, tags": Cost(lambda s: s.cache.set("k", 1, tags=["t"]), 1, Cache.set, "1 round trip"),
    "set, a new tag": Cost(lambda s: s.cache.set("k", 1, tags=["t", "u"]), 2, Cache.set, "2 where the namespace or a tag is new"),
    "set_many": Cost(lambda s: s.cache.set_many(dict.fromkeys(KEYS, 1), tags=["t"]), 1, Cache.set_many, "1 round trip in all"),
    "set_many, a new tag": Cost(lambda s: s.cache.set_many(dict.fromkeys(KEYS, 1), tags=["u"]), 2, Cache.set_many, "2 as for `set`"),
    "add": Cost(lambda s: s.cache.add("k", 1), 1, Cache.add, "1 round trip"),
    "add, something there": Cost(lambda s: s.cache.add("plain", 1), 2, Cache.add, "2 where there is something"),
    "add, a new tag": Cost(lambda s: s.cache.add("k", 1, tags=["u"]), 2, Cache.add, "1 more as for `set`"),
    "incr": Cost(lambda s: s.cache.incr("n"), 1, Cache.incr, "1 round trip"),
    "incr, the first": Cost(lambda s: s.cache.incr("new"), 3, Cache.incr, "3 for the first"),
    "touch": Cost(lambda s: s.cache.touch("plain"), 1, Cache.touch, "1 round trip"),
    "touch, tags": Cost(lambda s: s.cache.touch("tagged"), 2, Cache.touch, "2 with tags"),
    "ttl": Cost(lambda s: s.cache.ttl("plain"), 1, Cache.ttl, "1 round trip"),
    "invalidate": Cost(lambda s: s.cache.invalidate(*KEYS), 1, Cache.invalidate, "1 round trip, whatever their number"),
    "invalidate_tags": Cost(lambda s: s.cache.invalidate_tags(*KEYS), 1, Cache.invalidate_tags, "1 round trip, whatever their number"),
    "invalidate_all": Cost(lambda s: s.cache.invalidate_all(), 1, Cache.invalidate_all, "1 round trip, whatever its size"),
    "get_or_compute, a miss": Cost(lambda s: s.cache.get_or_compute("k", s.cache.coloured(lambda: 1)), 3, Memoized.__call__, MISS),
    "call, a hit": Cost(lambda s: s.call("there"), 1, Memoized.__call__, "a hit, 1 round trip"),
    "call, a miss": Cost(lambda s: s.call("new"), 3, Memoized.__call__, MISS),
    "call, refresh": Cost(lambda s: s.call.refresh("there"), 2, Memoized.refresh, "2 round trips"),
    "call, peek": Cost(lambda s: s.call.peek("there"), 1, Memoized.peek, "1 round trip"),
    "call, put": Cost(lambda s: s.call.put([1], "there"), 2, Memoized.put, "as of `Cache.set`"),
    "call, invalidate": Cost(lambda s: s.call.invalidate("there"), 1, Memoized.invalidate, "1 round trip"),
    "call, invalidate_all": Cost(lambda s: s.call.invalidate_all(), 1, Memoized.invalidate_all, "1 round trip, whatever their number"),
    "row": Cost(lambda s: s.table(10), 1, Recurrence, "1 round trip for a known row"),
    "rows": Cost(lambda s: s.table(20), 3 + 1, Recurrence, "otherwise 3 or 4, and 1 per chunk"),
    "row, known": Cost(lambda s: s.table.known(), 1, Recurrence.known, "1 round trip"),
    "rows, invalidate_all": Cost(lambda s: s.table.invalidate_all(), 1, Recurrence.invalidate_all, "1 round trip"),
}


async def counted(proxy: FaultProxy, action: Awaitable[Any]) -> int:
    """Return how many round trips an action takes. Each is one write, which arrives in one piece as long as it is small."""
    writes: list[bytes] = []

    def note(data: bytes) -> bytes:
        writes.append(data)
        return data

    proxy.requests.script = note
    await action
    return len(writes)


@pytest.mark.parametrize("name", COSTS)
async def test_an_operation_costs_what_its_docstring_states(subject: Subject, proxy: FaultProxy, name: str) -> None:
    cost = COSTS[name]
    stated = " ".join((cost.where.__doc__ or "").split())
    assert cost.stated in stated

    assert await counted(proxy, cost.does(subject)) == cost.round_trips


async def test_many_values_cost_as_much_as_one(subject: Subject, proxy: FaultProxy) -> None:
    assert "1 round trip" in " ".join((Many.__call__.__doc__ or "").split())
    ids = list(range(50))

    assert await counted(proxy, subject.many(ids)) == 3
    assert await counted(proxy, subject.many(ids)) == 1


async def test_a_follower_costs_nothing(subject: Subject, proxy: FaultProxy) -> None:
    """Only the leader asks the server; one who came while it computed reads what it left."""
    import asyncio

    cache = subject.cache.cache.aio
    started, finish = asyncio.Event(), asyncio.Event()

    async def compute() -> int:
        started.set()
        await finish.wait()
        return 1

    await cache.get("plain")  # this loop is connected now

    async def ask_together() -> None:
        leading = asyncio.create_task(cache.get_or_compute("k", compute))
        await started.wait()
        following = [asyncio.create_task(cache.get_or_compute("k", compute)) for _ in range(50)]
        await asyncio.sleep(0)
        finish.set()
        assert await asyncio.gather(leading, *following) == [1] * 51

    assert await counted(proxy, ask_together()) == 3


async def test_reads_of_one_turn_that_are_alike_leave_as_one_and_a_cancelled_one_takes_nothing_from_the_others(
    valkey: Server, namespace: str
) -> None:
    async with Cache(valkey.url, namespace=namespace, budget="10s").aio as cache:
        await cache.set("k", [1])
        valkey.command("CONFIG", "RESETSTAT")

        reading = [asyncio.create_task(cache.get("k")) for _ in range(100)]
        await asyncio.sleep(0)  # all of them have asked
        reading[0].cancel()
        got = await asyncio.gather(*reading, return_exceptions=True)

        assert isinstance(got[0], asyncio.CancelledError)
        assert got[1:] == [[1]] * 99
        assert got[1] is not got[2], "each has a copy of its own"
        assert valkey.command("INFO", "commandstats")["cmdstat_get"]["calls"] < 5
