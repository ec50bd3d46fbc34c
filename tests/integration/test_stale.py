"""Old values, computes that fail or take long, and refreshes behind their callers, on real servers."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from afresh import Cache, ComputeBackingOff, ComputeTimeout
from afresh.testing import wait_until, wait_until_async
from tests.support.servers import Server

SOON_S = 20
# Far more than a hit takes here, far less than a compute that waits for the test's end.
HIT_S = 5


@pytest.fixture(params=["memory", "valkey"])
def cache(request: pytest.FixtureRequest, namespace: str) -> Iterator[Cache]:
    url = "memory://" if request.param == "memory" else request.getfixturevalue(request.param).url
    with Cache(url, namespace=namespace, budget="10s") as cache:  # the machine may be busy
        yield cache


class Source:
    """Something to compute from: a number that rises, a gate that may be shut, an error that may be raised."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.threads: list[str] = []

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        self.threads.append(threading.current_thread().name)
        assert self.gate.wait(SOON_S)
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    yield made
    made.gate.set()


def read_until(call: Callable[[], int], value: int) -> None:
    wait_until(lambda: call() == value, SOON_S, f"{value} to be served")


# --- stale, refreshed behind the callers ---------------------------------------------------------------------------
def test_every_caller_is_served_while_a_thread_computes(cache: Cache, source: Source) -> None:
    value = cache.memoize(ttl="20ms", stale_ttl="1h")(lambda: source())
    assert value() == 1
    wait_until(lambda: value.peek().state == "stale", SOON_S, "the entry to be stale")
    source.gate.clear()

    with ThreadPoolExecutor(20) as pool:
        began = time.monotonic()
        assert [each.result() for each in [pool.submit(value) for _ in range(100)]] == [1] * 100
        assert time.monotonic() - began < HIT_S
    wait_until(lambda: source.calls == 2, SOON_S, "one of them to have it computed")
    assert value() == 1
    assert source.calls == 2
    source.gate.set()

    wait_until(lambda: value.peek().value == 2, SOON_S, "the new value to be stored")
    assert source.threads == ["MainThread", "afresh-background"]


async def test_every_task_is_served_while_one_computes(cache: Cache) -> None:
    calls: list[str] = []
    go_on = asyncio.Event()

    @cache.memoize(ttl="20ms", stale_ttl="1h")
    async def value() -> int:
        calls.append(asyncio.current_task().get_name())
        if len(calls) > 1:
            await go_on.wait()
        return len(calls)

    async with cache.aio:
        assert await value() == 1

        async def is_stale() -> bool:
            return (await value.peek()).state == "stale"

        await wait_until_async(is_stale, SOON_S, "the entry to be stale")
        assert await asyncio.wait_for(asyncio.gather(*(value() for _ in range(100))), HIT_S) == [1] * 100
        assert await value() == 1
        assert len(calls) == 2
        go_on.set()

        async def is_new() -> bool:
            return (await value.peek()).value == 2

        await wait_until_async(is_new, SOON_S, "the new value to be stored")


def test_a_caller_may_wait_for_the_new_value_for_a_while(cache: Cache, source: Source) -> None:
    value = cache.memoize(ttl="20ms", stale_ttl="1h", refresh_wait="20s")(lambda: source())
    assert value() == 1
    time.sleep(0.05)

    assert value() == 2, "it was computed within that time"

    value = value.options()
    source.gate.clear()
    impatient = cache.memoize(ttl="20ms", stale_ttl="1h", refresh_wait="10ms", name="impatient")(lambda: source())
    impatient.put(0)
    time.sleep(0.05)
    assert impatient() == 0, "it was not"


def test_a_caller_may_compute_in_its_own_thread(cache: Cache, source: Source) -> None:
    value = cache.memoize(ttl="20ms", stale_ttl="1h", refresh_wait=None)(lambda: source())
    assert value() == 1
    time.sleep(0.05)

    assert value() == 2
    assert source.threads == ["MainThread"] * 2
    time.sleep(0.05)
    source.error = LookupError()
    assert value() == 2, "what may be served stale may be served where the compute raises, too"
    assert value.stats().failures == 1


def test_a_refresh_that_fails_is_logged_once_and_raised_nowhere(cache: Cache, source: Source, caplog: pytest.LogCaptureFixture) -> None:
    value = cache.memoize(ttl="20ms", stale_ttl="1h")(lambda: source())
    assert value() == 1
    time.sleep(0.05)
    source.error = LookupError("no database")

    for count in (1, 2, 3):
        assert value() == 1
        wait_until(lambda count=count: value.stats().failures == count, SOON_S, "the refresh to fail")

    assert [record.getMessage() for record in caplog.records if "no database" in str(record.exc_info)] == [caplog.records[0].getMessage()]
    source.error = None
    read_until(value, source.calls + 1)


