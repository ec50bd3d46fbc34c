"""The store for tasks: one connection per event loop, shared by all its tasks.

The commands of one turn of the loop leave in one write; replies come back in order. A cancelled caller leaves its replies to be dropped
when they arrive, so cancellation never harms the connection. Timeouts are swept, one timer per connection instead of one per call. The
connection closes with its loop. redis-py opens and authenticates it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from hiredis import ProtocolError, Reader, ReplyError, pack_command

from afresh.core.ops import Op
from afresh.errors import StoreError, StoreUnavailable
from afresh.stores.address import Address
from afresh.stores.replies import not_connected, refused, unavailable
from afresh.stores.scripts import deliver
from afresh.stores.server_time import ServerTime

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

__all__ = ["AsyncStore"]

_GRACE_S = 0.01


class AsyncStore:
    """A store whose flights suspend the calling task.

    Args:
        address: where the server is.
        budget_s: how long a connect, or a flight, may take.
        server_time: learns the server's time from each new connection.
        revive: starts a server of our own again, if it died; it may block.
    """

    def __init__(self, address: Address, *, budget_s: float, server_time: ServerTime, revive: Callable[[], object] | None = None) -> None:
        self._address = address
        self._budget_s = budget_s
        self._time = server_time
        self._revive = revive
        self._links: WeakKeyDictionary[asyncio.AbstractEventLoop, _Link] = WeakKeyDictionary()

    async def flight(self, batch: Sequence[Op], /) -> list[Any]:
        """Send the operations in one write and await their replies."""
        return await deliver(self._exchange, batch)

    def forget(self) -> None:
        """Drop the connections without a word to the server: they belong to the parent process."""
        self._links = WeakKeyDictionary()

    async def aclose(self) -> None:
        """Close this loop's connection. Those of other loops close with their loops."""
        link = self._links.pop(asyncio.get_running_loop(), None)
        if link is not None:
            await link.aclose()

    async def _exchange(self, packed: bytes, count: int, *, again: Callable[[], bytes] | None) -> list[Any]:
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None:
            link = self._links[loop] = _Link(self._address, self._budget_s, self._time, self._revive)
        was_open = link.is_open
        try:
            wire = link.wire if was_open and link.wire is not None else await link.open()
            return await wire.send(packed, count)
        except _LostError as error:
            if was_open and again:
                return await self._exchange(again(), count, again=None)
            raise unavailable(self._address.shown, error) from error
        except TimeoutError as error:
            raise unavailable(self._address.shown, error) from error


class _LostError(ConnectionError):
    """The connection ended before the replies came."""


class _Link:
    """A loop's connection: opened on first use, and again after it was lost."""

    def __init__(self, address: Address, budget_s: float, server_time: ServerTime, revive: Callable[[], object] | None) -> None:
        self.wire: _Wire | None = None
        self._revive = revive
        self._address = address
        self._budget_s = budget_s
        self._time = server_time
        self._opening = asyncio.Lock()
        self._guard: AsyncGenerator[None, None] | None = None

    @property
    def is_open(self) -> bool:
        return self.wire is not None and self.wire.is_open

    async def open(self) -> _Wire:
        async with asyncio.timeout(self._budget_s):  # somebody else may be at it, and a hanging server is found out by one in turn
            await self._opening.acquire()
        try:
            if self.wire is None or not self.wire.is_open:
                self.wire = await self._connect_or_revive()
            return self.wire
        finally:
            self._opening.release()

    async def aclose(self) -> None:
        if self.wire is not None:
            self.wire.close()
        if self._guard is not None:
            await self._guard.aclose()
        await asyncio.sleep(0)  # the transport closes its socket in the next turn

    async def _connect_or_revive(self) -> _Wire:
        try:
            return await self._connect()
        except StoreUnavailable:
            if self._revive is None:
                raise
        await asyncio.to_thread(self._revive)
        return await self._connect()

    async def _connect(self) -> _Wire:
        from redis.exceptions import RedisError

        if self._guard is None:
            # A loop that ends by asyncio.run closes its asynchronous generators: that is when the connection must go.
            self._guard = self._close_with_loop()
            await anext(self._guard)
        connection, wire = self._connection(), None
        try:
            async with asyncio.timeout(self._budget_s):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py does not annotate it
                wire = _adopt(connection, self._budget_s)
                sent_ms = self._time.ticks_ms()
                (told,) = await wire.send(pack_command(("TIME",)), 1)
        except BaseException as error:
            if wire is not None:
                wire.close()
            else:
                await connection.disconnect(nowait=True)
            if isinstance(error, (RedisError, OSError)):
                raise not_connected(self._address.shown, error) from error
            raise
        if isinstance(told, StoreError):
            wire.close()
            raise told
        self._time.observe(told, sent_ms)
        return wire

    def _connection(self) -> AbstractConnection:
        from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        kind = {"redis": Connection, "rediss": SSLConnection}.get(self._address.scheme, UnixDomainSocketConnection)
        return kind(
            **self._address.options,
            protocol=2,
            socket_timeout=self._budget_s,
            socket_connect_timeout=self._budget_s,
            retry=Retry(NoBackoff(), 0),
        )

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self.wire is not None:
                self.wire.close()


