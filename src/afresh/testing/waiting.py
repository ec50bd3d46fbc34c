"""Waiting for the world instead of sleeping: for what other threads, tasks, processes or servers do."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

__all__ = ["wait_until", "wait_until_async"]

T = TypeVar("T")

_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05


def wait_until(predicate: Callable[[], T], timeout_s: float, description: str) -> T:
    """Call ``predicate`` until it returns something true, and return that.

    It is called at once and at least twice, the last time after the deadline, so that a slow machine does not fail what
    is already true. Pauses grow from 1 ms to 50 ms.

    Args:
        predicate: what to wait for. Its exceptions are not caught.
        timeout_s: how long to wait, in seconds, at least 0.
        description: what is awaited, for the error: ``"the second process to claim the key"``.

    Returns:
        The first true result, as the predicate returned it.

    Raises:
        TimeoutError: it was still not true after ``timeout_s``; the message holds the description.
    """
    for pause_s in _pauses(timeout_s):
        if result := predicate():
            return result
        time.sleep(pause_s)
    return _last_chance(predicate(), timeout_s, description)


async def wait_until_async(predicate: Callable[[], T | Awaitable[T]], timeout_s: float, description: str) -> T:
    """Do as `wait_until`, letting the event loop run between calls.

    Args:
        predicate: what to wait for: a plain function, or one that returns an awaitable.
        timeout_s: how long to wait, in seconds, at least 0.
        description: what is awaited, for the error.

    Returns:
        The first true result.

    Raises:
        TimeoutError: it was still not true after ``timeout_s``; the message holds the description.
    """

    async def ask() -> T:
        result = predicate()
        return await result if inspect.isawaitable(result) else result

    for pause_s in _pauses(timeout_s):
        if result := await ask():
            return result
        await asyncio.sleep(pause_s)
    return _last_chance(await ask(), timeout_s, description)


def _pauses(timeout_s: float) -> Iterator[float]:
    """Yield growing pauses, in seconds, until the deadline; at least one."""
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        left_s = deadline - time.monotonic()
        yield max(0.0, min(pause_s, left_s))
        if left_s <= pause_s:
            return
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _last_chance(result: T, timeout_s: float, description: str) -> T:
    if not result:
        raise TimeoutError(f"waited {timeout_s:g} s in vain for {description}")
    return result
