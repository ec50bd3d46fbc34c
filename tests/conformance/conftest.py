"""Stores of both colours, for tests that do not care which: either is awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from afresh.core import ops
from afresh.core.ports import Store
from afresh.core.restarts import ServerRun
from afresh.stores.address import parse_url
from afresh.stores.aio import AsyncStore
from afresh.stores.peer import Peer
from afresh.stores.sync import SyncStore
from tests.support.servers import Server, find_redis, find_valkey

BUDGET_S = 5.0
PROGRAMS = {"valkey": find_valkey, "redis7": find_redis}

Ask: TypeAlias = Callable[[ops.Op], Awaitable[Any]]
OpenStore: TypeAlias = Callable[[str], AbstractAsyncContextManager[Store]]


@asynccontextmanager
async def _opened(colour: str, url: str) -> AsyncIterator[Store]:
    address = parse_url(url)
    if colour == "sync":
        blocking = SyncStore(address, budget_s=BUDGET_S, peer=Peer("the server", ServerRun()))
        yield blocking
        blocking.close()
    else:
        suspending = AsyncStore(address, budget_s=BUDGET_S, peer=Peer("the server", ServerRun()))
        yield suspending
        await suspending.aclose()


@pytest.fixture(params=["sync", "aio"])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Open a store on a server, for threads and for tasks."""
    return lambda url: _opened(request.param, url)


@pytest.fixture
async def store(open_store: OpenStore, server: Server) -> AsyncIterator[Store]:
    """A store on each of both servers."""
    async with open_store(server.url) as opened:
        yield opened


@pytest.fixture
def ask(store: Store) -> Ask:
    """Ask the store one thing."""

    async def asked(op: ops.Op) -> Any:
        return (await store.flight((op,)))[0]

    return asked


@pytest.fixture(params=PROGRAMS)
def start_either(request: pytest.FixtureRequest) -> Iterator[Callable[..., Server]]:
    """Start servers of each kind in turn, with settings of their own."""
    program = PROGRAMS[request.param]()
    if program is None:
        pytest.skip(f"there is no {request.param} here")
    started: list[Server] = []

    def start(**options: str) -> Server:
        started.append(Server(program, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()
