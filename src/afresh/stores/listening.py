"""The connection on which a server pushes what changes: `CLIENT TRACKING` in broadcast mode, over RESP3.

It is the near tier's ear and does nothing else; data connections have no tracking, so they have no state that could be lost with one of
them. The server names every stamp that changes and every application's key (prefixes), whoever reads what: pushes cost as many messages
as there are invalidations times processes with a near tier, whatever the rate of reads and fills.

The connection is subscribed to a channel on which nobody publishes: that makes the server count it among its pub/sub clients, and cut it
off once 32 MiB of pushes wait for it (`client-output-buffer-limit pubsub`). Other clients' buffers have no limit: a stopped process would
fill the server's memory.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from hiredis import ProtocolError, PushNotification, Reader, ReplyError, pack_command

from afresh.core.keys import Namespace, Watched, watched
from afresh.core.listening import Beat, Pushed
from afresh.core.ops import Bump
from afresh.core.restarts import ServerRun, run_id_of
from afresh.core.stamps import STAMP_BYTES
from afresh.errors import TrackingRefused
from afresh.stores.address import Address
from afresh.stores.connecting import connect, disconnect, socket_of
from afresh.stores.replies import refused, unavailable
from afresh.stores.scripts import packed

if TYPE_CHECKING:
    from redis.connection import AbstractConnection

__all__ = ["ListeningLine", "listen"]

_READ_BYTES = 65536
_NAME = "afresh-near"
# What a server says that has no tracking, or not for this user, and a proxy. Everything else may be over soon.
_FOR_GOOD: Final = frozenset(("ERR", "NOPERM", "NOPROTO"))


def listen(address: Address, namespace: Namespace, run: ServerRun, *, timeout_s: float, outside: str = "") -> ListeningLine:
    """Open a connection on which the changes in a namespace are pushed from now on.

    If the server is another one than was known, the namespace is bumped: it may have loaded a snapshot. See `afresh.core.restarts`.

    Args:
        address: where the server is.
        namespace: whose stamps and keys to hear of.
        run: of the server, as far as it is known.
        timeout_s: how long the server may take to answer.
        outside: see `afresh.core.keys.watched`.

    Raises:
        TrackingRefused: if the server does not do that, or not for this user.
        StoreError: if there is no connection.
    """
    wire = _Wire(connect(address, timeout_s), address.shown)
    names = watched(namespace, outside)
    try:
        run_id = _subscribed(wire, names, timeout_s)
        if run.is_another(run_id):
            _bump(wire, namespace, timeout_s)
        run.settle(run_id)
    except BaseException:
        wire.close()
        raise
    return ListeningLine(wire, names.beat)


def _subscribed(wire: _Wire, names: Watched, timeout_s: float) -> str | None:
    """Have changes pushed from now on, and return the server's run."""
    prefixes = [word for prefix in names.prefixes for word in ("PREFIX", prefix)]
    essential = (("HELLO", "3"), ("CLIENT", "TRACKING", "ON", "BCAST", *prefixes), ("SUBSCRIBE", names.channel))
    helpful = (("CLIENT", "SETNAME", _NAME), ("INFO", "server"))
    commands = (*essential, *helpful)
    replies = wire.ask(b"".join(map(_packed, commands)), len(commands), timeout_s)
    for command, reply in zip(essential, replies, strict=False):
        if isinstance(reply, ReplyError):
            error = refused(str(reply))
            if error.code not in _FOR_GOOD:
                raise error
            msg = (
                f"the near tier is not told what changes and keeps each entry for max_stale only: {command[0]} was refused: {reply}. "
                f"It takes Redis 6 or Valkey, and a user who may do CLIENT TRACKING and SUBSCRIBE {names.channel}."
            )
            raise TrackingRefused(error.code, msg)
    return run_id_of(replies[-1])


def _bump(wire: _Wire, namespace: Namespace, timeout_s: float) -> None:
    bump = Bump(namespace.tag.key, namespace.tag.writers, os.urandom(STAMP_BYTES))
    (reply,) = wire.ask(packed(bump, with_source=True), 1, timeout_s)
    if isinstance(reply, ReplyError):
        raise refused(str(reply))


def _packed(words: tuple[str, ...]) -> bytes:
    data: bytes = pack_command(words)  # type: ignore[arg-type]  # hiredis declares one word, takes many
    return data


class ListeningLine:
    """See `afresh.core.ports.Line`.

    Args:
        wire: subscribed.
        beat_key: a name that nobody uses.
    """

    def __init__(self, wire: _Wire, beat_key: str) -> None:
        self._wire = wire
        self._beat = _packed(("UNLINK", beat_key))
        self.wake = wire.wake
        self.close = wire.close
        self.leave = wire.leave

    def beat(self) -> None:
        """Send a heartbeat."""
        self._wire.send(self._beat)

    def hear(self, timeout_s: float, /) -> Sequence[Pushed | Beat]:
        """Return what the server has said."""
        heard: list[Pushed | Beat] = []
        for message in self._wire.receive(timeout_s):
            if not isinstance(message, PushNotification):
                heard.append(Beat(None if isinstance(message, int) else refused(str(message))))
            elif _is_invalidation(message):
                names = message[1]
                heard.append(Pushed(None if names is None else [name.decode("utf-8", "replace") for name in names]))
        return heard


def _is_invalidation(message: object) -> bool:
    return isinstance(message, PushNotification) and message[0] == b"invalidate"


class _Wire:
    """A connection's socket and parser; every failure of it is a `StoreUnavailable`."""

    def __init__(self, connection: AbstractConnection, shown: str) -> None:
        self._connection = connection  # keeps the socket alive, and closes it
        self._socket = socket_of(connection)
        self._shown = shown
        self._reader = Reader()

    def ask(self, data: bytes, count: int, timeout_s: float) -> list[Any]:
        """Send, and return that many replies. Changes that are pushed meanwhile concern nobody yet."""
        deadline = time.monotonic() + timeout_s
        self.send(data)
        replies: list[Any] = []
        while len(replies) < count:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise unavailable(self._shown, TimeoutError())
            replies += [message for message in self.receive(left_s) if not _is_invalidation(message)]
        return replies

    def send(self, data: bytes) -> None:
        """Send; the server reads soon, or is given up."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise unavailable(self._shown, error) from error

    def receive(self, timeout_s: float) -> list[Any]:
        """Return the messages that have come; nothing after that time."""
        try:
            self._socket.settimeout(max(timeout_s, 0.001))  # 0 would mean: never wait
            data = self._socket.recv(_READ_BYTES)
            if not data:
                msg = "the server closed the connection"
                raise ConnectionError(msg)
            self._reader.feed(data)
            messages: list[Any] = []
            while (message := self._reader.gets()) is not False:
                messages.append(message)
        except TimeoutError:
            return []
        except (OSError, ProtocolError) as error:
            raise unavailable(self._shown, error) from error
        return messages

    def wake(self) -> None:
        """End the connection from another thread; closing its socket there could end somebody else's that gets its number."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # not TLS's own, which takes the parser from under a `recv`

    def close(self) -> None:
        """Close it."""
        disconnect(self._connection)

    def leave(self) -> None:
        """Close a forked child's copy of the socket, without a word to the server."""
        self._socket.close()
