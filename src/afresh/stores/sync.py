"""The store for threads: blocking sockets, opened and authenticated by redis-py.

A thread has a connection for the length of a flight. One that was lost while idle is noticed on use, and the flight sent once more on a
new one. After a fork the child begins with none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from afresh.core.budget import allowance_s
from afresh.core.ops import Get, Op
from afresh.errors import StoreUnavailable
from afresh.stores.address import Address
from afresh.stores.line import Line
from afresh.stores.peer import Peer
from afresh.stores.pool import Pool
from afresh.stores.replies import unavailable
from afresh.stores.scripts import deliver, packed, reading, reads_remembered

__all__ = ["SyncStore"]


class SyncStore:
    """A store whose flights block the calling thread and never suspend.

    Args:
        address: where the server is.
        budget_s: how long all flights of a call may take, and what waiting for a connection, or opening one, takes with them.
        peer: what is known of the server.
        revive: starts a server of our own again, if it died.
    """

    def __init__(self, address: Address, *, budget_s: float, peer: Peer, revive: Callable[[], object] | None = None) -> None:
        self._address = address
        self._budget_s = budget_s
        self._peer = peer
        self._revive = revive
        self._pool = self._new_pool()
        self._packed_reads = reads_remembered()

    async def flight(self, batch: Sequence[Op], /, spent_us: int = 0) -> list[Any]:
        """Send the operations in one write and read their replies."""
        gets = reading(batch)
        if gets is None:
            return await deliver(self._exchange_soon, batch, spent_us / 1e6)
        return self._exchange(gets, len(batch), spent_us / 1e6, gets)

    def ask(self, first: Op, reads: tuple[Get, ...], /) -> list[Any]:
        """See `afresh.core.asking.Ask`."""
        asked = packed(first) + (self._packed_reads(reads) or b"")
        return self._exchange(asked, 1 + len(reads), 0.0, asked)

    def tell(self, writes: tuple[Op, ...], reads: tuple[Get, ...], /) -> list[Any]:
        """See `afresh.core.asking.Tells`."""
        told = b"".join([*map(packed, writes), self._packed_reads(reads) or b""])
        return self._exchange(told, len(writes) + len(reads), 0.0, told)

    def forget(self) -> None:
        """Drop the connections without a word to the server: they belong to the parent process."""
        self._pool = self._new_pool()

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        pool, self._pool = self._pool, self._new_pool()
        pool.close()

    def _new_pool(self) -> Pool[Line]:
        return Pool(self._address.max_connections, lambda: Line(self._address, self._budget_s, self._peer))

    async def _exchange_soon(self, packed: bytes, count: int, spent_s: float, *, again: Callable[[], bytes] | None) -> list[Any]:
        return self._exchange(packed, count, spent_s, again)

    def _exchange(self, packed: bytes, count: int, spent_s: float, again: bytes | Callable[[], bytes] | None) -> list[Any]:
        pool = self._pool
        try:
            line, is_fresh = pool.idle.pop(), False
        except IndexError:  # others have them all
            line, spent_s = self._take(pool, spent_s)
            is_fresh = not line.is_open
        try:
            if is_fresh or (again is None and line.is_lost()):
                spent_s = self._open(line, spent_s)
                is_fresh = True
            if self._peer.suspects:
                spent_s = line.kill_suspects(spent_s)
            replies = line.exchange(packed, count, spent_s)
        except BaseException as error:
            pool.drop(line)
            self._peer.suspect(line.known)
            if not isinstance(error, OSError):
                raise
            if again and not is_fresh and not isinstance(error, TimeoutError):
                pool.drop_idle()  # the others have been idle for longer
                return self._exchange(again if isinstance(again, bytes) else again(), count, line.spent_s(), None)
            raise unavailable(self._address.shown, error) from error
        pool.give(line)
        return replies

    def _take(self, pool: Pool[Line], spent_s: float) -> tuple[Line, float]:
        """Return a connection, and what of the budget is spent now."""
        began = time.monotonic() - spent_s
        try:
            line = pool.take(allowance_s(self._budget_s, spent_s))
        except TimeoutError as error:
            raise unavailable(self._address.shown, error) from error
        return line, time.monotonic() - began

    def _open(self, line: Line, spent_s: float) -> float:
        """Connect, and return what of the budget is spent now."""
        line.close()
        try:
            return line.open(spent_s)
        except StoreUnavailable:
            if self._revive is None:
                raise
            self._revive()  # nobody counts that: it takes longer than a budget
            return line.open(0.0)