async def test_a_tasks_refresh_that_fails_is_raised_nowhere(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(ttl="20ms", stale_ttl="1h")
    async def value() -> int:
        calls.append(1)
        if len(calls) > 1:
            raise LookupError
        return 1

    async with cache.aio:
        assert await value() == 1
        await asyncio.sleep(0.05)
        assert await value() == 1

        async def has_failed() -> bool:
            return value.stats().failures == 1

        await wait_until_async(has_failed, SOON_S, "the refresh to fail")


def test_values_by_key_are_refreshed_behind_their_callers(cache: Cache, source: Source) -> None:
    def ask() -> int:
        return cache.get_or_compute("k", source, ttl="20ms", stale_ttl="1h")

    assert ask() == 1
    time.sleep(0.05)
    assert ask() == 1
    wait_until(lambda: source.calls == 2, SOON_S, "it to be computed anew")
    assert source.threads == ["MainThread", "afresh-background"]


def test_batches_are_refreshed_behind_their_callers(cache: Cache) -> None:
    asked: list[tuple[str, list[str]]] = []

    @cache.memoize_many(ttl="20ms", stale_ttl="1h")
    def sizes(words: list[str]) -> dict[str, int]:
        asked.append((threading.current_thread().name, words))
        return {word: len(asked) for word in words}

    assert sizes(["a", "b"]) == {"a": 1, "b": 1}
    time.sleep(0.05)

    got = sizes(["a", "b", "c"])

    assert (got["a"], got["b"]) == (1, 1)
    wait_until(lambda: len(asked) == 3, SOON_S, "both to be computed anew, and the one that was missing")
    assert sorted(asked[1:]) == [("MainThread", ["c"]), ("afresh-background", ["a", "b"])]


async def test_batches_of_tasks_are_refreshed_behind_their_callers(cache: Cache) -> None:
    asked: list[list[str]] = []

    @cache.memoize_many(ttl="20ms", stale_ttl="1h")
    async def sizes(words: list[str]) -> dict[str, int]:
        asked.append(words)
        if len(asked) == 3:
            raise LookupError
        return {word: len(asked) for word in words}

    async with cache.aio:
        assert await sizes(["a"]) == {"a": 1}
        await asyncio.sleep(0.05)
        assert await sizes(["a"]) == {"a": 1}

        async def is_renewed() -> bool:
            return len(asked) >= 2

        await wait_until_async(is_renewed, SOON_S, "it to be computed anew")
        await asyncio.sleep(0.05)
        await sizes(["a"])

        async def has_failed() -> bool:
            return sizes.stats().failures == 1

        await wait_until_async(has_failed, SOON_S, "the next refresh to fail")


def test_what_is_invalidated_is_not_refreshed_but_computed(cache: Cache, source: Source) -> None:
    value = cache.memoize(ttl="20ms", stale_ttl="1h")(lambda: source())
    assert value() == 1
    time.sleep(0.05)
    source.gate.clear()
    assert value() == 1
    wait_until(lambda: source.calls == 2, SOON_S, "the refresh to begin")

    value.invalidate()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(value)
        source.gate.set()
        assert late.result(SOON_S) == 3, "the refresh began before the invalidation"


def test_a_cache_that_is_closed_does_not_wait_for_a_long_refresh_nor_store_it(valkey: Server, namespace: str, source: Source) -> None:
    cache = Cache(valkey.url, namespace=namespace, budget="10s")
    value = cache.memoize(ttl="20ms", stale_ttl="1h", name="f")(lambda: source())
    assert value() == 1
    time.sleep(0.05)
    source.gate.clear()
    assert value() == 1
    wait_until(lambda: source.calls == 2, SOON_S, "the refresh to begin")

    cache.close()
    source.gate.set()
    wait_until(lambda: "afresh-background" not in {thread.name for thread in threading.enumerate()}, SOON_S, "the thread to end")

    assert value.peek().value == 1
    cache.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_refreshes_for_itself(valkey: Server, namespace: str, source: Source) -> None:
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        value = cache.memoize(ttl="20ms", stale_ttl="1h", name="f")(lambda: source())
        assert value() == 1
        time.sleep(0.05)
        assert value() == 1
        read_until(value, 2)

        child = os.fork()
        if not child:
            code = 1
            try:
                before = source.calls
                wait_until(lambda: value() >= 2 and source.calls > before, SOON_S, "the child to compute")
                cache.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- computes that fail --------------------------------------------------------------------------------------------
def test_an_old_value_is_served_where_the_compute_raises(cache: Cache, source: Source) -> None:
    value = cache.memoize(ttl="20ms", stale_if_error="1h", backoff="200ms")(lambda: source())
    assert value() == 1
    time.sleep(0.05)
    source.error = LookupError()

    assert [value() for _ in range(5)] == [1] * 5
    assert source.calls == 2, "it is not called again before the back-off is over"
    assert (value.stats().failures, value.stats().stale_hits) == (1, 4)

    source.error = None
    read_until(value, 3)


async def test_an_old_value_is_served_where_a_coroutine_function_raises(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(ttl="20ms", stale_if_error="1h", backoff="1h")
    async def value() -> int:
        calls.append(1)
        if len(calls) > 1:
            raise LookupError
        return 1

    async with cache.aio:
        assert await value() == 1
        await asyncio.sleep(0.05)
        assert await asyncio.gather(*(value() for _ in range(20))) == [1] * 20
        assert len(calls) == 2


def test_what_was_invalidated_is_not_served_where_the_compute_raises(cache: Cache, source: Source) -> None:
    value = cache.memoize(ttl="20ms", stale_if_error="1h", tags=["t"])(lambda: source())
    assert value() == 1
    time.sleep(0.05)
    source.error = LookupError()
    assert value() == 1
    cache.invalidate_tags("t")

    with pytest.raises(LookupError):
        value()
    assert source.calls == 3, "nor does the failure from before it hold anybody back"
    with pytest.raises(ComputeBackingOff, match=r"raised builtins.LookupError a moment ago, and is not called again") as caught:
        value()
    assert caught.value.raised == "builtins.LookupError"


def test_a_failing_compute_is_not_repeated_by_those_who_waited(cache: Cache, source: Source) -> None:
    value = cache.memoize(backoff="1h")(lambda: source())
    source.error = LookupError()
    source.gate.clear()

    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(value) for _ in range(20)]
        wait_until(lambda: source.calls == 1, SOON_S, "one to compute")
        time.sleep(0.1)
        source.gate.set()
        errors = [type(each.exception()) for each in asked]

    assert source.calls == 1
    assert sorted(error.__name__ for error in errors) == ["ComputeBackingOff"] * 19 + ["LookupError"]


def test_without_a_backoff_the_next_call_computes(cache: Cache, source: Source) -> None:
    value = cache.memoize()(lambda: source())
    source.error = LookupError()
    with pytest.raises(LookupError):
        value()
    source.error = None

    assert value() == 2


# --- computes that take long ---------------------------------------------------------------------------------------
def test_a_call_waits_so_long_for_its_compute_which_goes_on(cache: Cache, source: Source) -> None:
    value = cache.memoize(compute_timeout="100ms")(lambda: source())
    source.gate.clear()

    for _ in range(2):
        with pytest.raises(ComputeTimeout, match=r"did not return within its compute_timeout of 0.1 s; it runs on") as caught:
            value()
    assert isinstance(caught.value, TimeoutError)
    assert source.calls == 1, "the second waited for the same one"
    source.gate.set()

    wait_until(lambda: value.peek() is not None, SOON_S, "its result to be stored")
    assert value() == 1


async def test_a_task_waits_so_long_for_its_compute_which_goes_on(cache: Cache) -> None:
    go_on = asyncio.Event()
    calls: list[int] = []

    @cache.memoize(compute_timeout="100ms")
    async def value() -> int:
        calls.append(1)
        await go_on.wait()
        return 1

    async with cache.aio:
        assert [type(error) for error in await asyncio.gather(value(), value(), return_exceptions=True)] == [ComputeTimeout] * 2
        go_on.set()

        async def is_stored() -> bool:
            return await value.peek() is not None

        await wait_until_async(is_stored, SOON_S, "its result to be stored")
        assert await value() == 1
        assert calls == [1]


def test_an_old_value_is_served_where_the_compute_takes_too_long(cache: Cache, source: Source) -> None:
    value = cache.memoize(ttl="20ms", stale_if_error="1h", compute_timeout="50ms")(lambda: source())
    assert value() == 1
    time.sleep(0.05)
    source.gate.clear()

    assert value() == 1
    assert value() == 1, "also to who waits for that compute"
    source.gate.set()
    wait_until(lambda: value.peek() is not None and value.peek().value == 2, SOON_S, "its result to be stored")


@pytest.mark.parametrize("error", [LookupError, ValueError])
def test_what_a_bounded_compute_raises_in_time_is_raised(cache: Cache, source: Source, error: type[Exception]) -> None:
    value = cache.memoize(compute_timeout="20s", negative={ValueError: "1h"})(lambda: source())
    source.error = error()

    with pytest.raises(error):
        value()


def test_bounded_computes_may_call_each_other(cache: Cache) -> None:
    @cache.memoize(compute_timeout="20s")
    def depth(n: int) -> int:
        return depth(n - 1) + 1 if n else 0

    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(depth, range(40))) == list(range(40))


