"""The store for tasks: one connection per event loop, shared by all its tasks.

The commands of one turn of the loop leave in one write; replies come back in order. A cancelled caller leaves its replies to be dropped
when they arrive, so cancellation never harms the connection. Timeouts are swept, one timer per connection instead of one per call. The
connection closes with its loop. redis-py opens it, in a task that whoever needs it waits for: who is cancelled then
takes nothing from the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from afresh.core.budget import allowance_s
from afresh.core.ops import Get, Op
from afresh.errors import StoreError, StoreUnavailable
from afresh.stores.address import Address
from afresh.stores.peer import Peer
from afresh.stores.replies import unavailable
from afresh.stores.scripts import deliver, packed, reading, reads_remembered
from afresh.stores.wire import LostError, Wire, have_talk

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

__all__ = ["AsyncStore"]


class AsyncStore:
    """A store whose flights suspend the calling task.

    Args:
        address: where the server is.
        budget_s: how long all flights of a call may take, and what connecting takes with them.
        peer: what is known of the server.
        revive: starts a server of our own again, if it died; it may block.
    """

    def __init__(self, address: Address, *, budget_s: float, peer: Peer, revive: Callable[[], object] | None = None) -> None:
        self._address = address
        self._budget_s = budget_s
        self._peer = peer
        self._revive = revive
        self._packed_reads = reads_remembered()
        self._links: dict[asyncio.AbstractEventLoop, _Link] = {}

    async def flight(self, batch: Sequence[Op], /, spent_us: int = 0) -> list[Any]:
        """Send the operations in one write and await their replies."""
        gets = reading(batch)
        if gets is None:
            return await deliver(self._exchange, batch, spent_us / 1e6)
        return await self._exchange(gets, len(batch), spent_us / 1e6, again=lambda: gets, reads_only=True)

    def ask_soon(self, first: Op, reads: tuple[Get, ...], /) -> asyncio.Future[list[Any]] | None:
        """See `afresh.core.asking.AskSoon`. To open a connection is a flight's business."""
        link = self._links.get(asyncio.get_running_loop())
        wire = None if link is None else link.wire
        if wire is None or not wire.is_open or self._peer.suspects:
            return None
        return wire.send(packed(first), 1 + len(reads), 0.0, reads_only=True, stamps=self._packed_reads(reads) or b"")

    def failed(self, error: OSError, /) -> StoreError | None:
        """See `afresh.core.asking.AskSoon`."""
        return None if isinstance(error, LostError) else unavailable(self._address.shown, error)

    def forget(self) -> None:
        """Drop the connections without a word to the server: they belong to the parent process."""
        self._links = {}

    async def aclose(self) -> None:
        """Close this loop's connection. Those of other loops close with their loops."""
        link = self._links.pop(asyncio.get_running_loop(), None)
        if link is not None:
            await link.aclose()

    async def _exchange(
        self, packed: bytes, count: int, spent_s: float, *, again: Callable[[], bytes] | None, reads_only: bool = False
    ) -> list[Any]:
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None:
            link = self._new_link(loop)
        was_open, began = link.is_open and not (again is None and link.is_lost()), time.monotonic() - spent_s
        try:
            wire = link.wire
            if wire is None or not was_open:
                wire = await link.open(allowance_s(self._budget_s, spent_s))
                spent_s = time.monotonic() - began
            if self._peer.suspects:
                await have_talk(wire, self._peer.kill_suspects(wire.known), spent_s)
            return await wire.send(packed, count, spent_s, reads_only=reads_only)
        except LostError as error:
            if was_open and again:
                return await self._exchange(again(), count, time.monotonic() - began, again=None)
            raise unavailable(self._address.shown, error) from error
        except TimeoutError as error:
            raise unavailable(self._address.shown, error) from error

    def _new_link(self, loop: asyncio.AbstractEventLoop) -> _Link:
        """Return a link for this loop, and drop those of loops that have ended: each keeps its loop in memory."""
        for each in [each for each in self._links.copy() if each.is_closed()]:
            self._links.pop(each, None)
        link = self._links[loop] = _Link(self._address, self._budget_s, self._peer, self._revive)
        return link


