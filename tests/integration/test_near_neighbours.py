"""Several caches of one process: what one of them does, the near tiers of all of them see at once, and not when the server tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import caches

from afresh import Cache, Near
from afresh.django import get_cache
from afresh.testing import FaultProxy, wait_until
from tests.conformance.facades import ColourlessCache
from tests.support.near import near_is_trusted
from tests.support.servers import Server

pytest_plugins = ["tests.django_project.fixtures"]
pytestmark = [pytest.mark.keys(r"t-[0-9a-f]{8}:-?\d+:.*", permanent=True), pytest.mark.keys(r"t-[0-9a-f]{8}:t:\{.*")]

NEAR = Near(max_stale="1h")


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def reader(proxy: FaultProxy, namespace: str) -> Iterator[Cache]:
    with Cache(proxy.url, namespace=namespace, ttl="1h", budget="1s", near=NEAR) as cache:
        yield near_is_trusted(cache)
        proxy.heal()


@pytest.fixture(params=["sync", "async"])
async def neighbour(request: pytest.FixtureRequest, server: Server, namespace: str, near: Near | None) -> Any:
    with Cache(server.url, namespace=namespace, ttl="1h", budget="10s", near=near) as cache:
        yield ColourlessCache(near_is_trusted(cache) if near else cache, request.param)
        await cache.aio.aclose()


def is_near(cache: Cache, read: Callable[[], object]) -> bool:
    """Say whether a read is answered inside the process."""
    before = sum(stats.near_hits for stats in cache.stats().values())
    read()
    return sum(stats.near_hits for stats in cache.stats().values()) > before


def go_deaf(cache: Cache, proxy: FaultProxy, read: Callable[[], object]) -> None:
    """Have the cache hear no more of the server while a read is answered near: it would be so for an hour."""

    def is_deaf() -> bool:
        proxy.heal()
        wait_until(lambda: is_near(cache, read), 10, "a near hit")
        proxy.replies.holds = True
        return is_near(cache, read)  # unless one more push came just before that

    wait_until(is_deaf, 30, "a near hit that no push takes away")


CHANGES: dict[str, Callable[[ColourlessCache, Any], Any]] = {
    "set": lambda cache, _: cache.set("k", 2),
    "set_many": lambda cache, _: cache.set_many({"k": 2, "another": 3}),
    "incr": lambda cache, _: cache.incr("k", 1),
    "touch": lambda cache, _: cache.touch("k", ttl=0),
    "expire": lambda cache, _: cache.expire("k"),
    "invalidate": lambda cache, _: cache.invalidate("k"),
    "invalidate_all": lambda cache, _: cache.invalidate_all(),
    "function put": lambda _, function: function.put(2, 1),
    "function refresh": lambda _, function: function.refresh(1),
    "function invalidate": lambda _, function: function.invalidate(1),
    "function invalidate_all": lambda _, function: function.invalidate_all(),
    "tag": lambda cache, _: cache.invalidate_tags("tag"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("near", [NEAR, None], ids=["near", "no near tier"])
async def test_what_another_cache_of_the_process_did_is_seen_at_once(
    reader: Cache, proxy: FaultProxy, neighbour: ColourlessCache, change: str
) -> None:
    function = reader.memoize(name="f", tags=["tag"])(lambda x: x)
    theirs = neighbour.memoized(lambda x: x + 1, name="f", tags=["tag"])
    of_function = change.startswith(("function", "tag"))
    if not of_function:
        reader.set("k", 1)

    def read() -> object:
        return function(1) if of_function else reader.get("k")

    await neighbour.set("unrelated", 1)  # what a cache does first may take another way than what it does later
    go_deaf(reader, proxy, read)

    await CHANGES[change](neighbour, theirs)

    proxy.heal()
    assert not is_near(reader, read)


def test_what_another_alias_did_is_seen_at_once(use_caches: Callable[..., Any], proxy: FaultProxy, server: Server, namespace: str) -> None:
    """Two tiers, since the aliases' keys are of two versions: each hears of its own from the server."""
    options = {"KEY_PREFIX": namespace, "OPTIONS": {"NEAR": NEAR}, "TIMEOUT": 3600}
    cache = use_caches(default={"LOCATION": proxy.url, **options}, other={"LOCATION": server.url, "VERSION": 2, **options})
    near_is_trusted(get_cache())
    cache.set("k", 37)
    go_deaf(get_cache(), proxy, lambda: cache.get("k"))

    assert caches["other"].incr("k", version=1) == 38

    proxy.heal()
    assert cache.get("k") == 38