# --- expire --------------------------------------------------------------------------------------------------------
def test_what_is_expired_is_served_while_one_computes_anew(cache: Cache, source: Source) -> None:
    value = cache.memoize(ttl="1h", stale_ttl="1h")(lambda: source())
    assert value() == 1

    assert value.expire().applied

    assert value.peek().state == "stale"
    assert value() == 1
    read_until(value, 2)
    assert value.peek().state == "fresh"


def test_without_a_stale_ttl_what_is_expired_is_computed(cache: Cache, source: Source) -> None:
    assert cache.get_or_compute("k", source) == 1

    assert cache.expire("k", "nothing there").applied

    assert cache.get_or_compute("k", source) == 2
    assert cache.expire().applied


async def test_everything_that_is_invalidated_can_be_expired(cache: Cache) -> None:
    calls: list[int] = []

    async def compute() -> int:
        calls.append(1)
        return len(calls)

    async with cache.aio as aio:
        one = aio.memoize(name="one")(compute)

        @aio.memoize_many(name="many")
        async def many(ids: list[int]) -> dict[int, int]:
            return dict.fromkeys(ids, await compute())

        assert (await one(), await many([7]), await aio.get_or_compute("k", compute)) == (1, {7: 2}, 3)
        assert (await one.expire()).applied
        assert (await many.expire([7])).applied
        assert (await aio.expire("k")).applied
        assert (await one(), await many([7]), await aio.get_or_compute("k", compute)) == (4, {7: 5}, 6)


