"""`lock()`: blocks that one holder at a time is in, over threads, tasks and processes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from afresh import Cache, ConfigurationError, Lease, LockLost, LockReentered, LockTimeout, StoreError
from afresh.core.keys import Namespace, lock_names
from afresh.testing import wait_until, wait_until_async
from tests.conformance.facades import ColourlessCache
from tests.support.servers import Server


@pytest.fixture(params=["memory", "valkey", "redis7"])
def url(request: pytest.FixtureRequest) -> str:
    return "memory://" if request.param == "memory" else request.getfixturevalue(request.param).url


@pytest.fixture(params=["sync", "async"])
async def cache(request: pytest.FixtureRequest, url: str, namespace: str) -> AsyncIterator[ColourlessCache]:
    both = Cache(url, namespace=namespace, budget="10s")
    yield ColourlessCache(both, request.param)
    await both.aio.aclose()


@pytest.fixture
def plain(valkey: Server, namespace: str) -> Iterator[Cache]:
    with Cache(valkey.url, namespace=namespace, budget="10s") as opened:
        yield opened


@asynccontextmanager
async def locked(cache: ColourlessCache, name: str = "a", *, ttl: Any = "30s", wait: Any = "10s") -> AsyncIterator[Lease]:
    """Enter a block of either colour."""
    block = cache.subject.lock(name, ttl=ttl, wait=wait)
    if cache.colour == "sync":
        with block as lease:
            yield lease
    else:
        async with block as lease:
            yield lease


async def is_free(cache: ColourlessCache, name: str = "a") -> bool:
    """Say whether somebody else could have the lock now."""
    return await asyncio.to_thread(_could_have, cache.cache, name)


def _could_have(cache: Cache, name: str) -> bool:
    try:
        with cache.lock(name, ttl="30s", wait=0):
            return True
    except LockTimeout:
        return False


# --- one at a time -------------------------------------------------------------------------------------------------
async def test_a_lock_is_held_for_the_block_and_free_after_it(cache: ColourlessCache) -> None:
    assert await is_free(cache)

    async with locked(cache) as lease:
        assert not lease.is_lost
        assert not await is_free(cache)
        assert await is_free(cache, "another")

    assert await is_free(cache)


async def test_a_block_that_raises_gives_the_lock_back(cache: ColourlessCache) -> None:
    async def fail() -> None:
        async with locked(cache):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await fail()

    assert await is_free(cache)


async def test_fences_rise(cache: ColourlessCache) -> None:
    fences = []
    for _ in range(5):
        async with locked(cache) as lease:
            fences.append(lease.fence)

    assert fences == sorted(set(fences))
    assert all(isinstance(fence, int) for fence in fences)


async def test_one_that_is_not_to_be_had_raises_in_time(cache: ColourlessCache) -> None:
    async with locked(cache):
        started = time.monotonic()

        def wait() -> LockTimeout:
            with (
                pytest.raises(LockTimeout, match=r"'a' was not to be had within 0\.2 s") as refused,
                cache.cache.lock("a", ttl=9, wait=0.2),
            ):
                pass
            return refused.value

        refused = await asyncio.to_thread(wait)

    assert 0.2 <= time.monotonic() - started < 5
    assert (refused.lock, refused.wait_s) == ("a", 0.2)
    assert isinstance(refused, TimeoutError)


async def test_to_try_once_takes_no_time_and_no_place(cache: ColourlessCache) -> None:
    async with locked(cache):
        assert not await is_free(cache)

    async with locked(cache, wait=0):
        pass


async def test_whoever_holds_a_lock_is_told_that_it_would_wait_for_itself(cache: ColourlessCache) -> None:
    async with locked(cache):
        with pytest.raises(LockReentered, match="'a' is held by this very thread or task"):
            async with locked(cache):
                pass

    assert await is_free(cache)


async def test_a_task_waits_for_another_of_its_loop(url: str, namespace: str) -> None:
    both = Cache(url, namespace=namespace, budget="10s")
    order: list[int] = []

    async def work(number: int) -> None:
        async with both.aio.lock("a", ttl="30s"):
            order.append(number)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(work(number) for number in range(20)))
    await both.aio.aclose()

    assert order == list(range(20))


def test_a_plain_function_does_not_stop_the_loop_to_wait_for_its_task(plain: Cache) -> None:
    async def main() -> None:
        async with plain.aio.lock("a", ttl="30s"):
            with pytest.raises(LockReentered), plain.lock("a", ttl="30s"):
                pass
        await plain.aio.aclose()

    asyncio.run(main())


# --- order, and how little is asked --------------------------------------------------------------------------------
def waiting(server: Server, namespace: str, name: str = "a") -> int:
    return int(server.command("ZCARD", lock_names(Namespace(namespace), name).queue))


def test_the_order_of_waiting_holds_over_processes(valkey: Server, namespace: str) -> None:
    caches = [Cache(valkey.url, namespace=namespace, budget="10s") for _ in range(3)]
    order: list[int] = []

    def work(number: int) -> None:
        with caches[number % 3].lock("a", ttl="30s", wait="60s"):
            order.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(9)]
    with caches[0].lock("a", ttl="30s"):
        for number, thread in enumerate(threads):
            thread.start()
            wait_until(lambda number=number: waiting(valkey, namespace) == number + 1, 20, "a place in the line")
    for thread in threads:
        thread.join()
    for cache in caches:
        cache.close()

    assert order == list(range(9))


def test_a_hundred_waiters_ask_as_little_as_one(valkey: Server, plain: Cache, namespace: str) -> None:
    served: list[int] = []

    def work() -> None:
        with plain.lock("a", ttl="30s", wait="60s"):
            served.append(1)

    threads = [threading.Thread(target=work) for _ in range(100)]
    other = Cache(valkey.url, namespace=namespace, budget="10s")
    with other.lock("a", ttl="30s"):
        for thread in threads:
            thread.start()
        wait_until(lambda: waiting(valkey, namespace) == 100, 30, "all to wait")
        before = _calls(valkey)
        time.sleep(1)
        asked = _calls(valkey) - before
    for thread in threads:
        thread.join()
    other.close()

    print(f"{asked} scripts in a second")
    assert asked < 150, "one of them looks each 10 ms, for all"
    assert len(served) == 100


def _calls(server: Server) -> int:
    return int(server.command("INFO", "commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


# --- lost ----------------------------------------------------------------------------------------------------------
async def test_a_lock_is_renewed_for_as_long_as_its_block_runs(cache: ColourlessCache) -> None:
    async with locked(cache, ttl=1.5) as lease:
        await asyncio.sleep(2)  # a busy machine may renew a second late
        assert not lease.is_lost
        assert not await is_free(cache)


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_one_that_is_lost_says_so_and_is_not_taken_from_the_next(plain: Cache, valkey: Server, namespace: str, colour: str) -> None:
    cache, names = ColourlessCache(plain, colour), lock_names(Namespace(namespace), "a")

    async def lose() -> None:
        async with locked(cache, ttl=0.3) as lease:
            assert repr(lease) == f"<Lease fence={lease.fence}>"
            valkey.command("SET", names.holder, "somebody else", "PX", 60_000)
            await wait_until_async(lambda: lease.is_lost, 20, "the loss to be noticed")
            assert repr(lease) == f"<Lease fence={lease.fence} lost>"

    with pytest.raises(LockLost, match="'a' was lost"):
        await lose()

    assert valkey.command("GET", names.holder) == b"somebody else"
    await plain.aio.aclose()


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_what_the_block_raised_is_not_hidden_by_the_loss(plain: Cache, valkey: Server, colour: str) -> None:
    async def lose() -> None:
        async with locked(ColourlessCache(plain, colour)):
            valkey.flush()
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await lose()
    await plain.aio.aclose()


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_without_its_server_a_lock_is_lost_in_time_and_not_to_be_had(
    start_server: Callable[..., Server], namespace: str, colour: str
) -> None:
    server = start_server()
    both = Cache(server.url, namespace=namespace, budget="10s")
    cache = ColourlessCache(both, colour)

    async with locked(cache, ttl="30s") as lease:
        server.stop()
        assert not lease.is_lost, "nobody else can have it before its ttl is over"
    with pytest.raises(StoreError):
        async with locked(cache):
            pass

    async def outlive() -> None:
        server = start_server()
        other = Cache(server.url, namespace=namespace, budget="10s")
        try:
            async with locked(ColourlessCache(other, colour), ttl=0.4) as lease:
                server.stop()
                await wait_until_async(lambda: lease.is_lost, 20, "the ttl to be over")
        finally:
            await other.aio.aclose()

    with pytest.raises(LockLost):
        await outlive()
    await both.aio.aclose()


HOLDER = """
import sys, time
from afresh import Cache
with Cache(sys.argv[1], namespace=sys.argv[2], budget="10s") as cache, cache.lock("a", ttl=float(sys.argv[3])) as lease:
    print(lease.fence, flush=True)
    time.sleep(600)
