"""A server that hangs costs each caller a budget at first, and then nearly nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from afresh import Cache, StoreUnavailable
from afresh.testing import wait_until
from tests.support.servers import Server

pytestmark = pytest.mark.alone  # it measures

BUDGET_S = 0.25
CALLS = 200


@pytest.fixture
def hanging(start_server: Callable[..., Server], namespace: str) -> Iterator[tuple[Cache, Callable[[], None]]]:
    """A cache whose server has been stopped, and what makes it go on."""
    server = start_server()
    with Cache(server.url, namespace=namespace, budget=BUDGET_S) as cache:
        wait_until(lambda: cache.set("k", 1) is None and cache.get("k") == 1, 10, "the server to answer")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            yield cache, lambda: os.kill(server.pid, signal.SIGCONT)
        finally:
            os.kill(server.pid, signal.SIGCONT)


def test_calls_miss_at_once_while_it_hangs(hanging: Any) -> None:
    cache, _ = hanging
    calls: list[int] = []

    @cache.memoize()
    def double(x: int) -> int:
        calls.append(x)
        return 2 * x

    started = time.monotonic()
    assert [double(x) for x in range(CALLS)] == [2 * x for x in range(CALLS)]
    took_s = time.monotonic() - started
    print(f"{CALLS} calls of a hanging server took {took_s:.2f} s; without a breaker {CALLS * BUDGET_S:.0f}")
    assert took_s < CALLS * BUDGET_S / 4
    assert calls == list(range(CALLS))


def test_coroutines_miss_at_once_too(hanging: Any) -> None:
    cache, _ = hanging

    async def main() -> float:
        started = time.monotonic()
        for _ in range(CALLS):
            assert await cache.aio.get("k") is None
        took_s = time.monotonic() - started
        await cache.aio.aclose()
        return took_s

    assert asyncio.run(main()) < CALLS * BUDGET_S / 4


def test_it_is_found_again_when_it_goes_on(hanging: Any) -> None:
    cache, go_on = hanging
    assert cache.get("k") is None
    go_on()

    wait_until(lambda: cache.get("k") == 1, 5, "the cache to find its server again")


def test_counters_raise_and_invalidations_are_tried(hanging: Any) -> None:
    cache, go_on = hanging
    assert cache.get("k") is None
    with pytest.raises(StoreUnavailable, match=r"was not asked: it has not answered in time lately|did not answer in time"):
        cache.incr("n")
    assert not cache.invalidate("k").applied
    go_on()

    wait_until(lambda: cache.invalidate("k").applied, 5, "an invalidation to be applied")
