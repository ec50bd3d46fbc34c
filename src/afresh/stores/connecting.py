"""Blocking connections, opened and authenticated by redis-py; whoever opens one speaks on its socket himself.

Looking up a host's name has no time limit of its own, and may bring several addresses, to be tried one after the other. So a host with a
name is connected to in a thread, for which its caller waits no longer than it has time; a connection that comes later is closed there.
Addresses and unix sockets need no thread.
"""

from __future__ import annotations

import threading
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, cast

from afresh.stores.address import Address
from afresh.stores.replies import not_connected

if TYPE_CHECKING:
    import socket
    from asyncio.trsock import TransportSocket

    from redis.connection import AbstractConnection

__all__ = ["connect", "disconnect", "has_arrived", "socket_of"]


def connect(address: Address, timeout_s: float, *, introduces: bool = True) -> AbstractConnection:
    """Open a connection, plain, TLS or by a unix socket, that speaks RESP2.

    Args:
        address: where the server is.
        timeout_s: how long it may take; and each later step.
        introduces: have redis-py name user and database. Each of these takes a step.

    Raises:
        StoreError: in afresh's words.
    """
    from redis.backoff import NoBackoff
    from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
    from redis.exceptions import RedisError
    from redis.retry import Retry

    kind = {"redis": Connection, "rediss": SSLConnection}.get(address.scheme, UnixDomainSocketConnection)
    connection: AbstractConnection = kind(
        **(address.options if introduces else address.of_socket),
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        redis_connect_func=None if introduces else _say_nothing,
    )
    try:
        if _is_named(address):
            _Attempt(connection).within(timeout_s)
        else:
            connection.connect()  # type: ignore[no-untyped-call]  # redis-py does not annotate it
    except (RedisError, OSError) as error:
        disconnect(connection)
        raise not_connected(address.shown, error) from error
    return connection


def _is_named(address: Address) -> bool:
    """Say whether finding the host takes a look-up."""
    import socket  # redis-py has loaded it

    host = address.options.get("host")
    if host is None:
        return False
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return True
    return False


class _Attempt:
    """Opens a connection in a thread of its own.

    Args:
        connection: not open yet.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_left = False
        self._error: BaseException | None = None

    def within(self, timeout_s: float) -> None:
        """Do it, as long as there is time.

        Raises:
            TimeoutError: if there was not enough.
        """
        try:
            threading.Thread(target=self._run, name="afresh-connecting", daemon=True).start()
        except RuntimeError:  # the system gives no more threads, or the interpreter ends
            self._run()
        try:
            self._is_over.wait(timeout_s)
        finally:
            with self._lock:
                self._is_left = not self._is_over.is_set()
        if self._is_left:
            raise TimeoutError
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py does not annotate it
        except BaseException as error:  # noqa: BLE001  for who waits
            self._error = error
        with self._lock:
            self._is_over.set()
        if self._is_left:
            disconnect(self._connection)


def _say_nothing(connection: object) -> None:
    pass


def disconnect(connection: AbstractConnection) -> None:
    """Close it. May be called again."""
    connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py does not annotate it


def socket_of(connection: AbstractConnection) -> socket.socket:
    """Return the socket of an open connection."""
    return cast("socket.socket", connection._sock)  # noqa: SLF001  redis-py offers no other way to it


def has_arrived(connected: socket.socket | TransportSocket) -> bool:
    """Say whether something waits to be read. Where nothing was asked that is the connection's end."""
    with DefaultSelector() as selector:
        selector.register(connected, EVENT_READ)
        return bool(selector.select(0))
