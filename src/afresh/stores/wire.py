"""A connection that all tasks of a loop share: the commands of a turn leave in one write, replies come back in order.

Nothing but its order says whose a reply is. So whatever ends one of the steps below before its time (a signal's handler that raises, no
memory, no stack) must not leave the connection open with a reply too few or a flight too many:

* A flight waits for its replies before it is written, and has its result before it waits no more.
* An exception within a step closes the connection, and goes on.
* Reads that are alike and not yet sent are sent once: whoever asks has asked before they are. So are stamps that several read.
* One that comes before a step begins makes asyncio forget the step. A flush that did not happen is made up for by the sweep, a sweep by the
  next send. Bytes that were received and not told of are found in the buffer, which is lent with a mark at its beginning.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from hiredis import ProtocolError, Reader, ReplyError

from afresh.core.budget import allowance_s
from afresh.stores.connecting import has_arrived
from afresh.stores.peer import Acquaintance, Talk
from afresh.stores.replies import refused

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

__all__ = ["LostError", "Wire", "have_talk"]

_BUFFER_BYTES = 262_144
_UNTOUCHED = os.urandom(16)
# How much longer than the budget a reply may take: if the loop was busy, it may lie in the socket by now.
_GRACE_S = 0.01


_PACKED = attrgetter("packed")
# A flight that has nearly the whole budget needs no timer of its own.
_MUCH = 1 / 16
R = TypeVar("R")


class LostError(ConnectionError):
    """The connection ended before the replies came."""


class _Waiting:
    """A flight to be sent, or whose replies are on their way. All but the first may come with those of another one, sent before it."""

    __slots__ = ("deadline", "futures", "is_spared", "missing", "other", "packed", "replies", "spent_s")

    def __init__(self, future: asyncio.Future[list[Any]], packed: bytes, count: int, spent_s: float, other: _Waiting | None = None) -> None:
        self.futures = [future]
        self.packed = packed
        self.missing = count
        self.spent_s = spent_s
        self.deadline = 0.0  # set when it is sent
        self.is_spared = False
        self.replies: list[Any] = []
        self.other = other


class Wire(asyncio.BufferedProtocol):
    """The client's end of one connection.

    Args:
        budget_s: how long a reply may take.

    Attributes:
        known: the connection as the server knows it.
        on_unanswered: is told that when the connection ends with a flight under way.
    """

    def __init__(self, budget_s: float) -> None:
        self.is_open = False
        self.known = Acquaintance()
        self.on_unanswered: Callable[[Acquaintance], object] | None = None
        self._streams: Any = None  # must live as long as the transport
        self._budget_s = budget_s
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._buffer = bytearray(_BUFFER_BYTES)
        self._lent = memoryview(self._buffer)  # asyncio's TLS slices it
        self._is_lent = False
        self._waiting: deque[_Waiting] = deque()
        self._unsent: list[_Waiting] = []
        self._unsent_reads: dict[bytes, _Waiting] = {}
        self._unsent_stamps: dict[bytes, _Waiting] = {}
        self._transport: asyncio.Transport | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._cause: Exception | None = None

    def send(
        self, packed: bytes, count: int, spent_s: float, *, reads_only: bool = False, stamps: bytes = b""
    ) -> asyncio.Future[list[Any]]:
        """Queue a flight for this turn's write. The result is its replies.

        Of all that read the same stamps in a turn, only the first one sends for these. The others have their entries read after the
        stamps: no earlier than when they asked, as if they had asked for both.

        Args:
            packed: the commands; but for the stamps, one.
            count: how many there are in all.
            spent_s: how much of the budget is gone.
            reads_only: they change nothing: several like them may share their replies, which nobody may change then.
            stamps: commands besides, that only read.

        Raises:
            TimeoutError: through the future, when the budget is spent.
            LostError: through the future, when the connection ended.
        """
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if not self.is_open:
            future.set_exception(LostError("the connection is closed"))
            return future
        reads_only = reads_only and spent_s <= self._budget_s * _MUCH  # else it may have to leave before the others
        whole = packed + stamps
        alike = self._unsent_reads.get(whole) if reads_only else None
        if alike is not None:
            alike.futures.append(future)
            return future
        other = self._unsent_stamps.get(stamps) if stamps else None
        waiting = _Waiting(future, whole, count, spent_s) if other is None else _Waiting(future, packed, 1, spent_s, other)
        if not self._unsent:
            self._loop.call_soon(self._flush)
            if self._sweeper is None or self._sweeper.when() + self._budget_s < self._loop.time():
                self._sweep_in(self._budget_s / 2)  # soon enough for a flush that did not happen
        self._unsent.append(waiting)
        if reads_only:
            self._unsent_reads[whole] = waiting
        if stamps and other is None:
            self._unsent_stamps[stamps] = waiting
        return future

    def adopt(self, connection: AbstractConnection) -> None:
        """Take over the transport of a connection that redis-py has opened and authenticated."""
        # redis-py offers no other way to its streams, and would complain of their being open when it is collected.
        self._streams = (connection._reader, connection._writer)  # noqa: SLF001
        self._transport = transport = self._streams[1].transport
        connection._reader = connection._writer = None  # noqa: SLF001
        transport.pause_reading()
        transport.set_protocol(self)
        self.is_open = True
        transport.resume_reading()

    def close(self, cause: Exception | None = None) -> None:
        """End the connection, if there is one, and what waits for it in the loop's next turn."""
        self.is_open = False
        self._cause = self._cause or cause
        if self._transport is not None:
            self._transport.abort()

    def is_lost(self) -> bool:
        """Say whether the server has ended this open connection, and the loop has not come to hear of it. Closes it then."""
        if self._waiting or self._transport is None or not has_arrived(self._transport.get_extra_info("socket")):
            return False
        self.close(LostError("the server closed the connection"))
        return True

    # ---- asyncio's side

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  asyncio's signature; its hint is no bound
        """Lend the buffer that is received into."""
        self._close_if_deaf()
        self._buffer[: len(_UNTOUCHED)] = _UNTOUCHED
        self._is_lent = True
        return self._lent

    def buffer_updated(self, nbytes: int) -> None:
        """Give to each flight its replies."""
        try:
            self._reader.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type]  # any buffer will do, says its documentation
            self._receive()
            self._is_lent = False
        except (ProtocolError, IndexError):  # nonsense, or more replies than commands
            self.close(LostError("what answers is no Redis or Valkey"))
        except BaseException:
            self.close()
            raise

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits."""
        self.is_open = False
        self._cause = self._cause or LostError(str(exc or "the server closed the connection"))
        self._end_all()

    # ---- the steps

    def _receive(self) -> None:
        gets, waiting = self._reader.gets, self._waiting
        while (reply := gets()) is not False:
            oldest = waiting[0]
            oldest.replies.append(refused(str(reply)) if reply.__class__ is ReplyError else reply)
            oldest.missing -= 1
            if not oldest.missing:
                if oldest.other is not None:
                    oldest.replies += oldest.other.replies[1:]
                for future in oldest.futures:
                    if not future.done():
                        future.set_result(oldest.replies)
                waiting.popleft()

    def _flush(self) -> None:
        self._close_if_deaf()
        unsent = self._unsent
        if self._is_over or self._transport is None or not unsent:
            return
        try:
            self._waiting += unsent
            self._unsent, self._unsent_reads, self._unsent_stamps = [], {}, {}
            # The server's time begins now, not when the call was queued: a busy loop is not a slow server.
            deadline = self._loop.time() + self._budget_s
            for waiting in unsent:
                waiting.deadline = deadline
                if waiting.spent_s > self._budget_s * _MUCH:
                    self._loop.call_later(allowance_s(self._budget_s, waiting.spent_s), _leave, waiting.futures[0])
            # No comprehension: since CPython 3.12 inlines them, a tracer's exception in one passes by the `except` around it.
            self._transport.write(unsent[0].packed if len(unsent) == 1 else b"".join(map(_PACKED, unsent)))
        except BaseException:
            self.close()
            raise

    @property
    def _is_over(self) -> bool:
        return not self.is_open or self._transport is None or self._transport.is_closing()

    def _close_if_deaf(self) -> None:
        """Close after bytes were received and not told of: the replies in them are lost."""
        if self._is_lent and not self._buffer.startswith(_UNTOUCHED):
            self.close(LostError("replies were lost by an interruption"))

    def _sweep_in(self, delay_s: float) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweeper = self._loop.call_later(delay_s, self._sweep)

    def _sweep(self) -> None:
        """End the connection once its oldest flight is late: replies come in order, so the others wait for the same."""
        self._sweep_in(self._budget_s)  # first, so that there is a next time whatever happens
        self._flush()
        if self._is_over:
            self.close()
            self._end_all()
        elif not self._waiting:
            self._stop_sweeping()
        else:
            self._judge(self._waiting[0])

    def _judge(self, oldest: _Waiting) -> None:
        left = oldest.deadline - self._loop.time()
        if left > 0:
            self._sweep_in(left)
        elif not oldest.is_spared:
            oldest.is_spared = True
            self._sweep_in(_GRACE_S)
        else:
            self.close(TimeoutError("no reply within the budget"))

    def _end_all(self) -> None:
        cause = self._cause or LostError("the connection is closed")
        if self._waiting and self.on_unanswered is not None:
            self.on_unanswered(self.known)
        self._waiting += self._unsent
        self._unsent, self._unsent_reads, self._unsent_stamps = [], {}, {}
        while self._waiting:
            for future in self._waiting[0].futures:
                if not future.done():
                    future.set_exception(cause)
            self._waiting.popleft()
        self._stop_sweeping()

    def _stop_sweeping(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None


async def have_talk(wire: Wire, talk: Talk[R], spent_s: float) -> R:
    """Have a talk on a connection, after so much of the budget."""
    began = time.monotonic() - spent_s
    try:
        packed, count = next(talk)
        while True:
            packed, count = talk.send(await wire.send(packed, count, time.monotonic() - began))
    except StopIteration as end:
        result: R = end.value
        return result


def _leave(future: asyncio.Future[list[Any]]) -> None:
    """Let a caller go whose budget is spent. The connection may be well: the reply is dropped when it comes."""
    if not future.done():
        future.set_exception(TimeoutError("the call's budget is spent"))
