"""Commands whose reply is lost with their connection: they are sent again, and the server has run them twice."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from afresh import Cache, Receipt
from tests.support.servers import Server


class Wire:
    """Stands between a cache and a server, and may keep a reply to itself until it is told to hang up."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self.word = b"nothing yet"  # commands with this word get no reply, once
        self.kept, self.hang_up = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            while sent := client.recv(65536):
                server.sendall(sent)
                replies = server.recv(65536)
                if self.word in sent and not self.kept.is_set():
                    self.kept.set()
                    self.hang_up.wait(10)
                    return
                client.sendall(replies)

    def close(self) -> None:
        self.hang_up.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def wire(valkey: Server) -> Iterator[Wire]:
    wire = Wire(valkey.port)
    yield wire
    wire.close()


@pytest.mark.parametrize("is_async", [False, True])
def test_an_invalidation_that_is_sent_again_brings_nothing_back(valkey: Server, wire: Wire, namespace: str, is_async: bool) -> None:
    truth = 1
    with Cache(wire.url, namespace=namespace, budget="20s") as slow, Cache(valkey.url, namespace=namespace, budget="10s") as other:

        @other.memoize(tags=["group"])
        def read() -> int:
            return truth

        def invalidate() -> None:
            receipts.append(asyncio.run(invalidate_async()) if is_async else slow.invalidate_tags("group"))

        async def invalidate_async() -> Receipt:
            await slow.aio.get("k")
            return await slow.aio.invalidate_tags("group")

        assert other.invalidate_tags("group").applied  # the server knows the script
        read()
        slow.get("k")  # its connection is one that has served
        receipts: list[Receipt] = []
        wire.word = other._engine.namespace.tag_of("group").key.encode()
        invalidating = threading.Thread(target=invalidate)
        invalidating.start()
        assert wire.kept.wait(10), "the server has it; the reply is under way"
        assert read() == 1
        truth = 2
        assert other.invalidate_tags("group").applied
        wire.hang_up.set()
        invalidating.join()

        assert receipts[0].applied
        assert read() == 2
