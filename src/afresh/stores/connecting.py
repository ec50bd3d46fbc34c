"""Blocking connections, opened and authenticated by redis-py; whoever opens one speaks on its socket himself."""

from __future__ import annotations

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
        timeout_s: how long each step may take.
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
        connection.connect()  # type: ignore[no-untyped-call]  # redis-py does not annotate it
    except (RedisError, OSError) as error:
        disconnect(connection)
        raise not_connected(address.shown, error) from error
    return connection


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
