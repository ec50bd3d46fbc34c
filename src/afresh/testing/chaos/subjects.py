"""What is tried: afresh's ways to compute and invalidate; and, as the control, what one writes by hand (`afresh.testing.chaos.by_hand`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from random import Random
from typing import Any, NamedTuple, Protocol, TypeAlias

from afresh import Cache, Near
from afresh.testing.chaos.places import ARGUMENTS, FUNCTIONS, Way, entry_of

__all__ = ["BATCH", "Afresh", "Asked", "Computes", "Subject", "Value", "Values", "draw_asked", "draw_scope"]

BATCH = 3
# Of the invalidations; keys are the rest. Wide ones are rare, or nothing would ever be a hit.
_TAGS, _FUNCTIONS, _NAMESPACES = 0.3, 0.06, 0.015
# Of the reads that can be told to.
_PAST_NEAR = 0.3


class Value(NamedTuple):
    """What every compute returns: which entry it is for, its number, when it began, and some weight."""

    entry: int
    number: int
    computed_ns: int
    payload: bytes


Values: TypeAlias = list[Value]


class Asked(NamedTuple):
    """What a read asks for: values of a function, several of a batch; past the near tier, if there is one."""

    function: str
    arguments: list[int]
    past_near: bool = False


class Computes(NamedTuple):
    """How an entry's value is made, for threads and for tasks."""

    sync: Callable[[int], Value]
    aio: Callable[[int], Awaitable[Value]]


class Subject(Protocol):
    """Reads return the values of one entry, or of a batch; invalidations return receipts.

    Attributes:
        pending: returns how many invalidations are still to be repeated; None for a subject that repeats none.
    """

    pending: Callable[[], int] | None

    def read(self, asked: Asked) -> Values:
        """Read from a thread."""
        ...

    async def aread(self, asked: Asked) -> Values:
        """Read from a task."""
        ...

    def invalidate(self, way: Way, target: int) -> Any:
        """Invalidate from a thread. Returns what has an `applied`."""
        ...

    async def ainvalidate(self, way: Way, target: int) -> Any:
        """Invalidate from a task."""
        ...

    def writing(self, argument: int) -> AbstractContextManager[object]:
        """Begin a transaction that writes what the tag of an argument stands for; what is committed in the block counts."""
        ...

    def awriting(self, argument: int) -> AbstractAsyncContextManager[object]:
        """Do the same in a task."""
        ...

    async def aclose(self) -> int:
        """Close what the tasks use, then what the threads use. Returns how many reads the near tier answered."""
        ...


def draw_asked(draw: Random) -> Asked:
    """Return what to read: several arguments for a batch, all of them different."""
    function = draw.choice(FUNCTIONS)
    arguments = draw.sample(range(ARGUMENTS), BATCH if function == "batch" else 1)
    return Asked(function, arguments, past_near=function == "plain" and draw.random() < _PAST_NEAR)


def draw_scope(draw: Random) -> tuple[Way, int]:
    """Return what to invalidate."""
    chance = draw.random()
    if chance < _NAMESPACES:
        return Way.NAMESPACE, 0
    if chance < _NAMESPACES + _FUNCTIONS:
        return Way.FUNCTION, FUNCTIONS.index(draw.choice([name for name in FUNCTIONS if name != "given"]))
    if chance < _NAMESPACES + _FUNCTIONS + _TAGS:
        return Way.TAG, draw.randrange(ARGUMENTS)
    return Way.KEY, draw.randrange(len(FUNCTIONS) * ARGUMENTS)


