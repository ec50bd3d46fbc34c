"""Memoized functions: what `memoize` returns, for plain functions, coroutine functions and methods.

A handle is called as the function is, and has the function's signature, name and doc. Everything else is on its methods, whose arguments
are the call's: ``profile(7)``, ``profile.invalidate(7)``. Accessed on an instance, it is bound to it like a method.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from afresh.core.capture import seize_into
from afresh.core.keys import Key
from afresh.core.results import Entry, Receipt
from afresh.core.units import Duration
from afresh.function import Function, Options
from afresh.handle import Handle, Kind, Read, as_function, made, may_be_method
from afresh.runtime import operations
from afresh.runtime.capturing import capturing
from afresh.runtime.computing import Tasks, Threads, start_compute
from afresh.runtime.engine import Engine
from afresh.runtime.run_now import run_now
from afresh.runtime.surroundings import bypassed
from afresh.telemetry.counters import FunctionStats

__all__ = ["AsyncMemoized", "Memoize", "Memoized", "Read", "memoized"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class Memoized(Handle, Generic[P, R], metaclass=Kind):
    """A memoized function."""

    __name__: str
    __qualname__: str
    __module__: str
    __wrapped__: Callable[P, R]

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the stored value, or compute and store it. A copy of its own, unless the type is immutable.

        Cost: a hit, 1 round trip; a miss, 3.
        """
        raise NotImplementedError  # each handle has a class of its own, whose call is generated for its signature

    @overload
    def __get__(self, obj: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self: Memoized[Concatenate[S, Q], R], obj: S, owner: type | None = None, /) -> Memoized[Q, R]: ...
    def __get__(self, obj: Any, owner: type | None = None, /) -> Any:
        """Bind to an instance, as functions do."""
        raise NotImplementedError  # as for `__call__`

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """Return the call's key, for `Cache.invalidate` and `Cache.get`. No I/O.

        Raises:
            UnkeyableArgument: for an argument without identity.
        """
        return self._key(args, kwargs)

    def uncached(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself: nothing is read or stored."""
        result: R = self._function.fn(*self._bound, *args, **kwargs)
        return result

    def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute now and store, whatever is stored. A computation under way is overtaken: its result is not stored.

        Cost: 2 round trips.
        """
        if bypassed():
            return self.uncached(*args, **kwargs)
        engine = self._function.engine
        computing = Threads(engine)
        claim = run_now(seize_into(engine.sync_ports(), self._request(args, kwargs), capturing(engine.namespace)))
        start_compute(engine, [claim], is_task=False)
        try:
            value = self.uncached(*args, **kwargs)
        except BaseException as error:
            computing.abandon(claim, error)
            raise
        computing.commit(claim, value)
        return value

    def peek(self, /, *args: P.args, **kwargs: P.kwargs) -> Entry[R] | None:
        """Return what is stored, or None. Never computes. Cost: 1 round trip."""
        return run_now(operations.peek(self._function.engine.sync_ports(), self._request(args, kwargs)))

    def put(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Store a value for the call. It races other writers: its compute counts as started now. Cost: as of `Cache.set`.

        Raises:
            UnencodableValue: if the value cannot be stored faithfully.
        """
        run_now(operations.put(self._function.engine.sync_ports(), self._request(args, kwargs), value))

    def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """Forget this call's value: see the contract for what that guarantees. Cost: 1 round trip. Never raises for the server."""
        return run_now(operations.invalidate(self._function.engine.sync_ports(), self._targets(args, kwargs)))

    def expire(self, /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """Make this call's value stale: it is served until a new one is computed, if there is a `stale_ttl`. Cost: 1 round trip.

        See `Cache.expire`.
        """
        return run_now(operations.expire(self._function.engine.sync_ports(), self._targets(args, kwargs)))

    def invalidate_all(self) -> Receipt:
        """Forget the values of all calls. Cost: 1 round trip, whatever their number."""
        return run_now(operations.invalidate(self._function.engine.sync_ports(), [self._target_all()]))

    def stats(self) -> FunctionStats:
        """Return what happened to this function's calls in this process."""
        return self._function.engine.tallies.stats(self._function.name)

    def options(self, *, read: Read | None = None, wait: Duration | None = None) -> Memoized[P, R]:
        """Return the same function under other options.

        Args:
            read: ``"redis"`` neither takes from the near tier nor fills it: an invalidation by whichever process is seen from the moment on
                that its receipt was returned. ``"near"`` is what the function was memoized with.
            wait: how long a call waits for somebody else's computation before it computes for itself.
        """
        again: Memoized[P, R] = self._under(read=read, wait=wait)
        return again


class AsyncMemoized(Handle, Generic[P, R], metaclass=Kind):
    """A memoized coroutine function."""

    __name__: str
    __qualname__: str
    __module__: str
    __wrapped__: Callable[P, Coroutine[Any, Any, R]]

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Return the stored value, or compute and store it. See `Memoized.__call__`."""
        raise NotImplementedError  # each handle has a class of its own, whose call is generated for its signature

    @overload
    def __get__(self, obj: None, owner: type, /) -> Self: ...
    @overload
    def __get__(self: AsyncMemoized[Concatenate[S, Q], R], obj: S, owner: type | None = None, /) -> AsyncMemoized[Q, R]: ...
    def __get__(self, obj: Any, owner: type | None = None, /) -> Any:
        """Bind to an instance, as functions do."""
        raise NotImplementedError  # as for `__call__`

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """See `Memoized.key`."""
        return self._key(args, kwargs)

    async def uncached(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `Memoized.uncached`."""
        result: R = await self._function.fn(*self._bound, *args, **kwargs)
        return result

    async def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """See `Memoized.refresh`."""
        if bypassed():
            return await self.uncached(*args, **kwargs)
        engine = self._function.engine
        computing = Tasks(engine)
        claim = await seize_into(engine.async_ports(), self._request(args, kwargs), capturing(engine.namespace))
        start_compute(engine, [claim], is_task=True)
        try:
            value = await self.uncached(*args, **kwargs)
        except BaseException as error:
            await computing.abandon(claim, error)
            raise
        await computing.commit(claim, value)
        return value

    async def peek(self, /, *args: P.args, **kwargs: P.kwargs) -> Entry[R] | None:
        """See `Memoized.peek`."""
        return await operations.peek(self._function.engine.async_ports(), self._request(args, kwargs))

    async def put(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """See `Memoized.put`."""
        await operations.put(self._function.engine.async_ports(), self._request(args, kwargs), value)

    async def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """See `Memoized.invalidate`."""
        return await operations.invalidate(self._function.engine.async_ports(), self._targets(args, kwargs))

    async def expire(self, /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """See `Memoized.expire`."""
        return await operations.expire(self._function.engine.async_ports(), self._targets(args, kwargs))

    async def invalidate_all(self) -> Receipt:
        """See `Memoized.invalidate_all`."""
        return await operations.invalidate(self._function.engine.async_ports(), [self._target_all()])

    def stats(self) -> FunctionStats:
        """See `Memoized.stats`."""
        return self._function.engine.tallies.stats(self._function.name)

    def options(self, *, read: Read | None = None, wait: Duration | None = None) -> AsyncMemoized[P, R]:
        """See `Memoized.options`."""
        again: AsyncMemoized[P, R] = self._under(read=read, wait=wait)
        return again


class Memoize(Protocol):
    """The decorator that `memoize(...)` returns: it follows the function's colour."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncMemoized[P, R]: ...  # type: ignore[overload-overlap]  # the first match is meant
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Memoized[P, R]: ...


def memoized(engine: Engine, options: Options) -> Memoize:
    """Return the decorator for these options."""

    def decorate(fn: Any) -> Any:
        method = type(fn) if isinstance(fn, (classmethod, staticmethod)) else None
        function = Function(engine, fn if method is None else fn.__func__, options)
        handle = made(AsyncMemoized if function.is_async else Memoized, function, method)
        return handle if method is not None or may_be_method(fn) else as_function(handle)

    return decorate
