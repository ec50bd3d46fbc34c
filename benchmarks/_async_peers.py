"""What others offer for the same work, to tasks. Who is not installed is left out: ``pip install --group bench``."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from benchmarks import Run
from benchmarks._peers import TTL_S, installed

__all__ = ["NAMES", "AsyncPeer", "async_peers", "near_cashews"]

# Callers at one time read different keys: readers of one key may share a flight.
NAMES = [f"key-{at}" for at in range(64)]


class AsyncPeer(NamedTuple):
    """A library for tasks.

    Attributes:
        get: reads a key.
        set: stores what is to be read.
        memoize: memoizes a coroutine function on the server; None where it cannot.
        close: ends its connections.
    """

    get: Callable[[str], Coroutine[Any, Any, Any]]
    set: Callable[[str, object], Coroutine[Any, Any, Any]]
    memoize: Callable[[Callable[[int], Coroutine[Any, Any, object]]], Callable[[int], Coroutine[Any, Any, Any]]] | None
    close: Callable[[], Coroutine[Any, Any, Any]]


@contextmanager
def async_peers(
    run: Run, runner: asyncio.Runner, value: object, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]
) -> Iterator[Mapping[str, AsyncPeer]]:
    """Hand out what is installed, each with the value stored under every name."""
    found = installed({"redis.asyncio by hand": lambda run: _by_hand(run, dumps, loads), "aiocache": _aiocache, "cashews": _cashews}, run)
    for peer in found.values():
        for name in NAMES:
            runner.run(peer.set(name, value))
    yield found
    for peer in found.values():
        runner.run(peer.close())


def _by_hand(run: Run, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]) -> AsyncPeer:
    client = importlib.import_module("redis.asyncio").Redis.from_url(run.url)

    async def get(key: str) -> object:
        return loads(await client.get(f"by-hand-{key}"))

    return AsyncPeer(get, lambda key, value: client.set(f"by-hand-{key}", dumps(value), px=TTL_S * 1000), None, client.aclose)


def _aiocache(run: Run) -> AsyncPeer:
    aiocache = importlib.import_module("aiocache")
    importlib.import_module("aiocache.serializers")
    options = {"endpoint": run.host, "port": run.port, "serializer": aiocache.serializers.PickleSerializer(), "namespace": "aiocache"}
    cache = aiocache.RedisCache(**options)
    return AsyncPeer(
        cache.get,
        lambda key, value: cache.set(key, value, ttl=TTL_S),
        aiocache.cached(ttl=TTL_S, cache=aiocache.RedisCache, **options),
        cache.close,
    )


def _cashews(run: Run) -> AsyncPeer:
    cache = importlib.import_module("cashews").Cache()
    cache.setup(run.url)
    return AsyncPeer(
        lambda key: cache.get(f"cashews-{key}"),
        lambda key, value: cache.set(f"cashews-{key}", value, expire=TTL_S),
        cache(ttl=TTL_S, key="cashews-call:{user_id}"),
        cache.close,
    )


@contextmanager
def near_cashews(run: Run, runner: asyncio.Runner, value: object) -> Iterator[Callable[[], Coroutine[Any, Any, object]]]:
    """Hand out a `get` of cashews that the process answers.

    Raises:
        ImportError: it is not installed.
    """
    logging.getLogger("cashews").setLevel(logging.CRITICAL)
    cache = importlib.import_module("cashews").Cache()
    cache.setup(run.url, client_side=True)

    async def warm() -> None:
        await cache.set("near-key", value, expire=TTL_S)
        for _ in range(20):  # its listener has to hear of the write before a read stays
            await asyncio.sleep(0.02)
            await cache.get("near-key")

    runner.run(warm())
    yield lambda: cache.get("near-key")
    runner.run(cache.close())