class Afresh:
    """Memoized functions, batches and `get_or_compute`, each in both colours on one entry."""

    def __init__(self, url: str, computes: Computes, *, near_ms: int) -> None:
        self._computes = computes
        near = Near(max_stale=near_ms / 1000) if near_ms else None
        self._cache = cache = Cache(url, namespace="chaos", ttl="2s", near=near)
        self.pending: Callable[[], int] | None = cache.pending
        self._handles: dict[str, Any] = {}
        self._ahandles: dict[str, Any] = {}
        for name, ttl, stale_ttl in (("plain", "2s", 0), ("aging", "300ms", "5s")):
            memoize: Any = cache.memoize(name=name, tags=["of:{n}"], ttl=ttl, stale_ttl=stale_ttl)
            self._handles[name] = memoize(self._function(name))
            self._ahandles[name] = memoize(self._afunction(name))
        self._handles["batch"] = cache.memoize_many(name="batch", tags=["of:{ids}"])(self._batch)
        self._ahandles["batch"] = cache.memoize_many(name="batch", tags=["of:{ids}"])(self._abatch)

    def read(self, asked: Asked) -> Values:
        """See `Subject`."""
        function, arguments, past_near = asked
        if function == "given":
            (n,) = arguments
            return [self._cache.get_or_compute(f"given:{n}", lambda: self._computes.sync(entry_of("given", n)), tags=[f"of:{n}"])]
        if function == "batch":
            found = self._handles["batch"](arguments)
            return [found[n] for n in arguments]
        handle = self._handles[function]
        return [(handle.options(read="redis") if past_near else handle)(*arguments)]

    async def aread(self, asked: Asked) -> Values:
        """See `Subject`."""
        function, arguments, past_near = asked
        if function == "given":
            (n,) = arguments

            async def compute() -> Value:
                return await self._computes.aio(entry_of("given", n))

            return [await self._cache.aio.get_or_compute(f"given:{n}", compute, tags=[f"of:{n}"])]
        if function == "batch":
            found = await self._ahandles["batch"](arguments)
            return [found[n] for n in arguments]
        handle = self._ahandles[function]
        return [await (handle.options(read="redis") if past_near else handle)(*arguments)]

    def invalidate(self, way: Way, target: int) -> Any:
        """See `Subject`."""
        return self._invalidation(self._cache, self._handles, way, target)

    async def ainvalidate(self, way: Way, target: int) -> Any:
        """See `Subject`."""
        return await self._invalidation(self._cache.aio, self._ahandles, way, target)

    def writing(self, argument: int) -> AbstractContextManager[object]:
        """See `Subject`."""
        return self._cache.writing(f"of:{argument}")

    def awriting(self, argument: int) -> AbstractAsyncContextManager[object]:
        """See `Subject`."""
        return self._cache.aio.writing(f"of:{argument}")

    async def aclose(self) -> int:
        """See `Subject`."""
        await self._cache.aio.aclose()
        return sum(stats.near_hits for stats in self._cache.stats().values())

    def _invalidation(self, cache: Any, handles: dict[str, Any], way: Way, target: int) -> Any:
        """Return a receipt, or one to be awaited."""
        if way is Way.NAMESPACE:
            return cache.invalidate_all()
        if way is Way.FUNCTION:
            return handles[FUNCTIONS[target]].invalidate_all()
        if way is Way.TAG:
            return cache.invalidate_tags(f"of:{target}")
        function, n = divmod(target, ARGUMENTS)
        if FUNCTIONS[function] == "given":
            return cache.invalidate(f"given:{n}")
        return handles[FUNCTIONS[function]].invalidate([n] if FUNCTIONS[function] == "batch" else n)

    def _function(self, name: str) -> Callable[[int], Value]:
        def compute(n: int) -> Value:
            return self._computes.sync(entry_of(name, n))

        return compute

    def _afunction(self, name: str) -> Callable[[int], Awaitable[Value]]:
        async def compute(n: int) -> Value:
            return await self._computes.aio(entry_of(name, n))

        return compute

    def _batch(self, ids: list[int]) -> dict[int, Value]:
        return {n: self._computes.sync(entry_of("batch", n)) for n in ids}

    async def _abatch(self, ids: list[int]) -> dict[int, Value]:
        return {n: await self._computes.aio(entry_of("batch", n)) for n in ids}
