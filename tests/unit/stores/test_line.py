"""What a thread's connection makes of replies that are not as usual: more than was asked for, or large."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count

import pytest

from afresh.core.ops import Get, Set
from afresh.core.restarts import ServerRun
from afresh.errors import StoreUnavailable
from afresh.runtime.run_now import run_now
from afresh.stores.address import parse_url
from afresh.stores.peer import Peer
from afresh.stores.sync import SyncStore
from afresh.testing import FaultProxy
from tests.support.servers import Server

BUDGET_S = 1.0
SMALL = b"small"
SMALL_KEY, LARGE_KEY, OTHER, NO_KEY = (f"t-line:v:{{{name}}}" for name in ("small", "large", "other", "none"))


@pytest.fixture
def proxy(valkey: Server) -> Iterator[FaultProxy]:
    with FaultProxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: FaultProxy, valkey: Server) -> Iterator[SyncStore]:
    valkey.command("SET", SMALL_KEY, SMALL, "PX", 600_000)
    store = SyncStore(parse_url(proxy.url), budget_s=BUDGET_S, peer=Peer("the server", ServerRun()))
    assert read(store, SMALL_KEY) == [SMALL]
    yield store
    store.close()


def read(store: SyncStore, *keys: str) -> list[object]:
    return run_now(store.flight([Get(key) for key in keys]))


def test_a_connection_that_answers_more_than_was_asked_is_not_used_again(store: SyncStore, proxy: FaultProxy) -> None:
    surplus = iter([b"$5\r\nwrong\r\n"])
    proxy.replies.script = lambda piece: piece + next(surplus, b"")

    assert read(store, SMALL_KEY) == [SMALL]  # from a new connection
    assert read(store, SMALL_KEY, NO_KEY) == [SMALL, None]
    assert proxy.connections == 2


def test_a_server_that_always_answers_more_than_was_asked_is_an_error(store: SyncStore, proxy: FaultProxy) -> None:
    proxy.replies.script = lambda piece: piece + b"$5\r\nwrong\r\n"

    with pytest.raises(StoreUnavailable):
        read(store, SMALL_KEY)


def test_what_a_connection_had_begun_to_say_when_it_ended_is_no_part_of_the_next_one(store: SyncStore, proxy: FaultProxy) -> None:
    surplus = iter([b"$5\r\nwr"])
    proxy.replies.script = lambda piece: piece + next(surplus, b"")
    assert read(store, SMALL_KEY) == [SMALL]
    proxy.reset()

    stored, dropped = run_now(store.flight([Set(OTHER, 60_000, b"1"), Get(SMALL_KEY)]))
    assert (stored, dropped) == (b"OK", SMALL)


@pytest.mark.parametrize("dribbles", [False, True])
def test_large_replies_are_whole_and_in_order(store: SyncStore, proxy: FaultProxy, valkey: Server, dribbles: bool) -> None:
    """Their sizes are about those of a piece that is received, and much larger; their ends are seen together with what follows, and not."""
    if dribbles:
        proxy.replies.script = lambda piece: time.sleep(0.001) or piece
    sizes = [*range(65_500, 65_560, 7), 131_072, 300_001, 3_000_000]
    for size in sizes:
        large = os.urandom(size)
        valkey.command("SET", LARGE_KEY, large, "PX", 600_000)
        assert read(store, LARGE_KEY, SMALL_KEY, NO_KEY) == [large, SMALL, None]
        assert read(store, SMALL_KEY, LARGE_KEY, LARGE_KEY) == [SMALL, large, large]
        assert read(store, LARGE_KEY) == [large]
    assert proxy.connections == 1
    assert read(store, SMALL_KEY) == [SMALL]


def test_a_large_reply_that_stops_halfway_takes_no_longer_than_the_budget(store: SyncStore, proxy: FaultProxy, valkey: Server) -> None:
    valkey.command("SET", LARGE_KEY, bytes(3_000_000), "PX", 600_000)
    pieces = count()
    proxy.replies.script = lambda piece: piece if next(pieces) < 10 else b""

    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="in time"):
        read(store, LARGE_KEY)
    assert BUDGET_S - 0.1 < time.monotonic() - began < BUDGET_S + 0.5


def test_a_connection_that_ends_within_a_large_reply_is_replaced(store: SyncStore, proxy: FaultProxy, valkey: Server) -> None:
    valkey.command("SET", LARGE_KEY, bytes(3_000_000), "PX", 600_000)
    pieces = count()
    proxy.replies.script = lambda piece: None if next(pieces) == 10 else piece

    assert read(store, LARGE_KEY) == [bytes(3_000_000)]
    assert proxy.connections == 2


def test_a_hurried_exchange_leaves_the_next_one_all_its_time(store: SyncStore, proxy: FaultProxy) -> None:
    spent_us = round(BUDGET_S * 0.9e6)
    assert run_now(store.flight([Get(SMALL_KEY)], spent_us)) == [SMALL]
    proxy.replies.delay_s = 0.2 * BUDGET_S
    assert read(store, SMALL_KEY) == [SMALL]
