"""Servers that refuse the connection, or are none: what is said, and what is not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from afresh import Cache, StoreError, StoreRefused
from tests.support.servers import Server


def both_say(url: str) -> list[StoreError]:
    """Return what a counter's failure says in each colour."""

    async def from_a_task(cache: Cache) -> None:
        async with cache.aio as aio:
            await aio.incr("n")

    said: list[StoreError] = []
    with Cache(url, namespace="t-no") as cache:
        for attempt in (lambda: cache.incr("n"), lambda: asyncio.run(from_a_task(cache))):
            with pytest.raises(StoreError) as caught:
                attempt()
            said.append(caught.value)
    return said


def test_a_wrong_password_is_called_so_and_not_repeated(start_server: Callable[..., Server]) -> None:
    server = start_server(requirepass="right")
    for error in both_say(f"redis://:hidden-word@127.0.0.1:{server.port}"):
        assert isinstance(error, StoreRefused)
        assert "password" in str(error)
        assert "hidden-word" not in f"{error} {error!r} {error.__cause__} {error.__cause__!r}"


def test_a_missing_password_is_called_so(start_server: Callable[..., Server]) -> None:
    server = start_server(requirepass="right")
    for error in both_say(f"redis://127.0.0.1:{server.port}"):
        assert isinstance(error, StoreRefused)
        assert "NOAUTH" in str(error)


def test_a_database_that_is_not_there_is_called_so(valkey: Server) -> None:
    with Cache(f"{valkey.url}?db=99", namespace="t-no") as cache, pytest.raises(StoreRefused) as caught:
        cache.incr("n")
    assert "DB index is out of range" in str(caught.value)
    assert "database of unix://" in str(caught.value)


@pytest.fixture(params=["http", "garbage later"])
def no_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Something that listens and speaks another protocol, at once or after the handshake."""
    first = b"HTTP/1.1 400 Bad Request\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):  # the client leaves as it likes
            while data := connection.recv(65536):
                commands = data.count(b"CLIENT") + data.count(b"SELECT") + data.count(b"TIME")
                time = b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n" if b"TIME" in data else b""
                polite = b"+OK\r\n" * (commands - bool(time)) + time
                connection.sendall(polite if polite and request.param != "http" else first)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=answer, args=(connection,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads.append(threading.Thread(target=serve))
        threads[0].start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()


def test_something_else_on_the_port_is_a_miss(no_server: str) -> None:
    async def from_a_task() -> None:
        async with cache.aio as aio:
            assert await aio.get("k", "nothing") == "nothing"
            assert not (await aio.invalidate("k")).applied

    with Cache(no_server, namespace="t-no") as cache:
        assert cache.get("k", "nothing") == "nothing"
        assert cache.get_or_compute("k", lambda: 1) == 1
        assert not cache.invalidate("k").applied
        asyncio.run(from_a_task())
