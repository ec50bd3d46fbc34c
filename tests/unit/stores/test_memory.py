from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from afresh.core import ops
from afresh.runtime.run_now import run_now
from afresh.stores.memory import MemoryStore
from afresh.testing import wait_until

HOUR_MS = 3_600_000


def ask(store: MemoryStore, op: ops.Op) -> Any:
    return run_now(store.flight([op]))[0]


def put(store: MemoryStore, name: str, ttl_ms: int = HOUR_MS) -> None:
    ask(store, ops.Put(f"v:{name}", f"l:{name}", name.encode(), ttl_ms))


def test_beyond_its_bound_the_oldest_names_go() -> None:
    store = MemoryStore(max_entries=3)
    for name in "abcd":
        put(store, name)

    assert [ask(store, ops.Get(f"v:{name}")) for name in "abcd"] == [None, b"b", b"c", b"d"]


def test_what_was_written_last_is_the_youngest() -> None:
    store = MemoryStore(max_entries=3)
    for name in "abcad":
        put(store, name)

    assert [ask(store, ops.Get(f"v:{name}")) for name in "abcd"] == [b"a", None, b"c", b"d"]


def test_what_nobody_asks_for_goes_when_its_time_is_over() -> None:
    now_ms = 0
    store = MemoryStore(now_ms=lambda: now_ms)
    for at in range(1000):
        put(store, f"short{at}", 10)
    now_ms = 10
    for at in range(100):
        put(store, f"long{at}")

    assert len(store._data) == 100


def test_a_closed_store_is_empty() -> None:
    store = MemoryStore()
    put(store, "a")

    store.close()

    assert ask(store, ops.Get("v:a")) is None


def test_threads_lose_no_amount() -> None:
    from afresh.testing.conformance_steps import number

    store = MemoryStore()
    ask(store, ops.Put("v:n", "l:n", number(b"0"), 0))

    def count() -> None:
        for _ in range(500):
            ask(store, ops.Incr("v:n", "l:n", 1))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ask(store, ops.Incr("v:n", "l:n", 0)) == [1, number(b"4000")]


def test_a_flight_is_one_step() -> None:
    """Nobody sees half of one: the two names always hold the same."""
    store = MemoryStore()
    ended = threading.Event()
    seen: set[bool] = set()

    def write() -> None:
        for at in range(2000):
            both = [ops.Put(f"v:{name}", f"l:{name}", b"%d" % at, HOUR_MS) for name in "ab"]
            run_now(store.flight(both))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not (seen and ended.is_set()):
        a, b = run_now(store.flight([ops.Get("v:a"), ops.Get("v:b")]))
        seen.add(a == b)
    writer.join()

    assert seen == {True}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_another_thread_has_the_lock_is_not_stuck() -> None:
    store = MemoryStore()
    put(store, "a")
    held = store._lock
    held.acquire()
    child = os.fork()
    if child == 0:
        store.forget()
        os._exit(0 if ask(store, ops.Get("v:a")) == b"a" else 1)
    held.release()

    ended: list[int] = []

    def has_ended() -> bool:
        pid, status = os.waitpid(child, os.WNOHANG)
        ended.append(status)
        return pid == child

    wait_until(has_ended, 10, "the child to read and end")
    assert ended[-1] == 0


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (
            "*",
            "a*b a?b aXb a[b",
        ),
        ("a*", "a*b a?b aXb a[b"),
        (r"a\*b", "a*b"),
        (r"a\?b", "a?b"),
        ("a?b", "a*b a?b aXb a[b"),
        (r"a\[b", "a[b"),
        ("A*", ""),
        ("b", ""),
    ],
)
def test_a_scan_finds_names_by_pattern(pattern: str, found: str) -> None:
    store = MemoryStore()
    for name in ("a*b", "a?b", "aXb", "a[b"):
        ask(store, ops.Stamp(name, "o", b"8-------", HOUR_MS))

    cursor, names = ask(store, ops.Scan(0, pattern, 100))

    assert int(cursor) == 0
    assert sorted(names) == sorted(name.encode() for name in found.split())
