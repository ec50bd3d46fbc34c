"""What threads find without a flow, and what they leave to one."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from afresh import Cache
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request
from tests.support.servers import Server


def commands(server: Server) -> int:
    return int(server.command("INFO", "commandstats").get("cmdstat_get", {}).get("calls", 0))


@pytest.fixture
def cache(valkey: Server, namespace: str) -> Iterator[Cache]:
    with Cache(valkey.tcp_url, namespace=namespace, budget="10s") as cache:
        yield cache


def find(cache: Cache, key: str) -> Hit | Ports:
    return cache._engine.hits.find(request(cache, key))


def request(cache: Cache, key: str) -> Request:
    return cache._keyed(key)


def test_a_plain_hit_is_found_and_counted(cache: Cache) -> None:
    cache.get("none")  # the connection knows the server's time; an entry that seems to be from the future would be no plain hit
    cache.set("k", [1])
    found = find(cache, "k")
    assert isinstance(found, Hit)
    assert found.value == [1]
    assert cache.stats()["keys"].hits == 1


def test_each_hit_has_a_value_of_its_own(cache: Cache) -> None:
    cache.set("k", [1])
    cache.get("k").append(2)
    assert cache.get("k") == [1]


def test_what_was_asked_is_not_asked_again(cache: Cache, valkey: Server) -> None:
    assert cache.get("k") is None  # the connection, and the stamps
    before = commands(valkey)
    assert cache.get("k", "nothing") == "nothing"
    assert commands(valkey) == before + 2  # the entry and the namespace's stamp


def test_a_miss_is_counted_once(cache: Cache) -> None:
    assert cache.get("k") is None
    assert cache.stats()["keys"].misses == {"cold": 1}
    assert cache.stats()["keys"].hits == 0


# --- tasks ---------------------------------------------------------------------------------------------------------
async def test_a_task_finds_a_plain_hit_too(cache: Cache, valkey: Server) -> None:
    await cache.aio.get("none")
    await cache.aio.set("k", [1])
    before = commands(valkey)
    found = await cache._engine.task_hits.find(request(cache, "k"))
    assert isinstance(found, Hit)
    assert found.value == [1]
    assert cache.stats()["keys"].hits == 1
    assert commands(valkey) == before + 2
    await cache.aio.aclose()


async def test_what_a_task_asked_is_not_asked_again(cache: Cache, valkey: Server) -> None:
    assert await cache.aio.get("k") is None
    before = commands(valkey)
    assert await cache.aio.get("k", "nothing") == "nothing"
    assert commands(valkey) == before + 2
    assert cache.stats()["keys"].misses == {"cold": 2}
    await cache.aio.aclose()


async def test_tasks_that_read_one_key_at_once_share_a_command(cache: Cache, valkey: Server) -> None:
    @cache.memoize()
    async def answer() -> int:
        return 42

    await answer()
    before = commands(valkey)
    assert await asyncio.gather(*(answer() for _ in range(100))) == [42] * 100
    assert commands(valkey) == before + 3
    await cache.aio.aclose()


async def test_tasks_that_read_other_keys_at_once_share_what_they_need_besides(cache: Cache, valkey: Server) -> None:
    @cache.memoize()
    async def square(n: int) -> int:
        return n * n

    for n in range(10):
        await cache.aio.set(f"k{n}", n)
        await square(n)
    before = commands(valkey)
    keys, squares = (cache.aio.get(f"k{n}") for n in range(10)), (square(n) for n in range(10))
    assert await asyncio.gather(*keys, *squares) == [*range(10), *(n * n for n in range(10))]
    assert commands(valkey) == before + 10 + 1 + 10 + 2
    await cache.aio.aclose()


async def test_one_that_is_cancelled_has_read_for_the_others_all_the_same(cache: Cache) -> None:
    for n in range(3):
        await cache.aio.set(f"k{n}", n)
    tasks = [asyncio.create_task(cache.aio.get(f"k{n}")) for n in range(3)]
    await asyncio.sleep(0)  # they have asked
    tasks[0].cancel()
    assert await asyncio.gather(*tasks[1:]) == [1, 2]
    assert await cache.aio.get("k0") == 0
    await cache.aio.aclose()


async def test_what_tasks_share_is_as_new_as_their_questions(cache: Cache) -> None:
    await cache.aio.set("k0", 0)
    await cache.aio.set("k1", 1)
    early = asyncio.create_task(cache.aio.get("k0"))
    await asyncio.sleep(0)  # it has asked
    receipt = await cache.aio.invalidate_all()
    assert receipt.applied
    assert await asyncio.gather(cache.aio.get("k0"), cache.aio.get("k1")) == [None, None]
    await early
    await cache.aio.aclose()


async def test_a_task_without_a_reply_spends_one_budget_and_has_the_server_left_alone(
    start_server: Callable[..., Server], namespace: str
) -> None:
    server = start_server()
    cache = Cache(server.tcp_url, namespace=namespace, budget=0.3)
    await cache.aio.set("k", 1)
    os.kill(server.pid, signal.SIGSTOP)

    began = time.monotonic()
    assert await cache.aio.get("k") is None
    spent_s = time.monotonic() - began
    assert await cache.aio.get("k") is None
    again_s = time.monotonic() - began - spent_s

    os.kill(server.pid, signal.SIGCONT)
    await cache.aio.aclose()
    assert 0.29 < spent_s < 0.55
    assert again_s < 0.1
