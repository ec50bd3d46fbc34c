"""Servers that come back, with data from before an invalidation: what they revive is not served."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from afresh import Cache, StoreRefused
from afresh.testing import wait_until
from tests.conformance.facades import ColourlessCache
from tests.support.servers import Server


@pytest.fixture(params=["sync", "async"])
async def open_cache(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Callable[[str], ColourlessCache]]:
    opened: list[Cache] = []

    def open_one(url: str) -> ColourlessCache:
        opened.append(Cache(url, namespace=namespace, budget="5s"))
        return ColourlessCache(opened[-1], request.param)

    yield open_one
    for cache in opened:
        await cache.aio.aclose()


def truth_of(cache: ColourlessCache) -> tuple[ColourlessCache, list[int]]:
    truth = [1]
    return cache.memoized(lambda: truth[0], name="f", tags=["t"]), truth


def killed(server: Server) -> None:
    os.kill(server.pid, signal.SIGKILL)
    os.waitpid(server.pid, 0)


class Revival:
    """A server, and how to bring it back as it was at a moment."""

    def __init__(self, start_server: Callable[..., Server], directory: Path) -> None:
        self._start = start_server
        self._directory = directory
        self.server = start_server(dir=str(directory), dbfilename="data")
        self.url, self._port = self.server.tcp_url, str(self.server.port)

    def remember(self) -> None:
        """This is the moment."""
        self.server.command("SAVE")
        shutil.copy(self._directory / "data", self._directory / "kept")

    def revive(self) -> None:
        """Kill it, and start it with what it had then."""
        killed(self.server)
        shutil.copy(self._directory / "kept", self._directory / "data")
        self.server = self._start(port=self._port, dir=str(self._directory), dbfilename="data")


@pytest.fixture
def revival(start_server: Callable[..., Server], tmp_path: Path) -> Revival:
    return Revival(start_server, tmp_path)


@pytest.mark.parametrize("kind", ["key", "tag", "function", "namespace"])
@pytest.mark.parametrize("is_known", [True, False], ids=["by who knew it", "by a newcomer"])
async def test_a_snapshot_revives_nothing_that_was_invalidated(
    open_cache: Callable[[str], ColourlessCache], revival: Revival, kind: str, is_known: bool
) -> None:
    cache = open_cache(revival.url)
    f, truth = truth_of(cache)
    assert await f() == 1
    revival.remember()
    truth[0] = 2
    invalidate = {
        "key": f.invalidate,
        "tag": lambda: cache.invalidate_tags("t"),
        "function": f.invalidate_all,
        "namespace": cache.invalidate_all,
    }
    assert (await invalidate[kind]()).applied

    revival.revive()

    assert revival.server.command("EXISTS", *revival.server.command("KEYS", "*:v:*")) == 1, "the entry is back"
    if not is_known:
        f, newer = truth_of(open_cache(revival.url))
        newer[0] = 2
    assert await f() == 2


async def test_a_server_that_goes_on_keeps_its_entries(open_cache: Callable[[str], ColourlessCache], valkey: Server) -> None:
    """Neither a new connection nor a new process is a reason to forget anything; nor is an eviction of the note."""
    f, _ = truth_of(open_cache(valkey.tcp_url))
    assert await f() == 1
    for evict in (False, True):
        if evict:
            valkey.command("UNLINK", *valkey.command("KEYS", "*:z:*"))
        valkey.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        f, newer = truth_of(open_cache(valkey.tcp_url))
        newer[0] = 2

        assert await f() == 1


async def test_a_replica_in_its_primarys_place_revives_nothing(
    open_cache: Callable[[str], ColourlessCache], start_server: Callable[..., Server]
) -> None:
    """It was cut off before the invalidation, and is promoted after it."""
    primary = start_server(repl_diskless_sync_delay="0")
    replica = start_server(replicaof=f"127.0.0.1 {primary.port}")
    f, truth = truth_of(open_cache(primary.tcp_url))
    assert await f() == 1
    wait_until(lambda: replica.command("DBSIZE") == primary.command("DBSIZE"), 30, "the replica to have its primary's data")
    replica.command("REPLICAOF", "NO", "ONE")
    truth[0] = 2
    assert (await f.invalidate()).applied

    after, newer = truth_of(open_cache(replica.tcp_url))
    newer[0] = 2

    assert await after() == 2


async def test_nothing_is_read_of_a_server_whose_namespace_cannot_be_bumped(
    open_cache: Callable[[str], ColourlessCache], revival: Revival
) -> None:
    cache = open_cache(revival.url)
    await cache.set("k", 1)
    await cache.invalidate("other")
    revival.remember()
    revival.revive()
    revival.server.command("ACL", "SETUSER", "default", "-@scripting")

    assert await cache.get("k", "nothing") == "nothing"
    with pytest.raises(StoreRefused, match="ACL"):
        await cache.incr("n")

    revival.server.command("ACL", "SETUSER", "default", "+@all")
    await cache.set("k", 2)
    assert await cache.get("k") == 2


async def test_a_server_that_hides_who_it_is_is_used(
    open_cache: Callable[[str], ColourlessCache], start_server: Callable[..., Server]
) -> None:
    server = start_server()
    server.command("ACL", "SETUSER", "default", "-info", "-client")
    cache = open_cache(server.tcp_url)

    await cache.set("k", 1)

    assert await cache.get("k") == 1
