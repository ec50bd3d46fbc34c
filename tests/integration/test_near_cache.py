"""A cache with a near tier on real servers: what is answered inside the process, and what is not."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from afresh import Cache, ConfigurationError, Near
from afresh.near.generation import UNSHARED
from afresh.testing import wait_until
from tests.conformance.facades import Colourless, ColourlessCache
from tests.support.near import near_is_trusted
from tests.support.servers import Server

NEAR = Near(max_stale="1h")


@pytest.fixture
def both(server: Server, namespace: str) -> Iterator[Cache]:
    with Cache(server.url, namespace=namespace, ttl="1h", budget="10s", near=NEAR) as cache:
        yield near_is_trusted(cache)


@pytest.fixture
def other(server: Server, namespace: str) -> Iterator[Cache]:
    """The cache of another process."""
    with Cache(server.url, namespace=namespace, ttl="1h", budget="10s") as cache:
        yield cache


@pytest.fixture(params=["sync", "async"])
async def cache(request: pytest.FixtureRequest, both: Cache) -> Any:
    yield ColourlessCache(both, request.param)
    await both.aio.aclose()


def near_hits(cache: Cache) -> int:
    return sum(stats.near_hits for stats in cache.stats().values())


async def is_near(cache: ColourlessCache, function: Colourless, *args: Any) -> bool:
    """Say whether a call is answered inside the process."""
    before = near_hits(cache.cache)
    await function(*args)
    return near_hits(cache.cache) > before


def invalidation(kind: str, cache: Any, function: Any) -> Any:
    """Invalidate what a call of the function with 1 depends on."""
    if kind == "tag":
        return cache.invalidate_tags("tag")
    if kind == "key":
        return function.invalidate(1)
    return (cache if kind == "namespace" else function).invalidate_all()


async def until_near(cache: ColourlessCache, function: Colourless, *args: Any) -> None:
    """Call until the near tier answers: the pushes of what the first call created may take their time."""
    for _ in range(1000):
        if await is_near(cache, function, *args):
            return
        await asyncio.sleep(0.005)
    pytest.fail("the near tier never answered")


async def test_a_second_call_is_answered_inside_the_process(cache: ColourlessCache, server: Server) -> None:
    function = cache.memoized(lambda x: [x], name="f", tags=["tag:{x}"])
    await until_near(cache, function, 1)
    processed = server.command("INFO", "stats")["total_commands_processed"]

    assert [await function(1) for _ in range(20)] == [[1]] * 20

    assert server.command("INFO", "stats")["total_commands_processed"] - processed < 20  # heartbeats, and asking this
    assert function.subject.stats().computes == 1


@pytest.mark.parametrize("kind", ["key", "tag", "function", "namespace", "put", "refresh"])
async def test_own_effects_are_seen_at_once(cache: ColourlessCache, kind: str) -> None:
    calls: list[int] = []
    function = cache.memoized(lambda x: calls.append(x) or len(calls), name="f", tags=["tag"])
    for _ in range(20):
        await until_near(cache, function, 1)
        before = len(calls)
        if kind == "put":
            calls.append(0)
            await function.put(before + 1, 1)
        elif kind == "refresh":
            await function.refresh(1)
        else:
            assert (await invalidation(kind, cache, function)).applied
        assert await function(1) == before + 1


@pytest.mark.parametrize("kind", ["key", "tag", "function", "namespace", "put"])
async def test_effects_of_others_are_seen_soon(cache: ColourlessCache, other: Cache, kind: str) -> None:
    calls: list[int] = []
    function = cache.memoized(lambda x: calls.append(x) or "mine", name="f", tags=["tag"])
    theirs = other.memoize(name="f", tags=["tag"])(lambda x: "theirs")
    await until_near(cache, function, 1)

    if kind == "put":
        theirs.put("theirs", 1)
        expected = "theirs"
    else:
        assert invalidation(kind, other, theirs).applied
        expected = "mine"

    for _ in range(1000):
        if await function(1) == expected and (kind == "put" or len(calls) == 2):
            return
        await asyncio.sleep(0.005)
    pytest.fail("never seen")


@pytest.mark.parametrize("kind", ["set", "add", "incr", "touch", "set_many"])
async def test_what_is_written_under_a_key_is_read_at_once(cache: ColourlessCache, kind: str) -> None:
    for at in range(20):
        await cache.set("k", at)
        for _ in range(3):
            assert await cache.get("k") == at
        if kind == "set":
            await cache.set("k", "new")
        elif kind == "set_many":
            await cache.set_many({"k": "new"})
        elif kind == "add":
            await cache.invalidate("k")
            assert await cache.get("k") is None
            assert await cache.add("k", "new")
        elif kind == "incr":
            assert await cache.incr("k", 5) == at + 5
        else:
            assert await cache.touch("k", ttl=0)
        assert await cache.get("k") == {"incr": at + 5, "touch": None}.get(kind, "new")
        assert await cache.get_many(["k"]) == ({} if kind == "touch" else {"k": await cache.get("k")})


async def test_a_key_that_others_write_is_seen_soon(cache: ColourlessCache, other: Cache) -> None:
    await cache.set("k", "mine")
    await until_near(cache, Colourless(lambda: cache.subject.get("k")))

    other.set("k", "theirs")

    for _ in range(1000):
        if await cache.get("k") == "theirs":
            return
        await asyncio.sleep(0.005)
    pytest.fail("never seen")


@pytest.mark.parametrize("value", ["text", b"bytes", 10**30, 1.5, None, Decimal("1.0"), (1, ("a", None))], ids=repr)
async def test_what_nobody_can_change_is_one_object_for_all(cache: ColourlessCache, value: object) -> None:
    function = cache.memoized(lambda: value, name="f")
    await until_near(cache, function)

    assert await function() is await function()
    assert await function() == value


async def test_what_somebody_could_change_is_a_copy_for_each(cache: ColourlessCache) -> None:
    function = cache.memoized(lambda: {"a": [1]}, name="f")
    await until_near(cache, function)

    (await function())["a"].append(2)

    assert await function() == {"a": [1]}


async def test_what_is_shared_on_request_is_one_object_and_not_the_leaders(cache: ColourlessCache) -> None:
    computed: list[list[int]] = []
    function = cache.memoized(lambda: computed.append([1]) or computed[-1], name="f", share=True)
    await function()
    await until_near(cache, function)

    assert await function() is await function()
    assert await function() is not computed[0]


async def test_reading_from_redis_neither_takes_nor_fills(cache: ColourlessCache) -> None:
    function = cache.memoized(lambda: 1, name="f")
    redis = type(function)(function.subject.options(read="redis"))
    await redis()
    await redis()
    assert len(cache.cache._engine.near.generation) == 0

    await until_near(cache, function)

    assert not await is_near(cache, redis)
    assert await is_near(cache, type(function)(redis.subject.options(read="near")))


async def test_a_function_may_stay_away(cache: ColourlessCache) -> None:
    function = cache.memoized(lambda: 1, name="f", near=False)
    for _ in range(3):
        await function()

    assert not await is_near(cache, function)


async def test_batches_are_answered_inside_the_process(cache: ColourlessCache) -> None:
    many = Colourless(cache.subject.memoize_many(name="m")(cache.coloured(lambda ids: {each: [each] for each in ids})))
    await many([1, 2])
    await until_near(cache, many, [1])
    await until_near(cache, many, [1, 2])
    before = near_hits(cache.cache)

    assert await many([2, 1]) == {2: [2], 1: [1]}
    assert near_hits(cache.cache) - before == 2
    assert await many([1, 3]) == {1: [1], 3: [3]}


async def test_an_entry_is_served_no_longer_than_its_ttl(cache: ColourlessCache) -> None:
    calls: list[int] = []
    function = cache.memoized(lambda: calls.append(1) or len(calls), name="f", ttl="300ms")
    await function()
    await asyncio.sleep(0.35)

    assert await function() == 2


async def test_an_exception_that_is_kept_is_raised_anew(cache: ColourlessCache) -> None:
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise LookupError("nobody")

    function = cache.memoized(fails, name="f", negative={LookupError: "1h"})
    errors = []
    for _ in range(20):
        with pytest.raises(LookupError, match="nobody") as caught:
            await function()
        errors.append(caught.value)

    assert len(calls) == 1
    assert len(set(map(id, errors))) == len(errors)


async def test_tags_that_a_call_needs_and_the_entry_lacks_are_a_miss(cache: ColourlessCache) -> None:
    function = cache.memoized(lambda x, tag: [x], name="f", ignore=["tag"], tags=["t:{tag}"])
    await until_near(cache, function, 1, "a")

    assert not await is_near(cache, function, 1, "b")


async def test_what_takes_more_room_than_there_is_stays_on_the_server(server: Server, namespace: str) -> None:
    with Cache(server.url, namespace=namespace, budget="10s", near=Near(max_bytes="10KiB", max_stale="1h")) as cache:
        near_is_trusted(cache)
        for at in range(50):
            cache.set(f"k{at}", "x" * 1000)
        cache.set("large", "x" * 20_000)
        generation = cache._engine.near.generation

        def is_something_kept() -> bool:  # the pushes of what was set may still be on their way, and drop what is filled before
            assert all(cache.get(f"k{at}") == "x" * 1000 for at in range(50))
            assert cache.get("large") == "x" * 20_000
            return len(generation) > 0

        wait_until(is_something_kept, 10, "an entry to be kept")
        assert len(generation) < 10
        assert generation.get(cache._keyed("large").names.value) is None


def test_a_compressed_value_that_is_copied_counts_with_its_bytes(both: Cache) -> None:
    both.set("k", ["x" * 100_000])
    both.get("k")

    kept = both._engine.near.generation.get(both._keyed("k").names.value)

    assert kept is None or (kept.value is UNSHARED and kept.size_bytes < 10_000)


def test_peek_and_ttl_ask_the_server(both: Cache, server: Server) -> None:
    @both.memoize(name="f")
    def function() -> int:
        return 1

    for _ in range(3):
        function()
    server.flush()

    assert function.peek() is None
    both.set("k", 1)
    both.get("k")
    server.flush()
    assert both.ttl("k") is None


def test_a_cache_in_the_process_needs_no_near_tier(namespace: str) -> None:
    with Cache("memory://", namespace=namespace, near=NEAR) as cache:
        cache.set("k", 1)
        assert cache.get("k") == 1

        assert cache._engine.listener is None
        assert near_hits(cache) == 0


def test_near_is_off_by_default(valkey: Server, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        cache.get("k")

        assert cache._engine.listener is None
        assert cache._engine.sync_ports().near is None


@pytest.mark.parametrize("near", [True, {"max_stale": "2s"}, "64MiB"])
def test_near_must_be_near(near: Any) -> None:
    with pytest.raises(ConfigurationError, match="near="):
        Cache("memory://", near=near)


def test_a_cache_pickles_with_its_near_tier(both: Cache) -> None:
    with pickle.loads(pickle.dumps(both)) as again:
        assert again._engine.near.options == NEAR


def test_a_closed_cache_serves_nothing_until_it_is_used_again(both: Cache) -> None:
    both.set("k", "v")
    wait_until(lambda: both.get("k") and near_hits(both), 10, "a near hit")
    generation = both._engine.near.generation

    both.close()

    assert len(generation) == 0
    near_is_trusted(both)
    assert both._engine.near.generation is not generation


def test_a_forked_child_begins_with_nothing_and_its_parent_goes_on(both: Cache) -> None:
    both.set("k", "v")
    wait_until(lambda: both.get("k") and near_hits(both), 10, "a near hit")
    child = os.fork()
    if not child:
        status = 1
        try:
            before = near_hits(both)
            if both.get("k") == "v" and near_hits(both) == before == 0:
                both.set("k", "child's")
                both.close()
                status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0

    wait_until(lambda: both.get("k") == "child's", 10, "what the child has written")


def test_an_embedded_server_has_a_near_tier(namespace: str) -> None:
    with Cache("embedded://", namespace=namespace, budget="10s", near=NEAR) as cache:
        near_is_trusted(cache)
        cache.set("k", "v")
        wait_until(lambda: cache.get("k") == "v" and near_hits(cache), 10, "a near hit")