def test_expire_does_not_raise_for_a_server_that_is_not_there(namespace: str) -> None:
    with Cache("redis://127.0.0.1:1", namespace=namespace) as cache:
        assert not cache.expire("k").applied


# --- early refresh, jitter -----------------------------------------------------------------------------------------
def test_a_slow_computes_value_is_refreshed_before_it_expires(cache: Cache) -> None:
    calls: list[float] = []

    @cache.memoize(ttl="500ms", stale_ttl="1h")
    def value() -> int:
        calls.append(time.monotonic())
        time.sleep(0.2)
        return len(calls)

    assert value() == 1
    states: set[str] = set()

    def is_refreshed() -> bool:
        entry = value.peek()
        states.add(entry.state)
        return value() == 2

    wait_until(is_refreshed, SOON_S, "it to be computed anew")
    assert calls[1] - calls[0] >= 0.2 + 0.5 * 0.95 * 0.9 - 0.01, "not before the last tenth of its ttl"


def test_what_is_computed_together_does_not_expire_together(cache: Cache) -> None:
    @cache.memoize(ttl="1000s")
    def value(n: int) -> int:
        return n

    for n in range(40):
        value(n)
        cache.get_or_compute(f"k{n}", lambda: 1, ttl="1000s")
    left = [cache.ttl(key) for n in range(40) for key in (value.key(n), f"k{n}")]

    assert all(940 < each <= 1000 for each in left), "never later than was asked for"
    assert max(left) - min(left) > 15
    cache.set("exact", 1, ttl="1000s")
    assert cache.ttl("exact") > 990


# --- waiting costs the server little -------------------------------------------------------------------------------
def test_a_thousand_waiters_cost_the_server_a_handful_of_commands(valkey: Server, namespace: str) -> None:
    """Half of them in the process that computes, half of them in another one: here, another cache."""

    async def main() -> None:
        go_on = asyncio.Event()
        calls: list[int] = []

        async def compute() -> int:
            calls.append(1)
            await go_on.wait()
            return 1

        caches = [Cache(valkey.url, namespace=namespace, budget="10s") for _ in range(2)]
        functions = [cache.memoize(name="f", wait="60s")(compute) for cache in caches]
        for cache in caches:
            await cache.aio.get("connect first")
        valkey.command("CONFIG", "RESETSTAT")
        waiting = [asyncio.ensure_future(function()) for _ in range(500) for function in functions]
        await asyncio.sleep(0.1)
        go_on.set()
        assert await asyncio.gather(*waiting) == [1] * 1000
        asked = sum(stats["calls"] for stats in valkey.command("INFO", "commandstats").values())
        for cache in caches:
            await cache.aio.aclose()

        print(f"{asked} commands for 1,000 waiters")
        assert calls == [1]
        assert asked < 150

    asyncio.run(main())
