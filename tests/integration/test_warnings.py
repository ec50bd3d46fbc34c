"""A warning that a value is not cached is about the line of the program that made the call."""

from __future__ import annotations

import asyncio
import linecache
import warnings
from collections.abc import Callable

import pytest

from afresh import Cache, UncachedWarning

cache = Cache("memory://")


@cache.memoize()
def plain() -> object:
    return object()


@cache.memoize()
async def coroutine() -> object:
    return object()


class Shop:
    def __cache_key__(self) -> str:
        return "shop"

    @cache.memoize()
    def method(self) -> object:
        return object()


@cache.memoize_many()
def batch(ids: list[int]) -> dict[int, object]:
    return dict.fromkeys(ids, object())


@cache.memoize_many()
async def coroutine_batch(ids: list[int]) -> dict[int, object]:
    return dict.fromkeys(ids, object())


@cache.recurrence(base={0: 0})
def table(n: int, previous: object) -> object:
    return object()


async def awaits() -> object:
    return await coroutine()  # here


async def gathers() -> object:
    return await asyncio.gather(coroutine_batch([1]))


async def awaits_a_key() -> object:
    return await cache.aio.get_or_compute("k", object)  # here


CALLS: dict[str, Callable[[], object]] = {
    "plain": lambda: plain(),  # here
    "method": lambda: Shop().method(),  # here
    "refresh": lambda: plain.refresh(),  # here
    "get_or_compute": lambda: cache.get_or_compute("k", object),  # here
    "batch": lambda: batch([1]),  # here
    "table": lambda: table(1),  # here
    "coroutine": lambda: asyncio.run(awaits()),
    "coroutine, get_or_compute": lambda: asyncio.run(awaits_a_key()),
    "a task of its own": lambda: asyncio.run(coroutine()),  # here
    "gathered": lambda: asyncio.run(gathers()),  # here
}


@pytest.mark.parametrize("how", CALLS)
def test_the_warning_is_about_the_line_that_called(how: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[how]()

    (warning,) = [each for each in caught if each.category is UncachedWarning]
    assert warning.filename == __file__
    assert linecache.getline(__file__, warning.lineno).rstrip().endswith("# here")
