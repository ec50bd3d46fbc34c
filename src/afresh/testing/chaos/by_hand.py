"""The control: cache-aside as one writes it with redis-py, GET, compute, SET, DEL. It must be found out, or the harness proves nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple

import redis
import redis.asyncio

from afresh.testing.chaos.places import ARGUMENTS, FUNCTIONS, Way, entry_of
from afresh.testing.chaos.subjects import Asked, Computes, Value, Values

__all__ = ["ByHand"]

_TTL_S = 2
_TIMEOUT_S = 0.25


class _Told(NamedTuple):
    """What stands for a receipt: DEL was answered."""

    applied: bool


class ByHand:
    """As careful as code by hand usually is: it computes when the server fails, and reports a DEL that failed."""

    def __init__(self, url: str, computes: Computes) -> None:
        self._computes = computes
        self.pending: Callable[[], int] | None = None
        self._sync: Any = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S)
        self._aio: Any = redis.asyncio.Redis.from_url(url, socket_timeout=_TIMEOUT_S)

    def read(self, asked: Asked) -> Values:
        """See `Subject`."""
        values = []
        for entry in (entry_of(asked.function, n) for n in asked.arguments):
            try:
                held = self._sync.get(_name(entry))
            except redis.RedisError:
                held = None
            values.append(self._computed(entry) if held is None else _unpacked(held))
        return values

    def _computed(self, entry: int) -> Value:
        value = self._computes.sync(entry)
        with suppress(redis.RedisError):
            self._sync.set(_name(entry), _packed(value), ex=_TTL_S)
        return value

    async def aread(self, asked: Asked) -> Values:
        """See `Subject`."""
        values = []
        for entry in (entry_of(asked.function, n) for n in asked.arguments):
            try:
                held = await self._aio.get(_name(entry))
            except redis.RedisError:
                held = None
            values.append(await self._acomputed(entry) if held is None else _unpacked(held))
        return values

    async def _acomputed(self, entry: int) -> Value:
        value = await self._computes.aio(entry)
        with suppress(redis.RedisError):
            await self._aio.set(_name(entry), _packed(value), ex=_TTL_S)
        return value

    def invalidate(self, way: Way, target: int) -> _Told:
        """See `Subject`."""
        try:
            self._sync.delete(*_names(way, target))
        except redis.RedisError:
            return _Told(applied=False)
        return _Told(applied=True)

    async def ainvalidate(self, way: Way, target: int) -> _Told:
        """See `Subject`."""
        try:
            await self._aio.delete(*_names(way, target))
        except redis.RedisError:
            return _Told(applied=False)
        return _Told(applied=True)

    @contextmanager
    def writing(self, argument: int) -> Iterator[None]:
        """Invalidate after COMMIT, as one does. See `Subject`."""
        yield
        self.invalidate(Way.TAG, argument)

    @asynccontextmanager
    async def awriting(self, argument: int) -> AsyncIterator[None]:
        """See `Subject`."""
        yield
        await self.ainvalidate(Way.TAG, argument)

    async def aclose(self) -> int:
        """See `Subject`."""
        await self._aio.aclose()
        self._sync.close()
        return 0


def _name(entry: int) -> str:
    return f"by-hand:{entry}"


def _names(way: Way, target: int) -> list[str]:
    entries = range(len(FUNCTIONS) * ARGUMENTS)
    covered = {
        Way.KEY: [target],
        Way.TAG: [entry for entry in entries if entry % ARGUMENTS == target],
        Way.FUNCTION: [entry for entry in entries if entry // ARGUMENTS == target],
        Way.NAMESPACE: list(entries),
    }
    return [_name(entry) for entry in covered[way]]


def _packed(value: Value) -> str:
    return json.dumps(value[:3])


def _unpacked(held: bytes) -> Value:
    entry, number, computed_ns = json.loads(held)
    return Value(entry, number, computed_ns, b"")
