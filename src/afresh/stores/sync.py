"""The store for threads: blocking sockets, opened and authenticated by redis-py.

A thread has a connection for the length of a flight. One that was lost while idle is noticed on use, and the flight sent once more on a
new one. After a fork the child begins with none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from afresh.core.ops import Op
from afresh.errors import StoreUnavailable
from afresh.stores.address import Address
from afresh.stores.line import Line
from afresh.stores.pool import Pool
from afresh.stores.replies import unavailable
from afresh.stores.scripts import deliver, reading
from afresh.stores.server_time import ServerTime

__all__ = ["SyncStore"]


class SyncStore:
    """A store whose flights block the calling thread and never suspend.

    Args:
        address: where the server is.
        budget_s: how long a connect, or a flight, may take; a flight also waits for a connection that long at most.
        server_time: learns the server's time from each new connection.
        revive: starts a server of our own again, if it died.
    """

    def __init__(self, address: Address, *, budget_s: float, server_time: ServerTime, revive: Callable[[], object] | None = None) -> None:
        self._address = address
        self._budget_s = budget_s
        self._time = server_time
        self._revive = revive
        self._pool = self._new_pool()

    async def flight(self, batch: Sequence[Op], /) -> list[Any]:
        """Send the operations in one write and read their replies."""
        packed = reading(batch)
        if packed is None:
            return await deliver(self._exchange_soon, batch)
        return self._exchange(packed, len(batch), lambda: packed)

    def forget(self) -> None:
        """Drop the connections without a word to the server: they belong to the parent process."""
        self._pool = self._new_pool()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        pool, self._pool = self._pool, self._new_pool()
        pool.close()

    def _new_pool(self) -> Pool[Line]:
        return Pool(self._address.max_connections, lambda: Line(self._address, self._budget_s, self._time))

    async def _exchange_soon(self, packed: bytes, count: int, *, again: Callable[[], bytes] | None) -> list[Any]:
        return self._exchange(packed, count, again)

    def _exchange(self, packed: bytes, count: int, again: Callable[[], bytes] | None) -> list[Any]:
        pool = self._pool
        line, waited_s = self._take(pool)
        is_fresh = not line.is_open
        try:
            if is_fresh or (again is None and line.is_lost()):
                self._open(line)
                is_fresh = True
            replies = line.exchange(packed, count, waited_s)
        except BaseException as error:
            pool.drop(line)
            if not isinstance(error, OSError):
                raise
            if again and not is_fresh and not isinstance(error, TimeoutError):
                pool.drop_idle()  # the others have been idle for longer
                return self._exchange(again(), count, None)
            raise unavailable(self._address.shown, error) from error
        pool.give(line)
        return replies

    def _take(self, pool: Pool[Line]) -> tuple[Line, float]:
        """Return a connection, and how long that took if others had them all."""
        line = pool.idle()
        if line is not None:
            return line, 0.0
        began = time.monotonic()
        try:
            line = pool.take(self._budget_s)
        except TimeoutError as error:
            raise unavailable(self._address.shown, error) from error
        return line, time.monotonic() - began

    def _open(self, line: Line) -> None:
        line.close()
        try:
            line.open()
        except StoreUnavailable:
            if self._revive is None:
                raise
            self._revive()
            line.open()
