"""A proxy between a cache and its server that does to their bytes what networks do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PIECE_BYTES = 65536


class Proxy:
    """A TCP proxy on a loopback port of its own.

    Attributes:
        url: where a cache reaches the server through it.
        connections: how many were opened.
        reply: what becomes of the server's bytes on their way back; None ends the connection instead of passing them on.
        request: the same for the client's.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.reply: Callable[[bytes], bytes | None] = lambda data: data
        self.request: Callable[[bytes], bytes | None] = lambda data: data
        self.dribble_s = 0.0
        self._start(self._accept)

    def close(self) -> None:
        """End every connection and thread."""
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._sockets += [client, server]
                self._start(self._pass_on, client, server, lambda data: self.request(data))
                self._start(self._pass_on, server, client, lambda data: self.reply(data))

    def _pass_on(self, source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes | None]) -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE_BYTES):
                changed = change(data)
                if changed is None:
                    break
                self._send(sink, changed)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _send(self, sink: socket.socket, data: bytes) -> None:
        if not self.dribble_s:
            sink.sendall(data)
            return
        for at in range(len(data)):
            sink.sendall(data[at : at + 1])
            time.sleep(self.dribble_s)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Run a proxy to the server on this port."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
