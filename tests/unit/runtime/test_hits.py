"""What threads find without a flow, and what they leave to one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from afresh import Cache
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request
from tests.support.servers import Server


def commands(server: Server) -> int:
    return int(server.command("INFO", "commandstats").get("cmdstat_get", {}).get("calls", 0))


@pytest.fixture
def cache(valkey: Server, namespace: str) -> Iterator[Cache]:
    with Cache(valkey.tcp_url, namespace=namespace, budget="10s") as cache:
        yield cache


def find(cache: Cache, key: str) -> Hit | Ports:
    return cache._engine.hits.find(request(cache, key))


def request(cache: Cache, key: str) -> Request:
    return cache._keyed(key)


def test_a_plain_hit_is_found_and_counted(cache: Cache) -> None:
    cache.set("k", [1])
    found = find(cache, "k")
    assert isinstance(found, Hit)
    assert found.value == [1]
    assert cache.stats()["keys"].hits == 1


def test_each_hit_has_a_value_of_its_own(cache: Cache) -> None:
    cache.set("k", [1])
    cache.get("k").append(2)
    assert cache.get("k") == [1]


def test_what_was_asked_is_not_asked_again(cache: Cache, valkey: Server) -> None:
    assert cache.get("k") is None  # the connection, and the stamps
    before = commands(valkey)
    assert cache.get("k", "nothing") == "nothing"
    assert commands(valkey) == before + 2  # the entry and the namespace's stamp


def test_a_miss_is_counted_once(cache: Cache) -> None:
    assert cache.get("k") is None
    assert cache.stats()["keys"].misses == {"cold": 1}
    assert cache.stats()["keys"].hits == 0
