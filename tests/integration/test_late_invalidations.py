"""Invalidations that the server did not take: not served meanwhile, repeated, and never at the cost of what came after them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from afresh import Cache, StoreError, StoreUnavailable
from afresh.core.late import late_of
from afresh.runtime import replays
from afresh.testing import FaultProxy, wait_until
from tests.conformance.facades import ColourlessCache
from tests.support.servers import Server

BUDGET_S = 0.3


@pytest.fixture
def proxy(valkey: Server) -> Iterator[FaultProxy]:
    with FaultProxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture(params=["sync", "async"])
async def cache(request: pytest.FixtureRequest, proxy: FaultProxy, namespace: str) -> AsyncIterator[ColourlessCache]:
    """A cache behind the proxy."""
    cache = Cache(proxy.url, namespace=namespace, budget=BUDGET_S)
    yield ColourlessCache(cache, request.param)
    proxy.heal()
    await cache.aio.aclose()


@pytest.fixture
def other(valkey: Server, namespace: str) -> Iterator[Cache]:
    """Another process's cache: it reaches the server."""
    with Cache(valkey.url, namespace=namespace, budget="5s") as cache:
        yield cache


def cut(proxy: FaultProxy) -> None:
    proxy.requests.script = lambda _: None


def applied(cache: Cache) -> None:
    wait_until(lambda: cache.pending() == 0, 10, "the invalidation to be repeated")


def compute() -> str:
    return "old"


@pytest.mark.parametrize("kind", ["key", "tag", "function", "namespace"])
async def test_an_invalidation_that_failed_is_repeated_and_holds_in_this_process_at_once(
    cache: ColourlessCache, other: Cache, proxy: FaultProxy, kind: str
) -> None:
    truth = "old"
    f = cache.memoized(lambda: truth, name="f", tags=["t"])
    elsewhere = other.memoize(name="f", tags=["t"])(lambda: truth)
    assert await f() == "old"
    cut(proxy)
    truth = "new"
    receipt = await {"key": f.invalidate, "tag": lambda: cache.invalidate_tags("t"), "function": f.invalidate_all}.get(
        kind, cache.invalidate_all
    )()

    assert not receipt.applied
    assert cache.cache.pending() > 0
    assert elsewhere() == "old", "nobody can have told it"
    proxy.requests.script = None
    assert await f() == "new", "whether or not the server has it yet"
    applied(cache.cache)
    assert elsewhere() == "new"
    assert await f() == "new"
    wait_until(lambda: "afresh-replays" not in {thread.name for thread in threading.enumerate()}, 5, "the thread to end")


async def test_what_is_pending_is_neither_served_nor_stored(cache: ColourlessCache, other: Cache) -> None:
    await cache.set_many({"k": 1, "m": 2})
    await cache.set("tagged", 3, tags=["t"])
    targets = [*cache.cache._key_targets(["k"]), *cache.cache._tag_targets(["t"])]
    cache.cache._engine.replays.lates.update(late_of(targets, 1))  # without the thread that would repeat them

    assert await cache.get_many(["k", "m"]) == {"m": 2}
    assert await cache.get("tagged", "nothing") == "nothing"
    other.set("k", "theirs")
    assert await cache.get("k") is None
    await cache.set("k", "ours")
    assert await cache.add("k", "ours") is False
    assert await cache.touch("k") is False
    with pytest.raises(StoreError):
        await cache.incr("k")
    assert await cache.get_or_compute("k", cache.coloured(lambda: "computed")) == "computed"
    assert other.get("k") == "theirs"
    cache.cache._engine.replays.lates.clear()
    assert await cache.get("k") == "theirs"


async def test_what_was_set_since_stays_and_what_was_computed_since_goes(cache: ColourlessCache, other: Cache, proxy: FaultProxy) -> None:
    """A compute may have begun before the invalidation, whenever it ended; what is set belongs to the time of its call."""
    await cache.set_many({"set": "old", "computed": "old", "left": "old"})
    cut(proxy)
    for key in ("set", "computed", "left"):
        assert not (await cache.invalidate(key)).applied
    await asyncio.sleep(0.01)
    other.set("set", "new")
    other.invalidate("computed")
    other.get_or_compute("computed", lambda: "perhaps old")

    proxy.requests.script = None
    applied(cache.cache)

    assert other.get_many(["set", "computed", "left"]) == {"set": "new"}


async def test_a_computation_that_ends_after_a_failed_invalidation_is_not_stored(
    cache: ColourlessCache, other: Cache, proxy: FaultProxy
) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def slow() -> str:
        began.set()
        goes_on.wait(10)
        return "old"

    await cache.get("k")
    computing = threading.Thread(target=lambda: cache.cache.get_or_compute("k", slow))
    computing.start()
    assert await asyncio.to_thread(began.wait, 10)
    cut(proxy)
    assert not (await cache.invalidate("k")).applied
    proxy.requests.script = None
    goes_on.set()
    await asyncio.to_thread(computing.join)

    applied(cache.cache)
    assert other.get("k") is None


