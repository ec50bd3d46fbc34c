"""One computation for one key, whoever asks; and nobody waits for somebody who waits for them."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from afresh import Cache
from afresh.testing import wait_until, wait_until_async

# How long a caller waits for another; and what a test may take that proves that nobody waits so long.
WAIT_S = 60
SOON_S = 20
MANY = 12


@pytest.fixture(params=["memory", "valkey"])
def cache(request: pytest.FixtureRequest, namespace: str) -> Iterator[Cache]:
    url = "memory://" if request.param == "memory" else request.getfixturevalue(request.param).url
    with Cache(url, namespace=namespace, budget="10s") as cache:  # the machine may be busy
        yield cache


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SOON_S, "somebody waited in vain"


class Gate:
    """A computation that goes on when it is told."""

    def __init__(self) -> None:
        self.calls = 0
        self.started = threading.Event()
        self.go_on = threading.Event()

    def pass_through(self) -> int:
        self.calls += 1
        self.started.set()
        assert self.go_on.wait(SOON_S)
        return self.calls


def followers_of(cache: Cache) -> int:
    """Return how many callers wait for somebody's computation."""
    return sum(seat.wake is not None for cabin in cache._engine._table._flights.values() for seat in cabin.seats or ())


def wait_for_followers(cache: Cache, count: int) -> None:
    wait_until(lambda: followers_of(cache) == count, SOON_S, f"{count} callers to wait")


# --- one computation -----------------------------------------------------------------------------------------------
def test_threads_and_tasks_of_several_loops_share_one_computation(cache: Cache) -> None:
    gate = Gate()

    @cache.memoize(wait=WAIT_S)
    def slow() -> int:
        return gate.pass_through()

    async def ask() -> list[int]:
        return await asyncio.gather(*(cache.aio.get_or_compute(slow.key(), gate.pass_through) for _ in range(MANY)))

    with ThreadPoolExecutor(MANY + 2) as pool:
        leading = pool.submit(slow)
        assert gate.started.wait(SOON_S)
        threads = [pool.submit(slow) for _ in range(MANY - 1)]
        loops = [pool.submit(asyncio.run, ask()) for _ in range(2)]
        wait_for_followers(cache, MANY - 1 + 2 * MANY)
        gate.go_on.set()

        assert leading.result() == 1
        assert [thread.result() for thread in threads] == [1] * (MANY - 1)
        assert [loop.result() for loop in loops] == [[1] * MANY] * 2
    assert gate.calls == 1


