"""`AsyncCache`: the facade for coroutines, as `Cache.aio` gives it. The documentation of a method is at its namesake in `Cache`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from afresh.core.units import Duration
from afresh.facade import MISSING, Facade, _not_yet
from afresh.runtime import operations
from afresh.runtime.computing import Tasks
from afresh.runtime.locking import locked_task
from afresh.runtime.writing import writing_task

if TYPE_CHECKING:
    from afresh.core.results import Explanation, Lease, Receipt
    from afresh.telemetry.counters import FunctionStats

__all__ = ["AsyncCache"]

R = TypeVar("R")
D = TypeVar("D")
T = TypeVar("T")


class AsyncCache(Facade):
    """The cache for coroutines. Each event loop has a connection of its own, which closes with the loop."""

    @overload
    async def get(self, key: str) -> Any: ...
    @overload
    async def get(self, key: str, default: D, /) -> Any | D: ...
    @overload
    async def get(self, key: str, *, type: type[T]) -> T | None: ...
    @overload
    async def get(self, key: str, default: D, /, *, type: type[T]) -> T | D: ...
    async def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """See `Cache.get`."""
        near = self._near if type is None else None
        if near is not None and (value := near.get(key)) is not MISSING:
            return value
        value = await operations.get_soon(self._engine, self._keyed(key, kind=type), default, type)
        return value if near is None else near.found(key, value, default)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """See `Cache.get_many`."""
        distinct, wanted = self._wanted(keys)
        found = await operations.get_many(self._engine.async_ports(), wanted, MISSING)
        return {key: value for key, value in zip(distinct, found, strict=True) if value is not MISSING}

    async def set(self, key: str, value: object, *, ttl: Duration = MISSING, tags: Iterable[str] = ()) -> None:
        """See `Cache.set`."""
        await operations.put(self._engine.async_ports(), self._keyed(key, ttl, tags), value)

    async def set_many(self, values: Mapping[str, object], *, ttl: Duration = MISSING, tags: Iterable[str] = ()) -> None:
        """See `Cache.set_many`."""
        await operations.put_many(self._engine.async_ports(), self._puts(values, ttl, tags))

    async def add(self, key: str, value: object, *, ttl: Duration = MISSING, tags: Iterable[str] = ()) -> bool:
        """See `Cache.add`."""
        return await operations.add(self._engine.async_ports(), self._keyed(key, ttl, tags), value)

    async def incr(self, key: str, by: int = 1, *, ttl: Duration = MISSING) -> int:
        """See `Cache.incr`."""
        total = await operations.incr(self._engine.async_ports(), self._keyed(key, ttl), by, create=True)
        assert total is not None
        return total

    async def touch(self, key: str, *, ttl: Duration = MISSING) -> bool:
        """See `Cache.touch`."""
        return await operations.touch(self._engine.async_ports(), self._keyed(key, ttl))

    async def ttl(self, key: str) -> float | None:
        """See `Cache.ttl`."""
        return await operations.ttl_s(self._engine.async_ports(), self._keyed(key))

    @overload
    async def get_or_compute(
        self,
        key: str,
        compute: Callable[[], Awaitable[R]],
        *,
        ttl: Duration | Callable[[R], Duration] = ...,
        tags: Iterable[str] = (),
        stale_ttl: Duration = 0,
    ) -> R: ...
    @overload
    async def get_or_compute(
        self,
        key: str,
        compute: Callable[[], R],
        *,
        ttl: Duration | Callable[[R], Duration] = ...,
        tags: Iterable[str] = (),
        stale_ttl: Duration = 0,
    ) -> R: ...
    async def get_or_compute(
        self, key: str, compute: Callable[[], Any], *, ttl: Any = MISSING, tags: Iterable[str] = (), stale_ttl: Duration = 0
    ) -> Any:
        """See `Cache.get_or_compute`. `compute` may be a plain function, too."""
        return await Tasks(self._engine).compute(self._computed(key, compute, ttl, tags, stale_ttl), compute)

    async def invalidate(self, *keys: str) -> Receipt:
        """See `Cache.invalidate`."""
        return await operations.invalidate(self._engine.async_ports(), self._key_targets(keys))

    async def expire(self, *keys: str) -> Receipt:
        """See `Cache.expire`."""
        return await operations.expire(self._engine.async_ports(), self._key_targets(keys))

    async def invalidate_tags(self, *tags: str) -> Receipt:
        """See `Cache.invalidate_tags`."""
        return await operations.invalidate(self._engine.async_ports(), self._tag_targets(tags))

    async def invalidate_all(self) -> Receipt:
        """See `Cache.invalidate_all`."""
        return await operations.invalidate(self._engine.async_ports(), self._everything())

    def writing(self, *tags: str) -> AbstractAsyncContextManager[None]:
        """See `Cache.writing`."""
        return writing_task(self._engine, self._marked(tags))

    def lock(self, name: str, *, ttl: Duration, wait: Duration = MISSING) -> AbstractAsyncContextManager[Lease]:
        """See `Cache.lock`."""
        return locked_task(self._engine, self._lock_wanted(name, ttl, wait))

    async def explain(self, key: str) -> Explanation:
        """Not available in this version."""
        raise _not_yet("explain()")

    def stats(self) -> dict[str, FunctionStats]:
        """See `Cache.stats`."""
        return self._engine.tallies.all_stats()

    def pending(self) -> int:
        """See `Cache.pending`."""
        return len(self._engine.replays.lates)

    async def aclose(self) -> None:
        """Close this loop's connection, those of threads, and leave the embedded server. Using the cache again opens it again."""
        await self._engine.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
