"""The floor: a blocking socket, hiredis and a decoder, with no pool, no errors, no timeouts. Nothing goes below it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hiredis import Reader, pack_command

from benchmarks import Run


class Wire:
    """A connection that sends commands and reads as many replies."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._reader = Reader()

    def all(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        """Return the replies to all."""
        gets, replies = self._reader.gets, []
        self._connection.sendall(b"".join(map(pack_command, commands)))  # type: ignore[arg-type]  # its stub knows one word only
        for _ in commands:
            while (reply := gets()) is False:
                self._reader.feed(self._connection.recv(65536))
            replies.append(reply)
        return replies

    def one(self, *command: str | bytes | int) -> Any:
        """Return the reply to one."""
        gets = self._reader.gets
        self._connection.sendall(pack_command(command))  # type: ignore[arg-type]  # its stub knows one word only
        while (reply := gets()) is False:
            self._reader.feed(self._connection.recv(65536))
        return reply

    def large(self, size: int, *command: str | bytes | int) -> memoryview:
        """Return the reply to one: bytes, of which the number is known beforehand. They are received to where they stay."""
        self._connection.sendall(pack_command(command))  # type: ignore[arg-type]  # its stub knows one word only
        head = len(b"$%d\r\n" % size)
        whole = memoryview(bytearray(head + size + len(b"\r\n")))
        received = 0
        while received < len(whole):
            received += self._connection.recv_into(whole[received:])
        return whole[head : head + size]


@contextmanager
def open_wire(run: Run) -> Iterator[Wire]:
    """Connect, and disconnect at the end."""
    with socket.create_connection((run.host, run.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Wire(connection)