"""


def test_a_dead_holder_keeps_others_out_for_its_ttl_and_no_longer(valkey: Server, plain: Cache, namespace: str) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, valkey.url, namespace, "2"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        fence = int(holder.stdout.readline())
        os.kill(holder.pid, signal.SIGKILL)
    started = time.monotonic()

    with plain.lock("a", ttl="30s", wait="20s") as lease:
        assert lease.fence > fence
        assert 0.5 < time.monotonic() - started < 10


def test_a_holder_that_stood_still_finds_its_lock_lost(valkey: Server, plain: Cache, namespace: str) -> None:
    script = HOLDER.replace("time.sleep(600)", "sys.stdin.readline(); print(lease.is_lost, flush=True)")
    command = [sys.executable, "-c", script, valkey.url, namespace, "0.6"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        os.kill(holder.pid, signal.SIGSTOP)
        with plain.lock("a", ttl="30s", wait="20s"):
            os.kill(holder.pid, signal.SIGCONT)
            said, errors = holder.communicate("\n", timeout=30)
            assert said == "True\n"
            assert "afresh.errors.LockLost: the lock 'a' was lost before its block ended" in errors
        assert holder.returncode == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_hold_its_parents_lock(plain: Cache) -> None:
    with plain.lock("a", ttl="30s") as lease:
        child = os.fork()
        if child == 0:
            os._exit(0 if lease.is_lost and not _could_have(plain, "a") else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert not lease.is_lost


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_that_leaves_the_block_releases_nothing(valkey: Server, plain: Cache, namespace: str) -> None:
    names = lock_names(Namespace(namespace), "a")
    parent = os.getpid()
    try:
        with plain.lock("a", ttl="30s"):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                assert valkey.command("EXISTS", names.holder)
    except LockLost:
        assert os.getpid() != parent
        os._exit(0)


async def test_a_cancelled_task_holds_nothing_and_stands_in_no_line(valkey: Server, plain: Cache, namespace: str) -> None:
    names = lock_names(Namespace(namespace), "a")
    await plain.aio.get("k")  # opens the connection

    async def hold() -> None:
        async with plain.aio.lock("a", ttl="30s"):
            await asyncio.sleep(600)

    for turns in range(8):  # cancelled while it asks, and in the block; while it waits in the line
        for others in (0, 1):
            tasks = [asyncio.create_task(hold()) for _ in range(1 + others)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in reversed(tasks):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await plain.aio.get("k")  # what was sent before it has been answered
            assert not valkey.command("EXISTS", names.holder, names.queue), (turns, others)
    await plain.aio.aclose()


def test_an_interrupted_thread_holds_nothing(valkey: Server, plain: Cache, namespace: str) -> None:
    names = lock_names(Namespace(namespace), "a")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    other = Cache(valkey.url, namespace=namespace, budget="10s")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with other.lock("a", ttl="30s"):
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt), plain.lock("a", ttl="30s", wait="60s"):
                pass
            assert not valkey.command("EXISTS", names.queue)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        other.close()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("", {"ttl": 1}, "at least one character, not ''"),
        (7, {"ttl": 1}, "not int"),
        ("a", {"ttl": 0}, "ttl=0"),
        ("a", {"ttl": -1}, "ttl"),
        ("a", {"ttl": "soon"}, "ttl"),
        ("a", {"ttl": 1, "wait": "a while"}, "wait"),
    ],
)
async def test_what_cannot_be_is_refused_at_once(cache: ColourlessCache, name: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        cache.subject.lock(name, **options)


def test_no_lock_collides_with_a_key_or_a_tag(plain: Cache) -> None:
    plain.set("a", 1, tags=["a"])

    with plain.lock("a", ttl="30s"), plain.lock("k:a", ttl="30s"), plain.lock("{braces}", ttl="30s"):
        assert plain.get("a") == 1
        plain.invalidate("a")
        plain.invalidate_tags("a")
        plain.invalidate_all()
        assert not _could_have_in_thread(plain)


def _could_have_in_thread(cache: Cache) -> bool:
    got: list[bool] = []
    thread = threading.Thread(target=lambda: got.append(_could_have(cache, "a")))
    thread.start()
    thread.join()
    return got[0]


# --- many at once --------------------------------------------------------------------------------------------------
def test_threads_tasks_and_processes_are_in_the_block_one_at_a_time(valkey: Server, namespace: str) -> None:
    inside: list[int] = []
    fences: list[int] = []
    until = time.monotonic() + 2
    caches = [Cache(valkey.url, namespace=namespace, budget="10s") for _ in range(2)]

    def be_inside(lease: Lease) -> None:
        inside.append(1)
        assert inside == [1]
        fences.append(lease.fence)

    def work(cache: Cache) -> None:
        while time.monotonic() < until:
            with cache.lock("a", ttl="30s", wait="60s") as lease:
                be_inside(lease)
                time.sleep(random.random() * 0.002)
                inside.pop()

    async def work_as_task(cache: Cache) -> None:
        while time.monotonic() < until:
            async with cache.aio.lock("a", ttl="30s", wait="60s") as lease:
                be_inside(lease)
                await asyncio.sleep(random.random() * 0.002)
                inside.pop()

    async def tasks(cache: Cache) -> None:
        await asyncio.gather(*(work_as_task(cache) for _ in range(3)))
        await cache.aio.aclose()

    threads = [threading.Thread(target=work, args=(cache,)) for cache in caches for _ in range(3)]
    threads += [threading.Thread(target=lambda cache=cache: asyncio.run(tasks(cache))) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for cache in caches:
        cache.close()

    print(f"{len(fences)} times")
    assert fences == sorted(set(fences))
    assert len(fences) > 20
