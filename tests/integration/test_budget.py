"""A call's round trips share its budget: a server that is slow, but not slow enough to time out once, does not cost it several times."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import pytest

from afresh import Cache, StoreError
from afresh.testing import FaultProxy
from tests.conformance.facades import ColourlessCache
from tests.support.servers import Server

pytestmark = pytest.mark.alone  # it measures

BUDGET_S = 0.2
# What one reply takes: two of them are too long.
REPLY_S = 0.8 * BUDGET_S
# The machine's own share of a call.
SLACK_S = 0.15

Call: TypeAlias = Callable[[ColourlessCache], Awaitable[Any]]


@pytest.fixture
def proxy(valkey: Server) -> Iterator[FaultProxy]:
    with FaultProxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture(params=["sync", "async"])
async def cache(request: pytest.FixtureRequest, proxy: FaultProxy, namespace: str) -> AsyncIterator[ColourlessCache]:
    cache = Cache(proxy.url, namespace=namespace, budget=BUDGET_S)
    yield ColourlessCache(cache, request.param)
    proxy.heal()
    await cache.aio.aclose()


async def counted(cache: ColourlessCache) -> Any:
    try:
        return await cache.incr("n", 10**16)
    except StoreError as error:
        return error


CALLS: dict[str, Call] = {
    "get of an entry with tags": lambda cache: cache.get("tagged", "nothing"),
    "get_or_compute": lambda cache: cache.get_or_compute("new", cache.coloured(lambda: "computed")),
    "set": lambda cache: cache.set("k", 2),
    "add": lambda cache: cache.add("new", 2),
    "touch": lambda cache: cache.touch("tagged"),
    "incr": counted,
    "invalidate": lambda cache: cache.invalidate("k"),
    "memoized call": lambda cache: cache.memoized(lambda x: [x], name="f")(1),
    "refresh": lambda cache: cache.memoized(lambda x: [x], name="f").refresh(1),
    "recurrence": lambda cache: cache._awaited(cache.cache.recurrence(base={0: 1}, name="t")(cache.coloured(lambda n, m: n * m)))(5),
}


@pytest.mark.parametrize("kind", CALLS)
async def test_a_call_of_a_slow_server_takes_no_longer_than_its_budget(kind: str, cache: ColourlessCache, proxy: FaultProxy) -> None:
    await cache.set("tagged", 1, tags=["t"])
    await cache.set("k", 1)
    await cache.incr("n", 10**16)
    proxy.replies.delay_s = REPLY_S

    started = time.monotonic()
    await CALLS[kind](cache)
    assert time.monotonic() - started < BUDGET_S + SLACK_S


async def test_the_first_call_of_a_slow_server_takes_no_longer_than_its_budget(cache: ColourlessCache, proxy: FaultProxy) -> None:
    proxy.replies.delay_s = REPLY_S

    started = time.monotonic()
    assert await cache.get("k", "nothing") == "nothing"
    assert time.monotonic() - started < BUDGET_S + SLACK_S


async def test_a_server_that_dribbles_from_the_beginning_takes_no_longer_than_the_budget(cache: ColourlessCache, proxy: FaultProxy) -> None:
    proxy.replies.dribble_s = 0.02

    started = time.monotonic()
    assert await cache.get("k", "nothing") == "nothing"
    assert time.monotonic() - started < BUDGET_S + SLACK_S


async def test_a_hit_from_a_server_that_dribbles_takes_no_longer_than_the_budget(cache: ColourlessCache, proxy: FaultProxy) -> None:
    await cache.set("k", 50 * "a value ")
    assert await cache.get("k") is not None
    proxy.replies.dribble_s = 0.02

    started = time.monotonic()
    assert await cache.get("k", "nothing") == "nothing"
    assert time.monotonic() - started < BUDGET_S + SLACK_S


async def test_a_compute_takes_nothing_of_the_budget(cache: ColourlessCache, proxy: FaultProxy) -> None:
    """Read, claim and commit at a third of the budget each; between them a compute that takes longer than all of it."""
    await cache.get_or_compute("other", cache.coloured(lambda: 0))  # the server knows the scripts
    proxy.replies.delay_s = BUDGET_S / 5

    assert await cache.get_or_compute("k", cache.coloured(lambda: time.sleep(1.5 * BUDGET_S) or "computed")) == "computed"

    proxy.heal()
    assert await cache.get("k") == "computed"
