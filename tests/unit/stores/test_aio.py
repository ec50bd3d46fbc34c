"""A connection for each event loop."""

from __future__ import annotations

import asyncio
import gc
import weakref

from afresh.core.ops import Get
from afresh.core.restarts import ServerRun
from afresh.stores.address import parse_url
from afresh.stores.aio import AsyncStore
from afresh.stores.peer import Peer
from tests.support.servers import Server


def test_loops_that_have_ended_are_not_kept_in_memory(valkey: Server) -> None:
    store = AsyncStore(parse_url(valkey.tcp_url), budget_s=10, peer=Peer("the server", ServerRun()))

    async def use() -> weakref.ref[asyncio.AbstractEventLoop]:
        assert await store.flight([Get("t-none")]) == [None]
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(use()) for _ in range(5)]
    gc.collect()

    assert sum(loop() is not None for loop in loops) <= 1, "but for the last one"