async def test_an_invalidation_that_is_cancelled_is_repeated(proxy: FaultProxy, other: Cache, namespace: str) -> None:
    cache = Cache(proxy.url, namespace=namespace, budget="5s")
    await cache.aio.set("k", 1)
    proxy.requests.holds = True
    invalidating = asyncio.create_task(cache.aio.invalidate("k"))
    await asyncio.sleep(0.05)
    invalidating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await invalidating
    assert cache.pending()
    proxy.heal()

    await asyncio.to_thread(applied, cache)
    assert other.get("k") is None
    await cache.aio.aclose()


async def test_too_many_failed_invalidations_become_one_of_the_namespace(
    cache: ColourlessCache, other: Cache, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "_MOST", 100)
    other.set("k1", 1)
    other.set("unrelated", 1)
    await cache.get("k1")
    cut(proxy)
    await cache.invalidate(*(f"k{at}" for at in range(200)))
    assert cache.cache.pending() == 1
    assert await cache.get("unrelated") is None

    proxy.requests.script = None
    applied(cache.cache)
    assert other.get_many(["k1", "unrelated"]) == {}


@pytest.mark.alone
async def test_a_hanging_server_costs_an_invalidation_a_budget_at_first_and_then_nearly_nothing(
    cache: ColourlessCache, proxy: FaultProxy
) -> None:
    await cache.set("k", 1)
    proxy.replies.holds = True

    started = time.monotonic()
    for at in range(20):
        assert not (await cache.invalidate(f"k{at}")).applied
    assert time.monotonic() - started < 20 * BUDGET_S / 4

    proxy.heal()
    applied(cache.cache)
    deadline = time.monotonic() + 10
    while await cache.get("k") != 1:  # the breaker may be open for a moment
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


# --- the end of a cache, and of a process ---------------------------------------------------------------------------
async def test_closing_tries_once_more(cache: ColourlessCache, other: Cache, proxy: FaultProxy) -> None:
    await cache.set("k", 1)
    cut(proxy)
    assert not (await cache.invalidate("k")).applied
    proxy.requests.script = None

    await cache.cache.aio.aclose()

    assert cache.cache.pending() == 0
    assert other.get("k") is None


@pytest.mark.alone
async def test_closing_in_vain_is_told_and_using_the_cache_again_goes_on(
    cache: ColourlessCache, other: Cache, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    await cache.set("k", 1)
    cut(proxy)
    assert not (await cache.invalidate("k")).applied
    started = time.monotonic()
    cache.cache.close()
    assert time.monotonic() - started < 4 * BUDGET_S
    assert "invalidations have not reached the server" in caplog.text
    assert other.get("k") == 1

    proxy.requests.script = None
    assert await cache.get("k") is None
    applied(cache.cache)
    assert other.get("k") is None


def test_a_process_that_ends_with_something_pending_says_so() -> None:
    program = """
        from afresh import Cache
        cache = Cache("redis://127.0.0.1:1", namespace="t-exit")
        assert not cache.invalidate("k").applied
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True)
    assert "invalidations have not reached the server" in done.stderr


def test_a_forked_child_repeats_what_its_parent_could_not(valkey: Server, other: Cache, namespace: str) -> None:
    with FaultProxy(valkey.port) as proxy, Cache(proxy.url, namespace=namespace, budget=BUDGET_S) as cache:
        cache.set("k", 1)
        cut(proxy)
        assert not cache.invalidate("k").applied
        cache._engine.replays._ending.set()  # the parent's thread does not: only the child's may
        child = os.fork()
        if child == 0:
            wait_until(lambda: cache.pending() == 0, 10, "the invalidation to be repeated")
            os._exit(0)
        proxy.requests.script = None
        assert os.waitpid(child, 0)[1] == 0
        assert other.get("k") is None
        assert cache.pending() == 2


# --- another server ---------------------------------------------------------------------------------------------
def test_what_was_applied_in_the_last_minute_is_repeated_on_a_server_that_came_back(
    start_server: Callable[..., Server], namespace: str
) -> None:
    server = start_server()
    cache = Cache(server.tcp_url, namespace=namespace, budget="5s")
    assert cache.invalidate("k", "m").applied
    os.kill(server.pid, signal.SIGKILL)
    os.waitpid(server.pid, 0)
    start_server(port=str(server.port))

    cache.get("other")

    assert cache.get("k") is None
    applied(cache)
    cache.set("k", 1)
    assert cache.get("k") == 1
    cache.close()


def test_what_was_refused_is_the_reason_that_a_counter_gives(valkey: Server, namespace: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    with Cache(valkey.url, namespace=namespace, budget="5s") as cache:
        cache.incr("n")
        cache._engine.replays.failed(cache._key_targets(["n"]), 1, StoreUnavailable("because"))
        with pytest.raises(StoreUnavailable, match="because"):
            cache.incr("n")
        applied(cache)
        assert cache.incr("n") == 2, "it was set after the invalidation was called"


async def test_what_could_not_be_expired_is_invalidated_as_soon_as_the_server_can_be_told(
    cache: ColourlessCache, other: Cache, proxy: FaultProxy
) -> None:
    truth = "old"
    f = cache.memoized(lambda: truth, name="f", stale_ttl="1h")
    elsewhere = other.memoize(name="f", stale_ttl="1h")(lambda: truth)
    assert await f() == "old"
    cut(proxy)
    truth = "new"

    receipt = await f.expire()

    assert not receipt.applied
    assert await f() == "new"
    proxy.requests.script = None
    applied(cache.cache)
    assert elsewhere() == "new"
