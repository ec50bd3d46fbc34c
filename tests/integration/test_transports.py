"""Every way to a server (TCP, a unix socket, TLS), for threads and on the event loops that there are."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import uvloop

from afresh import Cache
from afresh.testing import wait_until
from tests.support.servers import Server

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
BUDGET_S, SLACK_S = 0.25, 1.0
MANY = 60


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


@pytest.fixture(params=["tcp", "unix", "tls"])
def place(request: pytest.FixtureRequest) -> tuple[str, Server]:
    """A way to a server, and the server."""
    if request.param == "tls":
        over_tls: tuple[str, Server] = request.getfixturevalue("redis7_over_tls")
        return over_tls
    server: Server = request.getfixturevalue("valkey")
    return server.url if request.param == "unix" else server.tcp_url, server


def own_value(at: int) -> dict[str, object]:
    """Return something that tells its reader whose it is; some of it larger than any buffer."""
    return {"at": at, "text": str(at) * (200_000 if at % 30 == 0 else 3)}


def kill_connections(server: Server) -> None:
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


# --- tasks ---------------------------------------------------------------------------------------------------------
def test_each_task_gets_its_own_values_whoever_is_cancelled(place: tuple[str, Server], runner: asyncio.Runner, namespace: str) -> None:
    cache = Cache(place[0], namespace=namespace, budget="20s").aio
    rand = random.Random(7)

    async def read(at: int) -> None:
        for _ in range(4):
            assert await cache.get(f"k{at}") == own_value(at)
            assert await cache.get_many([f"k{at}", "none"]) == {f"k{at}": own_value(at)}

    async def all_read() -> None:
        await cache.set_many({f"k{at}": own_value(at) for at in range(MANY)})
        reading = [asyncio.create_task(read(at)) for at in range(MANY)]
        for task in rand.sample(reading, MANY // 3):
            for _ in range(rand.randrange(3)):
                await asyncio.sleep(0)
            task.cancel()
        ends = await asyncio.gather(*reading, return_exceptions=True)
        assert {type(end) for end in ends} <= {type(None), asyncio.CancelledError}, ends
        assert ends.count(None) >= MANY // 2
        await read(1)
        await cache.aclose()

    runner.run(all_read())


def test_a_loop_that_finds_its_idle_connection_closed_goes_on(place: tuple[str, Server], runner: asyncio.Runner, namespace: str) -> None:
    url, server = place
    cache = Cache(url, namespace=namespace, budget="20s").aio

    async def go_on() -> None:
        await cache.set("k", 1)
        for at in range(2):
            kill_connections(server)
            assert await cache.get("k") == 1
            kill_connections(server)
            assert await cache.add(f"new{at}", at)
        await cache.aclose()

    runner.run(go_on())


def test_a_connection_closes_with_its_loop(place: tuple[str, Server], runner: asyncio.Runner, namespace: str) -> None:
    url, server = place
    cache = Cache(url, namespace=namespace, budget="20s")
    before = server.command("INFO", "clients")["connected_clients"]

    runner.run(cache.aio.set("k", 1))
    assert server.command("INFO", "clients")["connected_clients"] == before + 1
    runner.close()

    wait_until(lambda: server.command("INFO", "clients")["connected_clients"] == before, 10, "the connection to be closed")
    assert asyncio.run(cache.aio.get("k")) == 1, "in another loop"


@pytest.mark.parametrize("place", ["tls"], indirect=True)  # others: test_failures.py
def test_a_server_that_stops_costs_tasks_no_more_than_the_budget(place: tuple[str, Server], runner: asyncio.Runner, namespace: str) -> None:
    url, server = place
    cache = Cache(url, namespace=namespace, budget=BUDGET_S).aio

    async def all_miss() -> float:
        began = time.monotonic()
        assert await asyncio.gather(*(cache.get("k", "nothing") for _ in range(MANY))) == ["nothing"] * MANY
        return time.monotonic() - began

    wait_until(lambda: runner.run(cache.set("k", 1)) or runner.run(cache.get("k")), 10, "something to be there")
    with stopped(server):
        assert runner.run(all_miss()) < BUDGET_S + SLACK_S
    wait_until(lambda: runner.run(cache.get("k")), 10, "the server to be asked again")
    runner.run(cache.aclose())


# --- threads -------------------------------------------------------------------------------------------------------
def test_each_thread_gets_its_own_values(place: tuple[str, Server], namespace: str) -> None:
    url, server = place
    with Cache(url, namespace=namespace, budget="20s") as cache, ThreadPoolExecutor(8) as pool:
        cache.set_many({f"k{at}": own_value(at) for at in range(MANY)})

        def read(at: int) -> object:
            return cache.get(f"k{at}")

        for _ in range(2):
            assert list(pool.map(read, range(MANY))) == [own_value(at) for at in range(MANY)]
            kill_connections(server)
        assert cache.add("new", 1)


@pytest.mark.parametrize("place", ["tls"], indirect=True)  # others: test_failures.py
def test_a_server_that_stops_costs_threads_no_more_than_the_budget(place: tuple[str, Server], namespace: str) -> None:
    url, server = place
    with Cache(url, namespace=namespace, budget=BUDGET_S) as cache:
        cache.set("k", 1)
        with stopped(server):
            began = time.monotonic()
            assert cache.get("k", "nothing") == "nothing"
            assert time.monotonic() - began < BUDGET_S + SLACK_S
        wait_until(lambda: cache.get("k"), 10, "the server to be asked again")


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
        wait_until(lambda: server.command("PING"), 10, "the server to go on")
