"""The store for threads: blocking sockets, opened and authenticated by redis-py.

Connections lie on a stack: the last one used is the warmest. A thread has one for the length of a flight. One that was lost while idle
is noticed on use, and the flight sent once more on a new one. After a fork the child begins with none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any

from hiredis import ProtocolError, Reader, ReplyError, pack_command

from afresh.core.ops import Op
from afresh.errors import StoreUnavailable
from afresh.stores.address import Address
from afresh.stores.connecting import connect, disconnect, socket_of
from afresh.stores.replies import not_connected, refused, unavailable
from afresh.stores.scripts import deliver
from afresh.stores.server_time import ServerTime

if TYPE_CHECKING:
    from redis.connection import AbstractConnection

__all__ = ["SyncStore"]

_KEEP_IDLE = 64
_READ_BYTES = 65536


class SyncStore:
    """A store whose flights block the calling thread and never suspend.

    Args:
        address: where the server is.
        budget_s: how long a connect, or a flight, may take.
        server_time: learns the server's time from each new connection.
        revive: starts a server of our own again, if it died.
    """

    def __init__(self, address: Address, *, budget_s: float, server_time: ServerTime, revive: Callable[[], object] | None = None) -> None:
        self._address = address
        self._budget_s = budget_s
        self._time = server_time
        self._revive = revive
        self._idle: list[_Line] = []

    async def flight(self, batch: Sequence[Op], /) -> list[Any]:
        """Send the operations in one write and read their replies."""
        return await deliver(self._exchange, batch)

    def forget(self) -> None:
        """Drop the connections without a word to the server: they belong to the parent process."""
        self._idle = []

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._idle, idle = [], self._idle
        for line in idle:
            line.close()

    async def _exchange(self, packed: bytes, count: int, *, again: Callable[[], bytes] | None) -> list[Any]:
        idle = self._idle
        try:
            line = idle.pop()
        except IndexError:
            line, again = self._connect_or_revive(), None
        else:
            if not again and line.is_lost():
                line.close()
                self.close()
                line = self._connect_or_revive()
        try:
            replies = line.exchange(packed, count)
        except BaseException as error:
            line.close()
            if not isinstance(error, OSError):
                raise
            if again and not isinstance(error, TimeoutError):
                self.close()  # the others have been idle for longer
                return await self._exchange(again(), count, again=None)
            raise unavailable(self._address.shown, error) from error
        if self._idle is idle and len(idle) < _KEEP_IDLE:
            idle.append(line)
        else:
            line.close()
        return replies

    def _connect_or_revive(self) -> _Line:
        try:
            return self._connect()
        except StoreUnavailable:
            if self._revive is None:
                raise
        self._revive()
        return self._connect()

    def _connect(self) -> _Line:
        connection = connect(self._address, self._budget_s)
        try:
            line = _Line(connection, self._budget_s)
            sent_ms = self._time.ticks_ms()
            (told,) = line.exchange(pack_command(("TIME",)), 1)
            self._time.observe(told, sent_ms)
        except BaseException as error:
            disconnect(connection)
            if isinstance(error, OSError):
                raise not_connected(self._address.shown, error) from error
            raise
        return line


class _Line:
    """One connection: redis-py's socket, and a parser of our own.

    Python's own timeouts, not the kernel's: they cost a poll, but count on over signals, which begin a call of the kernel's anew, and
    gevent knows them. They are per call: what a server that dribbles may take is bounded by the deadline.
    """

    __slots__ = ("_budget_s", "_connection", "_reader", "_socket")

    def __init__(self, connection: AbstractConnection, budget_s: float) -> None:
        self._connection = connection  # keeps the socket alive, and closes it
        self._socket = socket_of(connection)
        self._socket.settimeout(budget_s)
        self._reader = Reader()
        self._budget_s = budget_s

    def is_lost(self) -> bool:
        """Say whether the server has ended this idle connection: for what had better not be sent in vain."""
        with DefaultSelector() as selector:
            selector.register(self._socket, EVENT_READ)
            return bool(selector.select(0))

    def exchange(self, packed: bytes, count: int) -> list[Any]:
        """Send, and read that many replies, all within the budget.

        Raises:
            OSError: TimeoutError when the time is up. The connection is of no use then, nor after any other exception.
        """
        deadline = time.monotonic() + self._budget_s
        try:
            self._socket.sendall(packed)
            return self._receive(count, deadline)
        except ProtocolError as error:
            msg = "what answers is no Redis or Valkey"
            raise ConnectionError(msg) from error

    def _receive(self, count: int, deadline: float) -> list[Any]:
        gets, feed = self._reader.gets, self._reader.feed
        replies: list[Any] = []
        data = self._socket.recv(_READ_BYTES)
        while True:
            if not data:
                msg = "the server closed the connection"
                raise ConnectionError(msg)
            feed(data)
            reply = gets()
            while reply is not False:
                replies.append(refused(str(reply)) if reply.__class__ is ReplyError else reply)
                if len(replies) == count:
                    return replies
                reply = gets()
            data = self._receive_more(deadline)

    def _receive_more(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(_READ_BYTES)
        finally:
            self._socket.settimeout(self._budget_s)
        return data

    def close(self) -> None:
        disconnect(self._connection)
