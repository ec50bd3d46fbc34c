"""What threads put without a flow, and what they leave to one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from afresh import Cache, UnencodableValue
from tests.support.servers import Server


def commands(server: Server) -> dict[str, int]:
    stats = server.command("INFO", "commandstats")
    return {name: int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("psetex", "unlink", "get", "evalsha", "eval")}


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: count - before[name] for name, count in after.items() if count != before[name]}


@pytest.fixture
def cache(valkey: Server, namespace: str) -> Iterator[Cache]:
    with Cache(valkey.tcp_url, namespace=namespace, budget="10s") as cache:
        cache.set("k", "first")  # the connection and the namespace's stamp are known from here on
        yield cache


def test_a_plain_put_is_one_exchange_without_a_script(cache: Cache, valkey: Server) -> None:
    before = commands(valkey)

    cache.set("k", [1])

    assert difference(before, commands(valkey)) == {"psetex": 1, "unlink": 1, "get": 1}
    assert cache.get("k") == [1]


def test_a_put_after_the_namespace_was_invalidated_elsewhere_is_done_again(cache: Cache, valkey: Server, namespace: str) -> None:
    with Cache(valkey.tcp_url, namespace=namespace) as other:
        other.invalidate_all()
        before = commands(valkey)

        cache.set("k", "under the new stamp")

        assert difference(before, commands(valkey)) == {"psetex": 2, "unlink": 2, "get": 2}
        assert other.get("k") == "under the new stamp"
        cache.set("k", "and once more")
        assert difference(before, commands(valkey))["psetex"] == 3, "the new stamp is remembered"


def test_what_cannot_be_encoded_leaves_what_is_there(cache: Cache) -> None:
    with pytest.raises(UnencodableValue):
        cache.set("k", object())

    assert cache.get("k") == "first"


def test_a_put_on_an_idle_connection_that_the_server_has_closed_is_stored(cache: Cache, valkey: Server) -> None:
    valkey.command("CLIENT", "KILL", "TYPE", "normal")

    cache.set("k", "stored")

    assert cache.get("k") == "stored"
    assert not cache.stats()["keys"].misses


def test_a_put_that_a_full_server_refuses_leaves_nothing_there(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    with Cache(server.tcp_url, namespace=namespace) as cache:
        cache.set("k", "old")
        server.command("CONFIG", "SET", "maxmemory", "1")

        cache.set("k", "new")

        assert cache.get("k") is None
        server.command("CONFIG", "SET", "maxmemory", "0")


def test_a_put_without_a_reply_spends_one_budget_and_has_the_server_left_alone(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    with Cache(server.tcp_url, namespace=namespace, budget=0.3) as cache:
        cache.set("k", "old")
        os.kill(server.pid, signal.SIGSTOP)

        began = time.monotonic()
        cache.set("k", "new")
        spent_s = time.monotonic() - began
        cache.set("k", "newer")
        again_s = time.monotonic() - began - spent_s

        os.kill(server.pid, signal.SIGCONT)
        assert 0.29 < spent_s < 0.55
        assert again_s < 0.1
