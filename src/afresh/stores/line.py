"""A thread's connection: redis-py's socket, and a parser of our own."""

from __future__ import annotations

import re
from io import BytesIO
from os import write
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from hiredis import ProtocolError, Reader, ReplyError

from afresh.core.budget import allowance_s
from afresh.stores.address import Address
from afresh.stores.connecting import connect, disconnect, has_arrived, socket_of
from afresh.stores.peer import Acquaintance, Peer, Talk
from afresh.stores.replies import refused, unavailable

if TYPE_CHECKING:
    import socket

    from redis.connection import AbstractConnection

__all__ = ["Line"]

_READ_BYTES = 65536
# What larger ones begin with is no reason to make room for all of it.
_LARGEST_BYTES = 2**29
_BULK = re.compile(rb"\$(\d{1,10})\r\n")
_EMPTY_BULK = b"$0\r\n"
_CLOSED = "the server closed the connection"
_NO_SERVER = "what answers is no Redis or Valkey"
R = TypeVar("R")


class Line:
    """One connection, not open at first.

    Python's own timeouts, not the kernel's: they cost a poll, but count on over signals, which begin a call of the kernel's anew, and
    gevent knows them. They are per call: what a server that dribbles may take is bounded by the deadline. Only what is sent first needs no
    poll: the socket does not block, and mostly takes all of it.

    Args:
        address: where the server is.
        budget_s: how long a connect, or an exchange, may take.
        peer: what is known of the server.

    Attributes:
        known: the connection as the server knows it.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_budget_s",
        "_connection",
        "_deadline",
        "_file",
        "_is_hurried",
        "_peer",
        "_reader",
        "_socket",
        "known",
    )

    def __init__(self, address: Address, budget_s: float, peer: Peer) -> None:
        self._address = address
        self._budget_s = budget_s
        self._peer = peer
        self.known = Acquaintance()
        self._deadline = 0.0
        self._connection: AbstractConnection | None = None
        self._socket: socket.socket | None = None
        self._file = -1
        self._reader = Reader()
        self._is_hurried = False

    @property
    def is_open(self) -> bool:
        """Say whether there is a connection."""
        return self._socket is not None

    def open(self, spent_s: float) -> float:
        """Connect, after so much of the budget, and return how much is spent then.

        Raises:
            StoreError: in afresh's words.
        """
        began = monotonic() - spent_s
        left_s = allowance_s(self._budget_s, spent_s)
        self._connection = connect(self._address, left_s, introduces=False)  # keeps the socket alive, and closes it
        try:
            self._socket = socket_of(self._connection)
            self._socket.settimeout(self._budget_s)
            self._reader, self._is_hurried = Reader(), False
            self._file = -1 if self._address.scheme == "rediss" else self._socket.fileno()
            self.known = self._talk(self._peer.meet(self._address.options), began)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise unavailable(self._address.shown, error) from error
            raise
        return monotonic() - began

    def kill_suspects(self, spent_s: float) -> float:
        """End what may still bring late bytes, and return what of the budget is spent then."""
        began = monotonic() - spent_s
        self._talk(self._peer.kill_suspects(self.known), began)
        return monotonic() - began

    def spent_s(self) -> float:
        """Return what of the budget is spent, of the call whose exchange was the last one."""
        return self._budget_s - (self._deadline - monotonic())

    def _talk(self, talk: Talk[R], began: float) -> R:
        try:
            packed, count = next(talk)
            while True:
                packed, count = talk.send(self.exchange(packed, count, monotonic() - began))
        except StopIteration as end:
            result: R = end.value
            return result

    def close(self) -> None:
        """Disconnect. May be called again."""
        connection, self._connection, self._socket = self._connection, None, None
        if connection is not None:
            disconnect(connection)

    def is_lost(self) -> bool:
        """Say whether the server has ended this idle connection: for what had better not be sent in vain."""
        assert self._socket is not None
        return has_arrived(self._socket)

    def exchange(self, packed: bytes, count: int, spent_s: float) -> list[Any]:
        """Send, and read that many replies, all within the budget.

        Args:
            packed: the commands.
            count: how many.
            spent_s: how much of the budget is gone.

        Raises:
            OSError: TimeoutError when the time is up. The connection is of no use then, nor after any other exception.
        """
        deadline = self._deadline = monotonic() + (allowance_s(self._budget_s, spent_s) if spent_s else self._budget_s)
        try:
            sent = write(self._file, packed) if self._file >= 0 else 0  # TLS has no bytes of ours for the socket
        except BlockingIOError:
            sent = 0
        if sent < len(packed):
            self._hurried(deadline).sendall(memoryview(packed)[sent:])
        connected = self._hurried(deadline) if spent_s else self._socket
        assert connected is not None
        try:
            data = connected.recv(_READ_BYTES)
            replies = self._replies_in(data)
            if len(replies) != count:
                self._complete(replies, count, data, deadline)
        except ProtocolError as error:
            raise ConnectionError(_NO_SERVER) from error
        if self._is_hurried:
            self._is_hurried = False
            connected.settimeout(self._budget_s)
        return replies

    def _replies_in(self, data: bytes) -> list[Any]:
        """Return those that are complete with this piece."""
        if not data:
            raise ConnectionError(_CLOSED)
        self._reader.feed(data)
        gets, replies = self._reader.gets, []
        while (reply := gets()) is not False:
            replies.append(refused(str(reply)) if reply.__class__ is ReplyError else reply)
        return replies

    def _complete(self, replies: list[Any], count: int, begun: bytes, deadline: float) -> None:
        """Receive the replies that the first piece had not."""
        large = None if replies else self._receive_large(begun, deadline)
        while len(replies) < count:
            replies += self._replies_in(self._hurried(deadline).recv(_READ_BYTES))
        if large is not None:
            replies[0] = large
        if len(replies) > count:  # whose they are nobody knows, nor what else will come
            raise ConnectionError(_NO_SERVER)

    def _receive_large(self, begun: bytes, deadline: float) -> bytes | None:
        """Receive the rest of a large reply to where it stays, and have the reader take it for an empty one; None if it is none such.

        The reader would copy it twice.
        """
        found = _BULK.match(begun)
        size = int(found[1]) if found else 0
        if found is None or not _READ_BYTES <= size <= _LARGEST_BYTES or len(begun) - found.end() >= size:
            return None
        whole = BytesIO(bytes(size))  # nobody else has these: nothing is copied until `getvalue` returns them
        at = whole.write(memoryview(begun)[found.end() :])
        with whole.getbuffer() as space:
            while at < size:
                received = self._hurried(deadline).recv_into(space[at:])
                if not received:
                    raise ConnectionError(_CLOSED)
                at += received
        self._reader = Reader()
        self._reader.feed(_EMPTY_BULK)
        return whole.getvalue()

    def _hurried(self, deadline: float) -> socket.socket:
        """Return the socket, which waits no longer than is left."""
        assert self._socket is not None
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._is_hurried = True
        self._socket.settimeout(left)
        return self._socket
