"""The fault proxy between a socket and an echo."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from afresh.testing import FaultProxy, wait_until


class Echo:
    """A server that returns what it gets, and remembers it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.got = b""
        self.ended = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65536):
                    self.got += data
                    client.sendall(data)
            except OSError:
                pass
            self.ended += 1


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy(echo.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with connect(proxy) as client:
        client.settimeout(10)
        yield client


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2])))


def test_without_faults_bytes_arrive(client: socket.socket, proxy: FaultProxy) -> None:
    client.sendall(b"hello")

    assert client.recv(100) == b"hello"
    assert proxy.connections == 1
    assert (proxy.requests.pieces, proxy.requests.harmed) == (1, 0)


@pytest.mark.parametrize("way", ["requests", "replies"])
def test_a_delayed_piece_arrives_late(client: socket.socket, proxy: FaultProxy, way: str) -> None:
    getattr(proxy, way).delay_s = 0.05
    began = time.monotonic()
    client.sendall(b"hello")

    assert client.recv(100) == b"hello"
    assert time.monotonic() - began >= 0.05
    assert getattr(proxy, way).harmed == 1


def test_dribbled_bytes_arrive_one_by_one(client: socket.socket, proxy: FaultProxy) -> None:
    proxy.replies.dribble_s = 0.01
    client.sendall(b"abc")

    assert client.recv(100) == b"a"
    assert client.recv(100) == b"b"
    assert client.recv(100) == b"c"


def test_what_is_dropped_never_arrives_nor_what_comes_behind_it(client: socket.socket, proxy: FaultProxy, echo: Echo) -> None:
    """As with TCP. A proxy that closed the gap would give a client that has several commands under way each one's reply for another."""
    proxy.replies.drops = True
    client.sendall(b"one")
    wait_until(lambda: proxy.replies.harmed == 1, 10, "the reply to be dropped")
    proxy.heal()
    client.sendall(b"two")
    wait_until(lambda: proxy.replies.harmed == 2, 10, "the next one to be dropped")
    assert echo.got == b"onetwo"

    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    with connect(proxy) as another:
        another.sendall(b"three")
        assert another.recv(100) == b"three"


def test_a_half_open_way_brings_nothing_until_it_is_healed(client: socket.socket, proxy: FaultProxy, echo: Echo) -> None:
    proxy.requests.holds = True
    client.sendall(b"late")
    wait_until(lambda: proxy.requests.harmed, 10, "the piece to be held")
    client.close()

    assert not echo.got
    assert not echo.ended, "the server does not know that the client has gone"
    proxy.heal()
    wait_until(lambda: echo.ended, 10, "the end to arrive, after the bytes")
    assert echo.got == b"late"


def test_a_reset_ends_every_connection_at_once(client: socket.socket, proxy: FaultProxy, echo: Echo) -> None:
    with connect(proxy) as held:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        proxy.requests.holds = True
        held.sendall(b"never")
        wait_until(lambda: proxy.requests.harmed, 10, "the piece to be held")

        assert proxy.reset() == 2
        with pytest.raises(ConnectionResetError):
            client.recv(100)
        wait_until(lambda: echo.ended == 2, 10, "the server to see both ends")
    assert echo.got == b"hello"


def test_a_script_changes_pieces_or_resets_their_connection(client: socket.socket, proxy: FaultProxy, echo: Echo) -> None:
    proxy.replies.script = lambda piece: piece.upper() if piece != b"end" else None
    client.sendall(b"hello")
    assert client.recv(100) == b"HELLO"
    client.sendall(b"end")

    with pytest.raises(ConnectionResetError):
        client.recv(100)
    assert echo.got == b"helloend", "the server had it; its reply was lost"


def test_without_a_server_a_connection_ends(client: socket.socket, proxy: FaultProxy, echo: Echo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        proxy.server = nobody.getsockname()[1]
    with connect(proxy) as refused:
        refused.settimeout(10)
        with pytest.raises(ConnectionResetError):
            refused.recv(1)


def test_an_end_is_handed_on(proxy: FaultProxy, echo: Echo) -> None:
    with connect(proxy) as client:
        client.sendall(b"bye")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"bye"
        assert client.recv(100) == b""


def test_it_listens_on_a_unix_socket_and_reaches_one(proxy: FaultProxy, tmp_path: Path) -> None:
    with FaultProxy(int(proxy.url.rpartition(":")[2]), path=tmp_path / "outer") as inner:
        with FaultProxy(str(tmp_path / "outer"), path=tmp_path / "inner") as outer, socket.socket(socket.AF_UNIX) as client:
            assert outer.url == f"unix://{tmp_path}/inner"
            client.connect(str(tmp_path / "inner"))
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
        assert inner.reset() in {0, 1}


def test_closing_leaves_nothing(echo: Echo) -> None:
    proxy = FaultProxy(echo.port)
    with connect(proxy) as client:
        proxy.requests.holds = True
        client.sendall(b"held")
        wait_until(lambda: proxy.requests.harmed, 10, "the piece to be held")
        proxy.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "afresh-fault-proxy"]
