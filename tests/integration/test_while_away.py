"""While the server is away, a process still computes once at a time for the same arguments."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from afresh import Cache

CALLERS = 20


@pytest.fixture
def away(namespace: str) -> Cache:
    return Cache("redis://127.0.0.1:1", namespace=namespace)


def test_threads_share_one_computation(away: Cache) -> None:
    calls: list[int] = []
    got: list[int] = []
    together = threading.Barrier(CALLERS)

    @away.memoize()
    def slow(x: int) -> int:
        calls.append(x)
        time.sleep(0.3)
        return 2 * x

    def call() -> None:
        together.wait()
        got.append(slow(1))

    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == [2] * CALLERS
    # A call that begins after the computation has begun needs a younger one; all of these share the next.
    assert len(calls) <= 2
    away.close()


async def test_tasks_share_one_computation(away: Cache) -> None:
    calls: list[int] = []

    @away.memoize()
    async def slow(x: int) -> int:
        calls.append(x)
        await asyncio.sleep(0.2)
        return 2 * x

    assert await asyncio.gather(*(slow(1) for _ in range(CALLERS))) == [2] * CALLERS
    assert len(calls) <= 2
    await away.aio.aclose()
