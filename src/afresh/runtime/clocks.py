"""Time for the flows: the server's, and pauses that block a thread or suspend a task."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["AsyncClock", "SyncClock", "system_ms"]


def system_ms() -> int:
    """Return this machine's time, for where there is no server."""
    return time.time_ns() // 10**6


class SyncClock:
    """Pauses block the thread.

    Args:
        now_ms: the server's time.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms

    @staticmethod
    def ticks_us() -> int:
        """Return a monotonic reading in µs."""
        return time.perf_counter_ns() // 1000

    async def sleep_ms(self, duration_ms: float, /) -> None:
        """Block."""
        time.sleep(duration_ms / 1000)  # noqa: ASYNC251  a thread's clock: blocking is what it is for


class AsyncClock(SyncClock):
    """Pauses suspend the task."""

    async def sleep_ms(self, duration_ms: float, /) -> None:
        """Suspend."""
        import asyncio

        await asyncio.sleep(duration_ms / 1000)
