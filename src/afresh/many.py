"""Functions that compute many values in one call: what `memoize_many` returns.

Each id has an entry of its own, under the key of the function with that id in place of the list. What a batch finds missing, and nobody
else computes, it computes in one call; only then does it wait for what others compute, so no two batches wait for each other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeAlias, TypeVar, overload

from afresh.core.capture import obtain_into, obtain_many_into
from afresh.core.commits import Behind, Claim, Result, abandon_many, commit_many
from afresh.core.keys import Key
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request
from afresh.core.results import Receipt
from afresh.core.writes import Target, key_targets
from afresh.errors import ConfigurationError
from afresh.function import Function, Options, imitate
from afresh.runtime import operations
from afresh.runtime.capturing import capturing
from afresh.runtime.computing import closing_ports, end_compute, start_compute, unless_closed
from afresh.runtime.engine import Engine
from afresh.runtime.run_now import run_now
from afresh.runtime.surroundings import bypassed
from afresh.telemetry.counters import FunctionStats

if TYPE_CHECKING:
    from inspect import Parameter

__all__ = ["AsyncMany", "Many", "MemoizeMany", "memoized_many"]

P = ParamSpec("P")
K = TypeVar("K")
_Call: TypeAlias = Callable[[list[Any]], Any]
V = TypeVar("V")


class _Batches:
    """What both colours share: requests for ids, and what becomes of the computed mapping."""

    __slots__ = ("_function",)

    def __init__(self, function: Function) -> None:
        self._function = function
        imitate(self, function.fn, function.name)

    def __repr__(self) -> str:
        return f"<memoized in batches {self._function.name}>"

    def __get__(self, obj: object, owner: type | None = None) -> Self:
        if obj is not None:
            msg = (
                f"{self._function.name} takes a list of ids first, and so cannot be a method: batches belong to functions, and to "
                f"static methods (@staticmethod above @cache.memoize_many())."
            )
            raise ConfigurationError(msg)
        return self

    def __cache_key__(self) -> tuple[str, str]:
        """As an argument, be known by the function's id in its namespace."""
        return self._function.engine.namespace.name, self._function.identity

    def __reduce__(self) -> str:
        """Pickle by name, as functions are."""
        return str(self._function.fn.__qualname__)

    @property
    def tag(self) -> str:
        """The function's implicit tag."""
        return self._function.tag

    def stats(self) -> FunctionStats:
        """Return what happened to this function's ids in this process."""
        return self._function.engine.tallies.stats(self._function.name)

    def _requests(self, ids: Iterable[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[Any, Request]:
        if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
            msg = f"{self._function.name} takes several ids, not one {type(ids).__name__}: pass a list, [{ids!r}]."
            raise TypeError(msg)
        bind, request = self._function.bind, self._function.request
        return {each: request(bind(each, *args, **kwargs)) for each in dict.fromkeys(ids)}

    def _targets(self, ids: Iterable[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Target]:
        namespace, requests = self._function.engine.namespace, self._requests(ids, args, kwargs)
        return [target for request in requests.values() for target in key_targets(namespace, request.names, self._stamp)]

    @property
    def _stamp(self) -> str:
        return self._function.engine.namespace.tag_of(self.tag).key

    def _call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], ids: list[Any]) -> Any:
        return self._function.fn(ids, *args, **kwargs)

    def _checked(self, computed: Any) -> Mapping[Any, Any]:
        if not isinstance(computed, Mapping):
            msg = f"{self._function.name} must return a mapping from ids to values, not {type(computed).__name__}."
            raise TypeError(msg)
        return computed


class _Sorted:
    """What a batch got: values, claims to compute, now or `later` behind the caller, and ids that others compute."""

    def __init__(self, engine: Engine, ids: Sequence[Any], got: Sequence[Hit | Claim | Behind | None]) -> None:
        self._engine = engine
        pairs = list(zip(ids, got, strict=True))
        self.values = {each: hit.value for each, hit in pairs if isinstance(hit, Hit)}
        self.claims = {each: claim for each, claim in pairs if isinstance(claim, Claim)}
        self.pending = [each for each, nothing in pairs if nothing is None]
        duties = {each: duty for each, duty in pairs if isinstance(duty, Behind)}
        self.values |= {each: duty.hit.value for each, duty in duties.items() if duty.hit is not None}
        self.later = {each: duty.claim for each, duty in duties.items()}

    def handed_over(self) -> _Sorted:
        """Return what is computed later as a batch of its own, for another thread or task."""
        for claim in self.later.values():
            if claim.flight is not None:
                claim.flight.hand_over()
        return _Sorted(self._engine, list(self.later), list(self.later.values()))

    def start_compute(self, *, is_task: bool) -> None:
        start_compute(self._engine, list(self.claims.values()), is_task=is_task)

    def end_compute(self) -> None:
        end_compute(self._engine, list(self.claims.values()))

    def split(self, computed: Mapping[Any, Any]) -> tuple[list[Result], list[Claim]]:
        """Return what is to be committed, and the claims on ids that were left out."""
        results = [Result(claim, computed[each]) for each, claim in self.claims.items() if each in computed]
        return results, [claim for each, claim in self.claims.items() if each not in computed]


class Many(_Batches, Generic[K, V, P]):
    """A memoized function from a list of ids to a mapping of their values. Its further arguments hold for all of them."""

    def __call__(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> dict[K, V]:
        """Return the values of these ids, in their order. Those that are not stored are computed, all in one call.

        Cost: 1 round trip if all are stored, otherwise 3; more for ids that others compute at the time.
        """
        requests = self._requests(ids, args, kwargs)
        if bypassed() or not requests:
            return _in_order(requests, self._checked(self._function.fn(list(requests), *args, **kwargs))) if requests else {}
        engine = self._function.engine
        ports = engine.sync_ports()
        captured = capturing(engine.namespace)
        call = functools.partial(self._call, args, kwargs)
        compute = functools.partial(self._compute, ports, call)
        batch = _Sorted(engine, list(requests), run_now(obtain_many_into(ports, list(requests.values()), captured)))
        if batch.later:
            later = batch.handed_over()
            if engine.background.start(functools.partial(self._compute_behind, ports, call, later)) is None:
                run_now(abandon_many(ports, list(batch.later.values())))
        values = {**batch.values, **compute(batch)}
        for each in batch.pending:
            alone = _Sorted(engine, [each], [run_now(obtain_into(ports, requests[each], captured))])
            values |= {**alone.values, **compute(alone)}
        return _in_order(requests, values)

    def _compute_behind(self, ports: Ports, call: _Call, batch: _Sorted) -> None:
        engine, claims = self._function.engine, list(batch.claims.values())
        try:
            self._compute(ports, lambda ids: unless_closed(engine, claims, functools.partial(call, ids)), batch)
        except Exception as error:  # noqa: BLE001  whatever it is, its caller has gone
            engine.counters.failed(self._function.name, error)

    def _compute(self, ports: Ports, call: _Call, batch: _Sorted) -> Mapping[Any, Any]:
        if not batch.claims:
            return {}
        batch.start_compute(is_task=False)
        try:
            computed = self._checked(call(list(batch.claims)))
            results, left_out = batch.split(computed)
        except BaseException:
            batch.end_compute()
            run_now(abandon_many(ports, list(batch.claims.values())))
            raise
        batch.end_compute()
        try:
            run_now(commit_many(ports, results))
        finally:
            run_now(abandon_many(ports, left_out))
        return computed

    def key(self, of_id: K, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """Return the key of one id's value, for `Cache.invalidate` and `Cache.get`. No I/O."""
        return self._function.key(self._function.bind(of_id, *args, **kwargs))

    def put(self, values: Mapping[K, V], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Store values by their ids. They race other writers, as a bare `set` does. Cost: 2 round trips in all.

        Raises:
            UnencodableValue: if one cannot be stored faithfully; none is then.
        """
        requests = self._requests(values, args, kwargs)
        pairs = [(request, values[each]) for each, request in requests.items()]
        run_now(operations.put_many(self._function.engine.sync_ports(), pairs))

    def invalidate(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """Forget the values of these ids. Cost: 1 round trip in all."""
        return run_now(operations.invalidate(self._function.engine.sync_ports(), self._targets(ids, args, kwargs)))

    def expire(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """Make the values of these ids stale: with a `stale_ttl` they are served until new ones are computed. Cost: 1 round trip."""
        return run_now(operations.expire(self._function.engine.sync_ports(), self._targets(ids, args, kwargs)))

    def invalidate_all(self) -> Receipt:
        """Forget the values of all ids. Cost: 1 round trip, whatever their number."""
        return run_now(operations.invalidate(self._function.engine.sync_ports(), [Target(None, self._stamp)]))


class AsyncMany(_Batches, Generic[K, V, P]):
    """The same for a coroutine function. See `Many`."""

    async def __call__(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> dict[K, V]:
        """See `Many.__call__`."""
        requests = self._requests(ids, args, kwargs)
        if bypassed() or not requests:
            return _in_order(requests, self._checked(await self._function.fn(list(requests), *args, **kwargs))) if requests else {}
        engine = self._function.engine
        ports = engine.async_ports()
        captured = capturing(engine.namespace)
        call = functools.partial(self._call, args, kwargs)
        compute = functools.partial(self._compute, ports, call)
        batch = _Sorted(engine, list(requests), await obtain_many_into(ports, list(requests.values()), captured))
        if batch.later:
            later = batch.handed_over()
            engine.background.start_task(self._compute_behind(ports, call, later))
        values = {**batch.values, **await compute(batch)}
        for each in batch.pending:
            alone = _Sorted(engine, [each], [await obtain_into(ports, requests[each], captured)])
            values |= {**alone.values, **await compute(alone)}
        return _in_order(requests, values)

    async def _compute_behind(self, ports: Ports, call: _Call, batch: _Sorted) -> None:
        try:
            await self._compute(ports, call, batch)
        except Exception as error:  # noqa: BLE001  whatever it is, its caller has gone
            self._function.engine.counters.failed(self._function.name, error)

    async def _compute(self, ports: Ports, call: _Call, batch: _Sorted) -> Mapping[Any, Any]:
        if not batch.claims:
            return {}
        batch.start_compute(is_task=True)
        try:
            computed = self._checked(await call(list(batch.claims)))
            results, left_out = batch.split(computed)
        except BaseException as error:
            batch.end_compute()
            await abandon_many(closing_ports(self._function.engine, error), list(batch.claims.values()))
            raise
        batch.end_compute()
        try:
            await commit_many(ports, results)
        finally:
            await abandon_many(ports, left_out)
        return computed

    def key(self, of_id: K, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """See `Many.key`."""
        return self._function.key(self._function.bind(of_id, *args, **kwargs))

    async def put(self, values: Mapping[K, V], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """See `Many.put`."""
        requests = self._requests(values, args, kwargs)
        pairs = [(request, values[each]) for each, request in requests.items()]
        await operations.put_many(self._function.engine.async_ports(), pairs)

    async def invalidate(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """See `Many.invalidate`."""
        return await operations.invalidate(self._function.engine.async_ports(), self._targets(ids, args, kwargs))

    async def expire(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """See `Many.expire`."""
        return await operations.expire(self._function.engine.async_ports(), self._targets(ids, args, kwargs))

    async def invalidate_all(self) -> Receipt:
        """See `Many.invalidate_all`."""
        return await operations.invalidate(self._function.engine.async_ports(), [Target(None, self._stamp)])


def _in_order(ids: Iterable[Any], values: Mapping[Any, Any]) -> dict[Any, Any]:
    return {each: values[each] for each in ids if each in values}


def memoized_many(engine: Engine, options: Options) -> MemoizeMany:
    """Return the decorator for these options."""

    def decorate(fn: Any) -> Any:
        from inspect import signature  # slow to import

        function = Function(engine, fn, options)
        if not any(map(_takes_ids, list(signature(fn).parameters.values())[:1])):
            msg = f"{function.name} must take the list of ids as its first argument: def f(ids, …)."
            raise ConfigurationError(msg)
        return (AsyncMany if function.is_async else Many)(function)

    return decorate


def _takes_ids(first: Parameter) -> bool:
    return first.kind in {first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD}


class MemoizeMany(Protocol):
    """The decorator that `memoize_many(...)` returns: it follows the function's colour."""

    @overload
    def __call__(self, fn: Callable[Concatenate[list[K], P], Coroutine[Any, Any, Mapping[K, V]]], /) -> AsyncMany[K, V, P]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[list[K], P], Mapping[K, V]], /) -> Many[K, V, P]: ...
