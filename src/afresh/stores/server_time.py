"""The server's time, told by a clock of this machine that nobody sets."""

from __future__ import annotations

import time
from time import clock_gettime_ns

from afresh.errors import StoreError

__all__ = ["ServerTime"]

# Counts on through suspend, and no NTP step or operator moves it. Not on every platform.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class ServerTime:
    """An offset between this machine's boot clock and the server's, learned when a connection is opened.

    Before the first connection the wall clock stands in.
    """

    __slots__ = ("_offset_ms",)

    def __init__(self) -> None:
        self._offset_ms: int | None = None

    def now_ms(self) -> int:
        """Return the server's time, ms since the epoch."""
        if self._offset_ms is None:
            return time.time_ns() // 1_000_000
        return clock_gettime_ns(_CLOCK) // 1_000_000 + self._offset_ms

    @staticmethod
    def ticks_ms() -> int:
        """Return a reading to pass to `observe` later."""
        return clock_gettime_ns(_CLOCK) // 1_000_000

    def observe(self, reply: list[bytes | int] | StoreError, sent_ms: int) -> None:
        """Learn from the reply to TIME, asked at `sent_ms`: the server said it at some point since, so at the latest by now.

        Raises:
            StoreError: if that was the reply.
        """
        if isinstance(reply, StoreError):
            raise reply
        seconds, micros = (int(part) for part in reply)
        self._offset_ms = seconds * 1000 + micros // 1000 - (sent_ms + self.ticks_ms()) // 2
