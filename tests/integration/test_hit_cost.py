"""How much work a hit is: calls of functions, Python's and C's, which nothing but a change of the code changes.

A higher number than here needs its reason in the commit that raises it; a lower one is lowered.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

import afresh
from afresh import Cache
from afresh.near.neighbours import TIERS
from tests.support.servers import Server

# Without those of the event loop, which differ from Python to Python.
MOST_OF_A_TASK, TASKS = {"get": 43, "call": 59}, 50
MOST = {"get": 44, "call": 67, "row": 69, "set": 72, "get_many, each of 100": 4, "set_many, each of 100": 15}


@pytest.fixture(autouse=True)
def no_near_tiers() -> Iterator[None]:
    """Those that other tests have left would be told of what is written here."""
    left = dict(TIERS)
    TIERS.clear()
    yield
    TIERS.update(left)


def calls_of(operation: Callable[[], object]) -> int:
    """Count the calls that an operation makes, once it is warm."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    for _ in range(3):
        operation()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        operation()
    finally:
        sys.setprofile(before)
    return calls - 2  # the operation itself, and the end of profiling


@pytest.mark.parametrize("name", MOST)
def test_a_hit_takes_no_more_work_than_it_did(valkey: Server, namespace: str, name: str) -> None:
    with Cache(valkey.tcp_url, namespace=namespace, budget="10s") as cache:
        keys = [f"key-{at}" for at in range(100)]
        values = {key: {"id": 1} for key in keys}
        cache.set_many(values)

        @cache.memoize()
        def function(user_id: int, *, lang: str = "en") -> dict[str, object]:
            return {"id": user_id, "lang": lang}

        @cache.recurrence(base={0: 1})
        def factorial(n: int, previous: int) -> int:
            return n * previous

        operations: dict[str, Callable[[], object]] = {
            "get": lambda: cache.get("key-1"),
            "call": lambda: function(7),
            "row": lambda: factorial(9),
            "set": lambda: cache.set("key-1", {"id": 2}, ttl="5m"),
            "get_many, each of 100": lambda: cache.get_many(keys),
            "set_many, each of 100": lambda: cache.set_many(values),
        }
        calls = calls_of(operations[name]) // (100 if name.endswith("100") else 1)

        print(f"{name}: {calls} calls")
        assert calls <= MOST[name]


def is_ours(filename: str) -> bool:
    return filename.startswith((str(Path(afresh.__file__).parent), "<afresh "))


@pytest.mark.parametrize("name", MOST_OF_A_TASK)
def test_a_hit_of_a_task_takes_no_more_work_than_it_did(valkey: Server, namespace: str, name: str) -> None:
    cache = Cache(valkey.tcp_url, namespace=namespace, budget="10s").aio
    calls = 0

    @cache.memoize()
    async def function(user_id: int, *, lang: str = "en") -> dict[str, object]:
        return {"id": user_id, "lang": lang}

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"} and is_ours(frame.f_code.co_filename)

    async def read(at: int) -> object:
        return await (cache.get(f"key-{at}") if name == "get" else function(at))

    async def measured() -> None:
        for at in range(TASKS):
            await cache.set(f"key-{at}", {"id": at})
        for profiler in (None, None, count):
            before = sys.getprofile()
            sys.setprofile(profiler)
            try:
                await asyncio.gather(*map(read, range(TASKS)))
            finally:
                sys.setprofile(before)
        await cache.aclose()

    asyncio.run(measured())

    print(f"{name}: {calls / TASKS} calls")
    assert calls / TASKS <= MOST_OF_A_TASK[name]
