"""Memoized functions: what `memoize` returns, for plain functions, coroutine functions and methods.

A handle is called as the function is, and has the function's signature, name and doc. Everything else is on its methods, whose arguments
are the call's: ``profile(7)``, ``profile.invalidate(7)``. Accessed on an instance, it is bound to it like a method.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from operator import methodcaller
from types import MethodType
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, Self, TypeAlias, TypeVar, overload

from afresh.core.capture import seize_into
from afresh.core.keys import Key
from afresh.core.reads import Request
from afresh.core.results import Entry, Receipt
from afresh.core.units import Duration, duration_ms
from afresh.core.writes import Target, key_targets
from afresh.errors import ConfigurationError
from afresh.function import Function, Options, imitate
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
Read: TypeAlias = Literal["near", "redis"]


class _Handle:
    """What both colours share: the function's record and what it is bound to."""

    # Slots, since `functools.wraps` around a handle copies what is in its `__dict__`.
    __slots__ = ("__dict__", "__func__", "__self__", "_binds_to", "_function", "_made_from", "_method")

    __func__: Any
    __self__: Any
    _binds_to: type | None  # the class of handles that are bound to an instance; made when the first is
    _made_from: tuple[_Handle, dict[str, Any]] | None  # what `options` was called on, and with
    _method: type | None  # classmethod or staticmethod, where that was memoized

    def __init__(self, function: Function) -> None:
        self._function = function
        self._made_from, self._method, self._binds_to = None, None, None
        imitate(self, function.fn, function.name)

    @property
    def _bound(self) -> tuple[Any, ...]:
        """What the handle is bound to, if it is."""
        return ()

    def __repr__(self) -> str:
        return f"<memoized {self._function.name}{' bound' if self._bound else ''}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Handle) or self._function is not other._function:
            return False
        return [*map(id, self._bound)] == [*map(id, other._bound)]

    def __hash__(self) -> int:
        return hash((self._function, *map(id, self._bound)))

    def __cache_key__(self) -> tuple[Any, ...]:
        """As an argument, be known by the function's id in its namespace, and by what it is bound to."""
        return self._function.engine.namespace.name, self._function.identity, *self._bound

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle by name, as functions are."""
        if self._made_from is not None:
            handle, options = self._made_from
            return methodcaller("options", **options), (handle,)
        if self._bound:
            return getattr, (self._bound[0], self._function.fn.__name__)
        return str(self._function.fn.__qualname__)

    @property
    def tag(self) -> str:
        """The function's implicit tag: every entry of it depends on it, and others may name it in `tags`."""
        return self._function.tag

    def _first(self, obj: Any, owner: type | None) -> Any:
        """Return what access on this instance or class binds to, as for the kind of method that was memoized; None for nothing."""
        if self._method is staticmethod:
            return None
        return (owner or type(obj)) if self._method is classmethod else obj

    def _binding(self) -> type:
        """Return the class of handles that are bound to an instance. Its `__call__` is made for the signature as well."""
        if self._binds_to is None:
            base = _BoundAsyncMemoized if self._function.is_async else _BoundMemoized
            shown = vars(self)
            same = {"_function": self._function, "_method": self._method, "_binds_to": None}
            same |= {name: shown[name] for name in ("__doc__", "__module__", "__annotations__") if name in shown}  # classes have their own
            call = None if self._bound else self._function.bound_call
            self._binds_to = type(base.__name__, (base,), same if call is None else {"__call__": call, **same})
        return self._binds_to

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        return self._function.key(self._values(args, kwargs))

    def _values(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        return self._function.bind(*self._bound, *args, **kwargs)

    def _request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request:
        return self._function.request(self._values(args, kwargs))

    def _targets(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Target]:
        namespace = self._function.engine.namespace
        return key_targets(namespace, namespace.names(self._key(args, kwargs)), namespace.tag_of(self.tag).key)

    def _target_all(self) -> Target:
        return Target(None, self._function.engine.namespace.tag_of(self.tag).key)

    def _under(self, *, read: Read | None, wait: Duration | None) -> Any:
        if read not in {None, "near", "redis"}:
            msg = f"read={read!r} is unknown: 'near' or 'redis'."
            raise ConfigurationError(msg)
        function = self._function
        changes: dict[str, Any] = {} if read is None else {"reads_near": read == "near"}
        if wait is not None:
            changes["policy"] = function.policy._replace(wait_ms=duration_ms(wait, what="wait"))
        if not changes:
            return self
        again = _make(function.under(**changes), self._method)
        if self._bound:
            again = again.__get__(*self._bound)
        again._made_from = self, {"read": read, "wait": wait}  # noqa: SLF001  a handle of this module
        return again


class Memoized(_Handle, Generic[P, R]):
    """A memoized function."""

    __name__: str
    __qualname__: str
    __module__: str
    __wrapped__: Callable[P, R]

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the stored value, or compute and store it. A copy of its own, unless the type is immutable.

        Cost: a hit, 1 round trip; a miss, 3.
        """
        raise NotImplementedError  # each handle's own class has the call generated for its signature

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


class AsyncMemoized(_Handle, Generic[P, R]):
    """A memoized coroutine function."""

    __name__: str
    __qualname__: str
    __module__: str
    __wrapped__: Callable[P, Coroutine[Any, Any, R]]

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Return the stored value, or compute and store it. See `Memoized.__call__`."""
        raise NotImplementedError  # each handle's own class has the call generated for its signature

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


def _signature(bound: _Handle) -> inspect.Signature:
    return inspect.signature(MethodType(bound._function.fn, *bound._bound))  # noqa: SLF001  a handle of this module


def _bound(bound: _Handle) -> tuple[Any, ...]:
    return (bound.__self__,)


def _shared(bound: _Handle, name: str) -> Any:
    """Let what is set on the function show on its methods. Not before it is looked for: it costs as much as a look into the near tier."""
    if vars(bound) is vars(bound.__func__):
        raise AttributeError(f"{bound!r} has no attribute {name!r}", name=name, obj=bound)
    bound.__dict__ = bound.__func__.__dict__
    return getattr(bound, name)


class _BoundMemoized(Memoized[P, R]):
    """A memoized function with its first argument."""

    __signature__ = property(_signature)
    _bound = property(_bound)
    __getattr__ = _shared

    def __init__(self, handle: Memoized[Any, R], obj: object) -> None:
        self.__func__, self.__self__, self._made_from = handle, obj, None

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = self.__func__.__call__(self.__self__, *args, **kwargs)
        return result


class _BoundAsyncMemoized(AsyncMemoized[P, R]):
    """A memoized coroutine function with its first argument."""

    __signature__ = property(_signature)
    _bound = property(_bound)
    __getattr__ = _shared

    def __init__(self, handle: AsyncMemoized[Any, R], obj: object) -> None:
        self.__func__, self.__self__, self._made_from = handle, obj, None

    async def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = await self.__func__.__call__(self.__self__, *args, **kwargs)
        return result


class Memoize(Protocol):
    """The decorator that `memoize(...)` returns: it follows the function's colour."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncMemoized[P, R]: ...  # type: ignore[overload-overlap]  # the first match is meant
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Memoized[P, R]: ...


def memoized(engine: Engine, options: Options) -> Memoize:
    """Return the decorator for these options."""

    def decorate(fn: Any) -> Any:
        if isinstance(fn, (classmethod, staticmethod)):
            return _make(Function(engine, fn.__func__, options), type(fn))
        return _make(Function(engine, fn, options))

    return decorate


def _get(handle: Any, obj: Any, owner: type | None = None, /) -> Any:
    """Bind a handle to an instance. Every call of a method comes by, so it does itself what the bound class's `__init__` does."""
    if handle._method is not None:  # noqa: SLF001  of this module, here and below
        obj = handle._first(obj, owner)  # noqa: SLF001
    if obj is None:
        return handle
    bound: Any = _new(handle._binds_to or handle._binding())  # noqa: SLF001
    bound.__func__, bound.__self__, bound._made_from = handle, obj, None  # noqa: SLF001
    return bound


_new = object.__new__


def _make(function: Function, method: type | None = None) -> Any:
    """Return a handle of a class of its own, whose `__call__` has the function's signature."""
    base = AsyncMemoized if function.is_async else Memoized
    handle = type(base.__name__, (base,), {"__call__": function.call, "__get__": _get})(function)
    handle._method = method  # noqa: SLF001  a handle of this module
    return handle
