"""Writes whose bytes are held up on the way: they never undo what was written, or invalidated, after them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from afresh import Cache
from afresh.testing import FaultProxy
from tests.conformance.facades import ColourlessCache
from tests.support.servers import Server

BUDGET_S = 0.2


@pytest.fixture
def proxy(valkey: Server) -> Iterator[FaultProxy]:
    with FaultProxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture
async def cache(proxy: FaultProxy, namespace: str) -> AsyncIterator[Cache]:
    cache = Cache(proxy.url, namespace=namespace, budget=BUDGET_S)
    yield cache
    await cache.aio.aclose()


class HeldUp:
    """Holds up what contains this text, until it is let go; what other connections send arrives."""

    def __init__(self, proxy: FaultProxy, text: bytes) -> None:
        self._text = text
        self._is_free = threading.Event()
        self.began, self.ended = threading.Event(), threading.Event()
        proxy.requests.script = self._carry

    def _carry(self, piece: bytes) -> bytes:
        if self._text in piece:
            self.began.set()
            self._is_free.wait(10)
            self.ended.set()
        return piece

    def let_go(self) -> None:
        self._is_free.set()
        assert self.ended.wait(10)
        time.sleep(0.05)  # it may arrive now, or not: there is nothing to wait for


@pytest.mark.parametrize("later", ["set", "invalidate"])
@pytest.mark.parametrize("then", ["sync", "async"])
@pytest.mark.parametrize("first", ["sync", "async"])
async def test_a_write_held_up_on_the_way_is_not_carried_out_after_a_later_one(
    cache: Cache, proxy: FaultProxy, first: str, then: str, later: str
) -> None:
    one, other = ColourlessCache(cache, first), ColourlessCache(cache, then)
    for each in (one, other):
        await each.set("k", "first")
    held = HeldUp(proxy, b"old value")

    await one.set("k", "old value")
    assert held.began.is_set()

    async def is_done() -> bool:
        if later == "invalidate":
            return bool((await other.invalidate("k")).applied)
        await other.set("k", "new value")
        return await other.get("k") == "new value"

    deadline = time.monotonic() + 10
    while not await is_done():  # the breaker may be open for a moment
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    held.let_go()

    assert await other.get("k") == ("new value" if later == "set" else None)
