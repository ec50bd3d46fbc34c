"""Leases live as long as computations, and hardly longer than processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from afresh import Cache
from afresh.core.policy import LEASE_MS
from afresh.testing import wait_until
from tests.support.servers import Server

# Computes for longer than a lease lives, or until it is killed.
OWNER = """
import sys, time
from afresh import Cache
with Cache(sys.argv[1], namespace=sys.argv[2], budget="10s") as cache:
    print(cache.get_or_compute(sys.argv[3], lambda: time.sleep(float(sys.argv[4])) or "computed by the first"))
"""


def start_owner(server: Server, namespace: str, key: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OWNER, server.url, namespace, key, str(seconds)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: server.command("EXISTS", f"{namespace}:l:{{k:{key}}}"), 20, "the first process to compute")
    return owner


def test_a_long_computation_keeps_its_lease_and_a_dead_one_loses_it(valkey: Server, namespace: str) -> None:
    slow = start_owner(valkey, namespace, "slow", 2 + LEASE_MS / 1000)
    dead = start_owner(valkey, namespace, "dead", 600)
    os.kill(dead.pid, signal.SIGKILL)
    got: dict[str, Any] = {}

    def ask(key: str) -> None:
        started = time.monotonic()
        got[key] = cache.get_or_compute(key, lambda: "computed by the second"), time.monotonic() - started

    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        threads = [threading.Thread(target=ask, args=(key,)) for key in ("slow", "dead")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert slow.communicate()[0] == "computed by the first\n"
        dead.communicate()
        assert cache.get("slow") == "computed by the first", "it was stored, though it took longer than a lease"

    assert got["slow"][0] == "computed by the first", "the second process waited for it"
    assert got["dead"][0] == "computed by the second"
    assert got["dead"][1] < 2 * LEASE_MS / 1000, "and not for the dead"


def test_an_invalidation_ends_a_lease_that_is_being_renewed(valkey: Server, namespace: str) -> None:
    computing, go_on = threading.Event(), threading.Event()

    def compute() -> str:
        computing.set()
        go_on.wait(20)
        return "old"

    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        thread = threading.Thread(target=cache.get_or_compute, args=("k", compute))
        thread.start()
        assert computing.wait(20)
        assert cache.invalidate("k").applied
        time.sleep(2)  # more than one period of renewals
        assert not valkey.command("EXISTS", f"{namespace}:l:{{k:k}}")
        go_on.set()
        thread.join()
        assert cache.get("k") is None


@pytest.mark.parametrize("url", ["memory://"])
def test_a_store_within_the_process_needs_no_thread(url: str) -> None:
    cache = Cache(url)
    seen: list[str] = []
    cache.get_or_compute("k", lambda: seen.extend(thread.name for thread in threading.enumerate()))

    assert not [name for name in seen if name.startswith("afresh")]


def test_closing_ends_the_thread(valkey: Server, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        cache.get_or_compute("k", lambda: 1)
        assert "afresh-renewals" in {thread.name for thread in threading.enumerate()}
    wait_until(lambda: "afresh-renewals" not in {thread.name for thread in threading.enumerate()}, 5, "the thread to end")


def test_a_tasks_long_computation_keeps_its_lease(valkey: Server, namespace: str) -> None:
    async def main() -> None:
        async def compute() -> str:
            await asyncio.sleep(2 + LEASE_MS / 1000)
            return "computed"

        async with Cache(valkey.url, namespace=namespace, budget="10s").aio as cache:
            assert await cache.get_or_compute("slow", compute) == "computed"
            assert await cache.get("slow") == "computed"
            before = set(threading.enumerate())
            await cache.get_or_compute("quick", lambda: "computed")
            assert set(threading.enumerate()) <= before, "what is quick needs no thread"

    asyncio.run(main())
