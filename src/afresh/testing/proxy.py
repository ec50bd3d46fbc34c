"""A proxy between clients and a server that does to their bytes what networks do: for tests of what happens then.

Faults are set for each direction, ``proxy.requests`` and ``proxy.replies``, and hold for the connections that are open as for those that
come, until they are changed or healed::

    with FaultProxy(6379) as proxy:
        cache = Cache(proxy.url)
        proxy.replies.dribble_s = 0.1  # a byte every 100 ms
        proxy.requests.holds = True  # half-open: nothing arrives, and nobody is told
        proxy.heal()  # now all of it arrives, late
        proxy.reset()  # every connection ends at once
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

__all__ = ["FaultProxy", "Way"]

_PIECE_BYTES = 65536
# Closing then sends a reset instead of what is left, and of a farewell.
_LINGER_NOT = struct.pack("ii", 1, 0)


class Way:
    """One direction of all connections: what becomes of the bytes that go that way.

    Attributes:
        delay_s: how long each piece is late, in seconds.
        dribble_s: the pause after each byte, in seconds; 0 sends pieces whole.
        drops: pieces vanish and their connection stays open, as if the network had lost every copy. TCP brings nothing that lies
            behind a gap: this way of a connection that a piece was lost of stays silent, healed or not.
        script: what arrives instead of a piece; None resets its connection. A piece is what one read returned, up to 64 KiB.
        pieces: how many came this way.
        harmed: how many of them met a fault.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.dribble_s = 0.0
        self.drops = False
        self.script: Callable[[bytes], bytes | None] | None = None
        self.pieces = 0
        self.harmed = 0
        self._holds = False
        self._changed = threading.Condition()

    @property
    def holds(self) -> bool:
        """Whether the way is half-open: nothing arrives, neither bytes nor ends, until this is false again; then all of it, in order."""
        return self._holds

    @holds.setter
    def holds(self, holds: bool) -> None:
        self._holds = holds
        self.look()

    def heal(self) -> None:
        """Take every fault away. What was held arrives now."""
        self.delay_s = self.dribble_s = 0.0
        self.drops, self.script = False, None
        self.holds = False

    def look(self) -> None:
        """Have those who are held look at their connection again."""
        with self._changed:
            self._changed.notify_all()

    def lose(self) -> None:
        """Bring a piece nowhere."""
        self.pieces += 1
        self.harmed += 1

    def carry(self, piece: bytes, sink: socket.socket, is_over: Callable[[], bool]) -> bool:
        """Bring a piece to the other end, or what the faults leave of it. False if its connection is to be reset."""
        self.pieces += 1
        script = self.script
        if self._holds:
            self.harmed += 1
            with self._changed:
                self._changed.wait_for(lambda: is_over() or not self._holds)
        elif script or self.delay_s or self.dribble_s:
            self.harmed += 1
        if script is not None:
            changed = script(piece)
            if changed is None:
                return False
            piece = changed
        if is_over():
            return True
        time.sleep(self.delay_s)
        self._send(piece, sink)
        return True

    def _send(self, piece: bytes, sink: socket.socket) -> None:
        for at in range(len(piece)):
            if not self.dribble_s:
                sink.sendall(piece[at:])
                return
            sink.sendall(piece[at : at + 1])
            time.sleep(self.dribble_s)


class FaultProxy:
    """A proxy on a loopback port of its own, or on a unix socket. Serves any number of connections, each with two threads.

    Args:
        server: the server's port on 127.0.0.1, or the path of its unix socket. Assign it again to lead new connections elsewhere.
        path: a unix socket to listen on instead of a port.

    Attributes:
        url: where a cache reaches the server through it.
        requests: what becomes of the clients' bytes.
        replies: what becomes of the server's.
        connections: how many were opened.
    """

    def __init__(self, server: int | str, *, path: Path | None = None) -> None:
        self.server = server
        self.requests, self.replies = Way(), Way()
        self.connections = 0
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._threads: list[threading.Thread] = []
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            self.url = f"unix://{path}"
        self._accepting = self._start(self._accept)

    def heal(self) -> None:
        """Take every fault away, in both directions."""
        self.requests.heal()
        self.replies.heal()

    def reset(self) -> int:
        """End every connection at once, with a reset where there is such a thing (TCP). Returns how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.end(resets=True)
        self.requests.look()
        self.replies.look()
        return len(links)

    def close(self) -> None:
        """End every connection and thread, and listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        with self._lock:
            links, threads = list(self._links), list(self._threads)
        for link in links:
            link.end(resets=False)
        self.heal()  # wakes who is held; what is held goes nowhere any more
        for thread in threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _start(self, work: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=args, name="afresh-fault-proxy", daemon=True)
        with self._lock:
            self._threads = [*(each for each in self._threads if each.is_alive()), thread]
            thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = self._connect()
            except OSError:  # there is no server: the nearest to a refusal that is left
                _reset_by_closing(client)
                continue
            link = _Link(client, server)
            with self._lock:
                self._links.add(link)
            self._start(self._pass_on, link, client, server, self.requests)
            self._start(self._pass_on, link, server, client, self.replies)

    def _connect(self) -> socket.socket:
        if isinstance(self.server, int):
            return socket.create_connection(("127.0.0.1", self.server))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.server)
        except OSError:
            server.close()
            raise
        return server

    def _pass_on(self, link: _Link, source: socket.socket, sink: socket.socket, way: Way) -> None:
        has_gap = False
        with suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                has_gap = has_gap or way.drops
                if has_gap:
                    way.lose()
                elif not way.carry(piece, sink, lambda: link.is_over):
                    link.end(resets=True)
                    break
        if link.leave(sink):
            with self._lock:
                self._links.discard(link)


class _Link:
    """One connection through the proxy, ended by the second of its two threads."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._sockets = (client, server)
        self._lock = threading.Lock()
        self._left = 0
        self.is_over = False

    def end(self, *, resets: bool) -> None:
        """Wake both threads; they close the sockets."""
        with self._lock:
            self.is_over = True
            for each in self._sockets if self._left < len(self._sockets) else ():
                with suppress(OSError):
                    if resets and each.family == socket.AF_INET:
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                        each.shutdown(socket.SHUT_RD)  # says nothing to the other side: that gets a reset
                    else:
                        each.shutdown(socket.SHUT_RDWR)

    def leave(self, sink: socket.socket) -> bool:
        """Note that one thread has ended, and hand the end on. True, with the sockets closed, for the second."""
        with self._lock:
            self._left += 1
            if self._left == len(self._sockets):
                for each in self._sockets:
                    each.close()
                return True
            if not self.is_over:
                with suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
            return False


def _reset_by_closing(client: socket.socket) -> None:
    if client.family == socket.AF_INET:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    client.close()
