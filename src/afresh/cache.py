"""`Cache`: the facade for plain code. `Cache.aio` is the one for coroutines, with the same names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from afresh.codec.values import MAX_VALUE_BYTES, Codecs, SignedPickle, check_codec
from afresh.core.keys import Namespace
from afresh.core.ports import Codec
from afresh.core.suggest import names_nearest_option
from afresh.core.units import MAX_TTL_MS, Duration, Size, duration_ms, size_bytes
from afresh.errors import ConfigurationError
from afresh.facade import MISSING, Defaults, Facade, _capped, _not_yet
from afresh.near.options import Near
from afresh.runtime import operations
from afresh.runtime.computing import Threads
from afresh.runtime.engine import Engine
from afresh.runtime.locking import locked
from afresh.runtime.run_now import run_now
from afresh.runtime.writing import writing
from afresh.telemetry.counters import FunctionStats

if TYPE_CHECKING:
    from afresh.aio import AsyncCache
    from afresh.core.results import Explanation, Lease, Receipt
    from afresh.recurrence import Recurrent

__all__ = ["Cache"]

R = TypeVar("R")
D = TypeVar("D")
T = TypeVar("T")


class Cache(Facade):
    """A cache on Redis or Valkey. One object serves threads, event loops and forked processes; making one does no I/O.

    It pickles by its configuration, passwords and keys included; a copy of it is the cache itself.

    When the server fails, reads are misses and writes are not stored; a call spends at most `budget` on all of its round trips together.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://``, ``memory://`` (inside the process) or ``embedded://`` (a private Valkey; with a
            directory, shared by the processes that name it). Default: the environment's ``AFRESH_URL``, read at first use.
            After a ``?`` the database, ``client_name``, ``ssl_…``, and ``max_connections``: how many the threads of a process have at
            most, 50 by default; beyond that they wait in turn. Each event loop has one connection.
        namespace: what all its names on the server begin with; no braces or white space.
        ttl: how long entries are fresh by default, up to 30 days.
        stale_ttl: how long after that memoized results may be served while new ones are computed behind the callers. Default: not at all.
        near: keep values inside the process as well, coherent with the server: `Near(max_bytes="64MiB", max_stale="2s")`. Costs a thread
            and a connection. With ``memory://`` there is none, since the store is in the process already. Default: none.
        budget: how long the server may take for all round trips of a call, which never waits longer for it. Default: 250 ms.
        durable: not available in this version.
        codec: what encodes values: a `SignedPickle`, or a codec of your own. Default: msgpack, faithful or not at all.
        max_value_bytes: the largest encoded value that is stored; larger ones are not cached. Default: 64 MiB.

    Raises:
        ConfigurationError: for anything that cannot work; passwords are not repeated.
    """

    @names_nearest_option
    def __init__(
        self,
        url: str | None = None,
        *,
        namespace: str = "afresh",
        ttl: Duration = "5m",
        stale_ttl: Duration = 0,
        near: Near | None = None,
        budget: Duration = "250ms",
        durable: bool = False,
        codec: Codec | SignedPickle | None = None,
        max_value_bytes: Size = MAX_VALUE_BYTES,
    ) -> None:
        if near is not None and not isinstance(near, Near):
            msg = f"near={near!r} must be afresh.Near(…), or be left out for no near tier."
            raise ConfigurationError(msg)
        if durable:
            raise _not_yet("Cache(durable=)")
        budget_ms = duration_ms(budget, what="budget")
        if not budget_ms:
            msg = f"budget={budget!r} must be more than 0: it is how long the server may take to answer, 250 ms by default."
            raise ConfigurationError(msg)
        defaults = Defaults(_capped(duration_ms(ttl, what="ttl")), _capped(duration_ms(stale_ttl, what="stale_ttl")))
        check_codec(codec)
        codecs = Codecs(codec, size_bytes(max_value_bytes, what="max_value_bytes"))
        engine = Engine(url, namespace=Namespace(namespace), codecs=codecs, budget_s=budget_ms / 1000, near=near)
        options: dict[str, Any] = {"ttl": ttl, "stale_ttl": stale_ttl, "budget": budget, "codec": codec, "max_value_bytes": max_value_bytes}
        super().__init__(engine, defaults, partial(type(self), url, namespace=namespace, near=near, **options))

    @classmethod
    def _on(cls, engine: Engine, defaults: Defaults, again: Callable[[], Cache]) -> Self:
        """Return a cache on an engine that an integration has made, and would make again in another process."""
        cache = cls.__new__(cls)
        Facade.__init__(cache, engine, defaults, again)
        return cache

    @cached_property
    def aio(self) -> AsyncCache:
        """The same cache for coroutines: same names, awaited."""
        from afresh.aio import AsyncCache

        return AsyncCache(self._engine, self._defaults, partial(_aio_of, self._again))

    @overload
    def get(self, key: str) -> Any: ...
    @overload
    def get(self, key: str, default: D, /) -> Any | D: ...
    @overload
    def get(self, key: str, *, type: type[T]) -> T | None: ...
    @overload
    def get(self, key: str, default: D, /, *, type: type[T]) -> T | D: ...
    def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """Return the value stored under a key, a copy of its own, or the default. A failing server is a miss.

        Args:
            key: the application's key, or a memoized call's from `handle.key(...)`.
            default: what to return when there is nothing.
            type: what the value is: finds classes that are local to a function, too. Anything else stored is a miss.

        Cost: 1 round trip; 2 for an entry with tags.
        """
        near = self._near if type is None else None
        if near is not None and (value := near.get(key)) is not MISSING:
            return value
        value = operations.get_now(self._engine, self._keyed(key, kind=type), default, type)
        return value if near is None else near.found(key, value, default)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return what is stored of these keys. Cost: 1 round trip in all; 2 if an entry has tags."""
        distinct, wanted = self._wanted(keys)
        found = run_now(operations.get_many(self._engine.sync_ports(), wanted, MISSING))
        return {key: value for key, value in zip(distinct, found, strict=True) if value is not MISSING}

    def set(self, key: str, value: object, *, ttl: Duration = MISSING, tags: Iterable[str] = ()) -> None:
        """Store a value. A bare set races other writers: prefer `get_or_compute`, whose value cannot be older than an invalidation.

        Args:
            key: the application's key.
            value: plain data, or an object that comes back equal and of the same type (docs/reference/values.md).
            ttl: how long; 0 drops what is stored.
            tags: what invalidates it besides its key.

        Raises:
            UnencodableValue: if the value cannot be stored faithfully; nothing is changed then.

        Cost: 1 round trip; 2 where the namespace or a tag is new to this process, or was invalidated since it last stored something there.
        """
        operations.put_now(self._engine, self._keyed(key, ttl, tags), value)

    def set_many(self, values: Mapping[str, object], *, ttl: Duration = MISSING, tags: Iterable[str] = ()) -> None:
        """Store several values. Cost: 1 round trip in all, 2 as for `set`. See there."""
        run_now(operations.put_many(self._engine.sync_ports(), self._puts(values, ttl, tags)))

    def add(self, key: str, value: object, *, ttl: Duration = MISSING, tags: Iterable[str] = ()) -> bool:
        """Store a value if there is none: True for exactly one of several callers. False if the server failed.

        Cost: 1 round trip; 2 where there is something, and 1 more as for `set`.
        """
        return run_now(operations.add(self._engine.sync_ports(), self._keyed(key, ttl, tags), value))

    def incr(self, key: str, by: int = 1, *, ttl: Duration = MISSING) -> int:
        """Add to a number of any size, beginning at 0, and return the sum. Its lifetime stays; `ttl` is for a new one.

        Cost: 1 round trip; 3 for the first.

        Raises:
            NotAnInteger: if something else is stored.
            StoreError: if the server failed: the number may or may not have changed.
        """
        total = run_now(operations.incr(self._engine.sync_ports(), self._keyed(key, ttl), by, create=True))
        assert total is not None
        return total

    def touch(self, key: str, *, ttl: Duration = MISSING) -> bool:
        """Give a fresh entry a new lifetime from now on. False if there is none: a stale one stays so. Cost: 1 round trip; 2 with tags."""
        return run_now(operations.touch(self._engine.sync_ports(), self._keyed(key, ttl)))

    def ttl(self, key: str) -> float | None:
        """Return how many seconds an entry is fresh for; None if there is none. Cost: 1 round trip."""
        return run_now(operations.ttl_s(self._engine.sync_ports(), self._keyed(key)))

    def get_or_compute(
        self,
        key: str,
        compute: Callable[[], R],
        *,
        ttl: Duration | Callable[[R], Duration] = MISSING,
        tags: Iterable[str] = (),
        stale_ttl: Duration = 0,
    ) -> R:
        """Return the value of a key, computing and storing it if there is none. Guarantees and cost as for a memoized function.

        Args:
            key: the application's key.
            compute: makes the value.
            ttl: how long it is fresh, or a function from the value to that. Default: the cache's.
            tags: what invalidates it besides its key.
            stale_ttl: how long after that it may be served while a new one is computed behind the callers.
        """
        result: R = Threads(self._engine).compute(self._computed(key, compute, ttl, tags, stale_ttl), compute)
        return result

    def invalidate(self, *keys: str) -> Receipt:
        """Forget entries by key: no read that starts after the receipt says `applied` returns a value computed before this call.

        Args:
            keys: the application's, and memoized calls' from `handle.key(...)`.

        Cost: 1 round trip, whatever their number. Never raises for the server.
        """
        return run_now(operations.invalidate(self._engine.sync_ports(), self._key_targets(keys)))

    def expire(self, *keys: str) -> Receipt:
        """Make entries stale: memoized functions and `get_or_compute` with a `stale_ttl` serve them until a new value is computed.

        For a value that should be newer soon; one that must not be seen any more is to be invalidated. A computation that began before is
        not stored over it. Without a `stale_ttl` the next call computes, as after an invalidation. What the server did not take
        (`receipt.applied` is false) is invalidated as soon as it can be.

        Args:
            keys: the application's, and memoized calls' from `handle.key(...)`.

        Cost: 1 round trip, whatever their number. Never raises for the server.
        """
        return run_now(operations.expire(self._engine.sync_ports(), self._key_targets(keys)))

    def invalidate_tags(self, *tags: str) -> Receipt:
        """Forget every entry that depends on one of these tags, functions' `tag` among them. Cost: 1 round trip, whatever their number."""
        return run_now(operations.invalidate(self._engine.sync_ports(), self._tag_targets(tags)))

    def invalidate_all(self) -> Receipt:
        """Forget the whole namespace. Nothing else on the server is touched. Cost: 1 round trip, whatever its size."""
        return run_now(operations.invalidate(self._engine.sync_ports(), self._everything()))

    def writing(self, *tags: str) -> AbstractContextManager[None]:
        """Return a context manager for a database transaction that writes what entries under these tags were computed from.

        Write **and commit** inside the block. No read of the server that starts after COMMIT returned gets a value computed before it,
        even if this process dies right after COMMIT: from the beginning to the end of the block nothing under the tags is served or
        stored, by any process; at the end, with or without an exception, the tags are invalidated. In the block, this thread or task
        computes for itself: it neither shares a computation with others nor stores one.

        Blocks may be nested and overlap, in one process or in several, on the same tags. A process that dies in a block keeps its tags
        uncached for 30 s; one that stands still for longer than that between two statements (SIGSTOP, a suspended machine) may commit
        when others cache again. Tags are marked again every 5 s, by the thread ``afresh-renewals``.

        Args:
            tags: at least one; functions' `tag`, too.

        Raises:
            StoreError: on entering, if the server failed: the block is not run. Not at its end: the marks lapse after 30 s at most.

        Cost: 1 round trip to enter, 1 to leave, whatever the number of tags.
        """
        return writing(self._engine, self._marked(tags))

    def lock(self, name: str, *, ttl: Duration, wait: Duration = MISSING) -> AbstractContextManager[Lease]:
        """Return a context manager for a block that one holder at a time is in, over threads, tasks and processes. It gives a `Lease`.

        Those who wait get the lock in the order in which they came, whatever their process. It is renewed while the block runs, by the
        thread ``afresh-renewals``, and never released by anybody else. It is not re-entrant.

        A lock is as safe as the server's memory: an eviction, a lost server or a failover may grant it twice, and so may a process that
        stands still for longer than `ttl` and then goes on. `Lease.is_lost` tells the holder; `Lease.fence` rises with every grant, so
        that what the lock protects can refuse the work of one who was overtaken.

        Args:
            name: of the lock, at least one character. Locks have names of their own: no key or tag collides with them.
            ttl: how long a holder that died keeps others out, up to 30 days. It does not bound the block.
            wait: how long to wait for it; 0 tries once. Default: 10 s.

        Raises:
            LockTimeout: on entering, if the lock was not to be had in time.
            LockReentered: on entering, if this thread or task holds it.
            StoreError: on entering, if the server failed. Not at the end: a lock that could not be released lapses.
            LockLost: at the end of a block that did not raise, if the lock was lost before.

        Cost: 1 round trip to enter, 1 to leave; while others hold it, one look each 50 ms for all who wait in this process.
        """
        return locked(self._engine, self._lock_wanted(name, ttl, wait))

    def explain(self, key: str) -> Explanation:
        """Not available in this version."""
        raise _not_yet("explain()")

    @names_nearest_option
    def recurrence(self, *, base: Mapping[int, R], name: str | None = None, ttl: Duration = MISSING, max_bytes: Size = 0) -> Recurrent[R]:
        """Return a decorator for a function of n and the values before it, nearest first: a memo table in one Redis hash.

        See `afresh.recurrence.Recurrence` for what it guarantees. For `def` and `async def`.

        Args:
            base: the first values, by consecutive numbers from 0 or more; as many as the function takes previous values.
            name: of the table. Default: the function's module and qualname.
            ttl: how long the table lives after it last grew, up to 30 days. Default: 30 days.
            max_bytes: how much the rows may take on the server; the highest are kept, to go on from. A row that was dropped is computed
                from the base, and not stored. Default: no bound.
        """
        from afresh.recurrence import TableOptions, recurrence

        ttl_ms = MAX_TTL_MS if ttl is MISSING else self._ttl_ms(ttl)
        return recurrence(self._engine, base, TableOptions(name, ttl_ms, size_bytes(max_bytes, what="max_bytes")))

    def stats(self) -> dict[str, FunctionStats]:
        """Return what happened in this process, by function; keys' operations count under ``keys``. No I/O."""
        return self._engine.tallies.all_stats()

    def pending(self) -> int:
        """Return how many names have invalidations that the server may not have. They are repeated until it has them. No I/O.

        Until then this process neither serves nor stores anything under these names. Other processes may serve what was to be forgotten.
        """
        return len(self._engine.replays.lates)

    def close(self) -> None:
        """Close the connections, and leave the embedded server. Using the cache again opens it again."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _aio_of(again: Callable[[], Any]) -> AsyncCache:
    aio: AsyncCache = again().aio
    return aio
