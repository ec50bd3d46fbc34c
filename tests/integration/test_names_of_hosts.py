"""Hosts that have a name, and a resolver that does not answer: the budget counts for that, too."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from afresh import Cache
from afresh.testing import wait_until
from tests.support.servers import Server

BUDGET_S = 0.2
SLACK_S = 1.0  # the machine may be busy


class Resolver:
    """Answers when it may. Others' names it looks up as ever."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked = 0
        self._look_up = socket.getaddrinfo

    def __call__(self, host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "a-name.invalid":
            return self._look_up(host, *args, **kwargs)
        self.asked += 1
        self.may_answer.wait(30)
        return self._look_up("127.0.0.1", *args, **kwargs)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.may_answer.set()
    wait_until(lambda: all(thread.name != "afresh-connecting" for thread in threading.enumerate()), 10, "what was looked up to end")


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_resolver_that_hangs_takes_a_call_no_longer_than_its_budget(
    valkey: Server, resolver: Resolver, namespace: str, colour: str
) -> None:
    async def get() -> Any:
        try:
            return await cache.aio.get("k", "nothing")
        finally:
            await cache.aio.aclose()
            took.append(time.monotonic() - began)
            resolver.may_answer.set()  # asyncio.run waits for the threads that look names up

    took: list[float] = []
    with Cache(f"redis://a-name.invalid:{valkey.port}", namespace=namespace, budget=BUDGET_S) as cache:
        began = time.monotonic()
        got = cache.get("k", "nothing") if colour == "sync" else asyncio.run(get())
        took.append(time.monotonic() - began)

    assert got == "nothing"
    assert took[0] < BUDGET_S + SLACK_S
    assert resolver.asked == 1


def test_a_connection_that_comes_when_nobody_waits_for_it_is_closed(valkey: Server, resolver: Resolver, namespace: str) -> None:
    before = valkey.command("INFO", "clients")["connected_clients"]
    with Cache(f"redis://a-name.invalid:{valkey.port}", namespace=namespace, budget=BUDGET_S) as cache:
        assert cache.get("k", "nothing") == "nothing"
        resolver.may_answer.set()

        wait_until(lambda: cache.set("k", 1) is None and cache.get("k") == 1, 10, "the server to be reached")

        wait_until(lambda: valkey.command("INFO", "clients")["connected_clients"] <= before + 1, 10, "the late connection to be closed")


def test_an_address_needs_no_resolver_and_no_thread(valkey: Server, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread.name), start(thread)))
    with (
        Cache(f"redis://127.0.0.1:{valkey.port}", namespace=namespace) as cache,
        Cache(valkey.url, namespace=namespace, budget="10s") as by_path,
    ):
        cache.get("k")
        by_path.get("k")

    assert "afresh-connecting" not in started