def _adopt(connection: AbstractConnection, budget_s: float) -> _Wire:
    """Take over the transport of a connection that redis-py has opened and authenticated."""
    # redis-py offers no other way to its streams, and would complain of their being open when it is collected.
    streams: Any = (connection._reader, connection._writer)  # noqa: SLF001
    connection._reader = connection._writer = None  # noqa: SLF001
    wire = _Wire(streams, budget_s)
    transport = streams[1].transport
    transport.pause_reading()
    transport.set_protocol(wire)
    wire.connection_made(transport)
    transport.resume_reading()
    return wire


class _Waiting:
    """A flight to be sent, or whose replies are on their way."""

    __slots__ = ("count", "deadline", "future", "is_spared", "packed", "replies")

    def __init__(self, future: asyncio.Future[list[Any]], packed: bytes, count: int) -> None:
        self.future = future
        self.packed = packed
        self.count = count
        self.deadline = 0.0  # set when it is sent
        self.is_spared = False
        self.replies: list[Any] = []


class _Wire(asyncio.Protocol):
    """The client's end of one connection."""

    def __init__(self, streams: object, budget_s: float) -> None:
        self._streams = streams  # must live as long as the transport
        self._budget_s = budget_s
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._waiting: deque[_Waiting] = deque()
        self._unsent: list[_Waiting] = []
        self._transport: asyncio.Transport | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._cause: Exception | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, packed: bytes, count: int) -> asyncio.Future[list[Any]]:
        """Queue a flight for this turn's write. The result is its replies.

        Raises:
            TimeoutError: through the future, when the budget is spent.
            _LostError: through the future, when the connection ended.
        """
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if not self.is_open:
            future.set_exception(_LostError("the connection is closed"))
            return future
        waiting = _Waiting(future, packed, count)
        if not self._unsent:
            self._loop.call_soon(self._flush)
        # In one step, and the last: were a call that ends here, out of stack, waiting but not sent, all would get the replies to others.
        self._unsent.append(waiting)
        return future

    def close(self, cause: Exception | None = None) -> None:
        self._cause = self._cause or cause
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._receive(data)
        except (ProtocolError, IndexError):  # nonsense, or more replies than commands
            self.close(_LostError("what answers is no Redis or Valkey"))

    def _receive(self, data: bytes) -> None:
        self._reader.feed(data)
        gets = self._reader.gets
        while (reply := gets()) is not False:
            waiting = self._waiting[0]
            waiting.replies.append(refused(str(reply)) if reply.__class__ is ReplyError else reply)
            if len(waiting.replies) == waiting.count:
                self._waiting.popleft()
                if not waiting.future.done():
                    waiting.future.set_result(waiting.replies)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        cause = self._cause or _LostError(str(exc or "the server closed the connection"))
        self._waiting += self._unsent
        self._unsent = []
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_exception(cause)

    def _flush(self) -> None:
        if not self.is_open or self._transport is None:
            return
        unsent, self._unsent = self._unsent, []
        self._transport.writelines([waiting.packed for waiting in unsent])
        # The server's time begins now, not when the call was queued: a busy loop is not a slow server.
        deadline = self._loop.time() + self._budget_s
        for waiting in unsent:
            waiting.deadline = deadline
        self._waiting += unsent
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._budget_s, self._sweep)

    def _sweep(self) -> None:
        """End the connection once its oldest flight is late: replies come in order, so the others wait for the same."""
        self._sweeper = None
        oldest = self._waiting[0] if self._waiting else None
        if oldest is None:
            return
        left = oldest.deadline - self._loop.time()
        if left > 0:
            self._sweeper = self._loop.call_later(left, self._sweep)
        elif not oldest.is_spared:
            # If the loop was busy, the reply may lie in the socket by now: read it before judging.
            oldest.is_spared = True
            self._sweeper = self._loop.call_later(_GRACE_S, self._sweep)
        else:
            self.close(TimeoutError("no reply within the budget"))