def test_calls_one_after_the_other_in_new_loops_share_one_entry(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize()
    async def double(x: int) -> int:
        calls.append(x)
        return 2 * x

    assert [asyncio.run(double(1)) for _ in range(5)] == [2] * 5
    assert calls == [1]


# --- leaders that fail ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_leading_thread_that_raises_hands_over(cache: Cache, error: type[BaseException]) -> None:
    gate = Gate()
    caught: list[BaseException] = []

    def raise_when_told() -> int:
        gate.pass_through()
        raise error

    def lead() -> None:
        try:
            cache.get_or_compute("k", raise_when_told)
        except BaseException as raised:  # noqa: BLE001  whatever it is
            caught.append(raised)

    with ThreadPoolExecutor(4) as pool:
        leading = pool.submit(lead)
        assert gate.started.wait(SOON_S)
        following = [pool.submit(cache.get_or_compute, "k", lambda: "computed") for _ in range(3)]
        wait_for_followers(cache, 3)
        gate.go_on.set()
        leading.result()

        assert [each.result() for each in following] == ["computed"] * 3
    assert [type(each) for each in caught] == [error]
    assert followers_of(cache) == 0


async def test_a_leading_task_that_is_cancelled_hands_over(cache: Cache) -> None:
    started = asyncio.Event()
    calls: list[int] = []

    async def never() -> None:
        started.set()
        await asyncio.Event().wait()

    async def compute() -> str:
        calls.append(1)
        return "computed"

    leading = asyncio.create_task(cache.aio.get_or_compute("k", never))
    await started.wait()
    following = [asyncio.create_task(cache.aio.get_or_compute("k", compute)) for _ in range(MANY)]
    await wait_until_async(lambda: followers_of(cache) == MANY, SOON_S, "all to wait")

    leading.cancel()

    assert await asyncio.gather(*following) == ["computed"] * MANY
    assert calls == [1]
    with pytest.raises(asyncio.CancelledError):
        await leading
    await cache.aio.aclose()


async def test_a_following_task_that_is_cancelled_disturbs_nobody(cache: Cache) -> None:
    finish = asyncio.Event()

    async def compute() -> str:
        await finish.wait()
        return "computed"

    asked = [asyncio.create_task(cache.aio.get_or_compute("k", compute)) for _ in range(MANY)]
    await wait_until_async(lambda: followers_of(cache) == MANY - 1, SOON_S, "all but one to wait")
    for task in asked[1::2]:
        task.cancel()
    finish.set()

    got = await asyncio.gather(*asked, return_exceptions=True)

    assert got[::2] == ["computed"] * (MANY // 2)
    assert all(isinstance(each, asyncio.CancelledError) for each in got[1::2])
    await cache.aio.aclose()


# --- computations that need each other -----------------------------------------------------------------------------
def test_a_function_may_call_itself_with_the_same_arguments(cache: Cache) -> None:
    depth: list[int] = []

    @cache.memoize(wait=WAIT_S)
    def again(x: int) -> int:
        depth.append(x)
        return again(x) + 1 if len(depth) < 3 else 0

    assert again(7) == 2
    assert again(7) == 2, "the outermost call's value is kept"
    assert depth == [7, 7, 7]


async def test_a_coroutine_function_may_call_itself_with_the_same_arguments(cache: Cache) -> None:
    depth: list[int] = []

    @cache.memoize(wait=WAIT_S)
    async def again(x: int) -> int:
        depth.append(x)
        return await again(x) + 1 if len(depth) < 3 else 0

    assert await again(7) == 2
    assert await again(7) == 2
    await cache.aio.aclose()


def test_functions_may_call_each_other(cache: Cache) -> None:
    @cache.memoize(wait=WAIT_S)
    def is_even(n: int) -> bool:
        return n == 0 or is_odd(n - 1)

    @cache.memoize(wait=WAIT_S)
    def is_odd(n: int) -> bool:
        return n != 0 and is_even(n - 1)

    assert is_even(30)
    assert is_odd(31)
    assert not is_odd(30)


def meet(cache: Cache) -> tuple[Callable[[], str], Callable[[], str]]:
    """Return two functions that need each other's value; each calls the other's once both are under way."""
    together = threading.Barrier(2, timeout=SOON_S)
    first = threading.local()

    def compute(other: str) -> str:
        if getattr(first, "is_inside", False):
            return "inner"
        first.is_inside = True
        together.wait()
        return other + ":" + {"one": one, "two": two}[other]()

    @cache.memoize(wait=WAIT_S)
    def one() -> str:
        return compute("two")

    @cache.memoize(wait=WAIT_S)
    def two() -> str:
        return compute("one")

    return one, two


def test_two_threads_whose_computations_need_each_other_both_end(cache: Cache) -> None:
    for _ in range(20):
        cache.invalidate_all()
        one, two = meet(cache)
        with ThreadPoolExecutor(2) as pool:
            got = [asked.result() for asked in (pool.submit(one), pool.submit(two))]
        assert all(value.startswith(("one:", "two:")) for value in got)


async def test_a_computation_that_waits_for_several_of_which_one_waits_for_it_ends(cache: Cache) -> None:
    begun = {name: asyncio.Event() for name in "abc"}

    async def a() -> str:
        if begun["a"].is_set():
            return "again"
        begun["a"].set()
        await begun["b"].wait()
        await begun["c"].wait()
        return "a" + "".join(await asyncio.gather(ask("b"), ask("c")))

    async def b() -> str:
        begun["b"].set()
        await wait_until_async(lambda: followers_of(cache) >= 2, SOON_S, "a to wait for both")
        return "b" + await ask("a")

    async def c() -> str:
        begun["c"].set()
        await asyncio.sleep(0.2)
        return "c"

    async def ask(name: str) -> str:
        return await cache.aio.get_or_compute(name, {"a": a, "b": b, "c": c}[name])

    assert await asyncio.gather(ask("a"), ask("b"), ask("c")) == ["abagainc", "bagain", "c"]
    await cache.aio.aclose()


# --- threads and loops that stand in each other's way --------------------------------------------------------------
async def test_a_plain_call_on_a_loops_thread_does_not_wait_for_its_tasks(cache: Cache) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def compute() -> str:
        started.set()
        await finish.wait()
        return "task"

    leading = asyncio.create_task(cache.aio.get_or_compute("k", compute))
    await started.wait()

    assert cache.get_or_compute("k", lambda: "plain") == "plain"

    finish.set()
    assert await leading == "task"
    assert cache.get("k") == "task", "the plain call stored nothing"
    await cache.aio.aclose()


async def test_a_task_waits_for_a_thread_without_stopping_its_loop(cache: Cache) -> None:
    gate = Gate()
    leading = asyncio.create_task(asyncio.to_thread(cache.get_or_compute, "k", gate.pass_through))
    assert await asyncio.to_thread(gate.started.wait, SOON_S)

    following = asyncio.create_task(cache.aio.get_or_compute("k", gate.pass_through))
    await wait_until_async(lambda: followers_of(cache) == 1, SOON_S, "the task to wait")
    gate.go_on.set()

    assert await asyncio.gather(leading, following) == [1, 1]
    await cache.aio.aclose()


# --- processes -----------------------------------------------------------------------------------------------------
def in_a_child(work: Callable[[], object]) -> object:
    """Return what the work returns in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, pickle.dumps(work()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(told)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what is tested
def test_a_child_forked_while_another_thread_computes_computes_for_itself(cache: Cache) -> None:
    gate = Gate()
    leading = threading.Thread(target=cache.get_or_compute, args=("k", gate.pass_through))
    leading.start()
    assert gate.started.wait(SOON_S)

    def child() -> tuple[Any, Any]:
        by_name = cache.get_or_compute("another", lambda: "child")
        return by_name, cache.get("k", "nothing")

    assert in_a_child(child) == ("child", "nothing")

    gate.go_on.set()
    leading.join()
    assert cache.get("k") == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what is tested
def test_children_forked_under_load_are_not_stuck(cache: Cache) -> None:
    ended = threading.Event()

    def work() -> None:
        at = 0
        while not ended.is_set():
            cache.set(f"{at % 7}", at)
            cache.get_or_compute(f"c{at % 5}", lambda: 1)
            at += 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert in_a_child(lambda: cache.get_or_compute("k", lambda: "child")) == "child"
    finally:
        ended.set()
        for thread in threads:
            thread.join()


# --- pickling ------------------------------------------------------------------------------------------------------
of_this_module = Cache("memory://", namespace="t-pickled")


@of_this_module.memoize()
def double(x: int) -> int:
    return 2 * x


@of_this_module.memoize()
async def triple(x: int) -> int:
    return 3 * x


@pytest.mark.parametrize("handle", [double, triple], ids=["plain", "coroutine"])
def test_a_memoized_function_pickles_by_its_name(handle: Any) -> None:
    assert pickle.loads(pickle.dumps(handle)) is handle
