"""A server that answers, and refuses everything, in each of the ways that servers have: reads are misses, the rest says so."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from hiredis import Reader

from afresh import Cache, StoreError
from tests.conformance.facades import ColourlessCache

REFUSALS = {
    "TRYAGAIN": "Multiple keys request during rehashing of slot",
    "CLUSTERDOWN": "The cluster is down",
    "MOVED": "3999 127.0.0.1:6381",
    "ASK": "3999 127.0.0.1:6381",
    "LOADING": "The server is loading the dataset in memory",
    "MASTERDOWN": "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "READONLY": "You can't write against a read only replica.",
    "NOREPLICAS": "Not enough good replicas to write.",
    "BUSY": "The server is busy running a script.",
    "MISCONF": "The server is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "UNKNOWNCODE": "as a later version may say",
}


class Refusing:
    """Introduces itself, and then refuses. A server of this kind cannot be had from a single node."""

    def __init__(self, code: str) -> None:
        self._refusal = f"-{code} {REFUSALS[code]}\r\n".encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        commands = Reader()
        with connection, suppress(ConnectionError):
            while data := connection.recv(65536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    connection.sendall(self._reply(*command))

    def _reply(self, name: bytes, *words: bytes) -> bytes:
        match name, *words:
            case b"TIME", *_:
                return b"*2\r\n$10\r\n1800000000\r\n$1\r\n1\r\n"
            case b"CLIENT", b"ID":
                return b":1\r\n"
            case b"INFO", b"server":
                return b"$9\r\nrun_id:ab\r\n"
            case b"INFO", *_:
                return b"$11\r\nrole:master\r\n"
            case b"CLIENT" | b"HELLO" | b"SELECT", *_:
                return b"+OK\r\n"
        return self._refusal

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture(params=REFUSALS)
def refusing(request: pytest.FixtureRequest) -> Iterator[Refusing]:
    server = Refusing(request.param)
    yield server
    server.close()


@pytest.fixture(params=["sync", "async"])
async def cache(request: pytest.FixtureRequest, refusing: Refusing, namespace: str) -> AsyncIterator[ColourlessCache]:
    cache = Cache(f"redis://127.0.0.1:{refusing.port}", namespace=namespace, budget="10s")
    yield ColourlessCache(cache, request.param)
    await cache.aio.aclose()


async def test_reads_are_misses_whatever_the_refusal(cache: ColourlessCache) -> None:
    double = cache.memoized(lambda x: 2 * x, name="double", tags=["t"])

    assert await cache.get("k", "nothing") == "nothing"
    assert await cache.get_many(["k", "l"]) == {}
    assert await cache.ttl("k") is None
    assert await double(2) == 4
    assert await double.peek(2) is None
    assert await double.refresh(2) == 4
    assert await cache.get_or_compute("k", lambda: 1) == 1


async def test_writes_store_nothing_and_what_must_be_known_says_so(cache: ColourlessCache) -> None:
    await cache.set("k", 1)
    assert await cache.add("k", 1) is False
    assert await cache.touch("k", ttl="1m") is False
    for receipt in (await cache.invalidate("k"), await cache.invalidate_tags("t"), await cache.expire("l"), await cache.invalidate_all()):
        assert not receipt.applied
    with pytest.raises(StoreError):
        await cache.incr("n")
    lock = cache.subject.lock("l", ttl="1m", wait=0)
    with pytest.raises(StoreError):
        lock.__enter__() if cache.colour == "sync" else await lock.__aenter__()