class _Link:
    """A loop's connection: opened on first use, and again after it was lost."""

    def __init__(self, address: Address, budget_s: float, peer: Peer, revive: Callable[[], object] | None) -> None:
        self.wire: Wire | None = None
        self._revive = revive
        self._address = address
        self._budget_s = budget_s
        self._peer = peer
        self._opening: asyncio.Task[StoreError | None] | None = None
        self._guard: AsyncGenerator[None, None] | None = None

    @property
    def is_open(self) -> bool:
        return self.wire is not None and self.wire.is_open

    def is_lost(self) -> bool:
        """Say whether the server has ended this open connection while it was idle: for what had better not be sent in vain."""
        return self.wire is not None and self.wire.is_lost()

    async def open(self, timeout_s: float) -> Wire:
        # No lock: an exception between its being taken and the block that lets it go would keep it for ever.
        opening = self._opening
        if opening is None or opening.done():
            opening = self._opening = asyncio.create_task(self._try_to_connect())
        # To start a server of our own takes longer than a budget; others need not be waited for so long.
        await asyncio.wait((opening,), timeout=None if self._revive is not None else timeout_s)
        if not opening.done():
            raise TimeoutError
        if opening.cancelled() or opening.exception() is not None:
            raise LostError("connecting was interrupted")
        failure = opening.result()
        if failure is not None:
            raise failure
        if self.wire is None:
            raise LostError("connecting was interrupted")
        return self.wire

    async def _try_to_connect(self) -> StoreError | None:
        """Connect. A failure is returned, so that asyncio does not complain where nobody is left to hear of it."""
        try:
            await self._connect_or_revive()
        except StoreError as error:
            return error
        return None

    async def aclose(self) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait((self._opening,))
        if self.wire is not None:
            self.wire.close()
        if self._guard is not None:
            await self._guard.aclose()
        await asyncio.sleep(0)  # the transport closes its socket in the next turn

    async def _connect_or_revive(self) -> None:
        try:
            await self._connect()
        except StoreUnavailable:
            if self._revive is None:
                raise
            await asyncio.to_thread(self._revive)
            await self._connect()

    async def _connect(self, *, is_second: bool = False) -> None:
        from redis.exceptions import RedisError

        if self._guard is None:
            # A loop that ends by asyncio.run closes its asynchronous generators: that is when the connection must go.
            guard = self._close_with_loop()
            await anext(guard)
            self._guard = guard
        connection, wire = self._connection(), Wire(self._budget_s)
        try:
            async with asyncio.timeout(self._budget_s):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py does not annotate it
                wire.adopt(connection)
                wire.known = await have_talk(wire, self._peer.meet(self._address.options), 0.0)
            wire.on_unanswered = self._peer.suspect
            self.wire = wire
        except BaseException as error:
            wire.close()
            await connection.disconnect(nowait=True)
            if isinstance(error, LostError) and not is_second:  # it had been opened: an interruption, or the server ended just now
                return await self._connect(is_second=True)
            if isinstance(error, (RedisError, OSError)):
                raise unavailable(self._address.shown, error) from error
            raise

    def _connection(self) -> AbstractConnection:
        from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        kind = {"redis": Connection, "rediss": SSLConnection}.get(self._address.scheme, UnixDomainSocketConnection)
        connection: AbstractConnection = kind(
            **self._address.of_socket,
            protocol=2,
            socket_timeout=self._budget_s,
            socket_connect_timeout=self._budget_s,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=_say_nothing,
        )
        connection.on_connect = _say_nothing  # type: ignore[method-assign]  # unix connections call it whatever `redis_connect_func` is
        return connection

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self.wire is not None:
                self.wire.close()


async def _say_nothing(connection: object = None) -> None:
    """Leave the introduction to the peer: it takes one round trip."""
