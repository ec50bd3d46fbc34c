"""Functions of n and of their own previous values, with a memo table: the tutorial's factorial, done right."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, overload

from afresh.core import table as tables
from afresh.core.capture import attend
from afresh.core.keys import Namespace, function_id
from afresh.core.ports import Ports
from afresh.core.results import Receipt
from afresh.core.stamps import needs_of
from afresh.core.table import Growth, Resume, Row, Table
from afresh.core.writes import Target
from afresh.errors import ConfigurationError, UnencodableValue
from afresh.function import checked_name, imitate, is_coroutine_function, refuse_uncacheable
from afresh.naming import name_of
from afresh.runtime import operations
from afresh.runtime.capturing import capturing
from afresh.runtime.computing import closing_ports
from afresh.runtime.engine import Engine
from afresh.runtime.run_now import run_now
from afresh.runtime.surroundings import bypassed
from afresh.telemetry.counters import FunctionStats

__all__ = ["AsyncRecurrence", "Recurrence", "Recurrent", "TableOptions", "recurrence"]

R = TypeVar("R")


class _Handle:
    """What both colours share: the table, and what needs no I/O."""

    __slots__ = ("_engine", "_fn", "_table")

    def __init__(self, engine: Engine, fn: Callable[..., Any], table: Table) -> None:
        self._engine = engine
        self._fn = fn
        self._table = table
        imitate(self, fn, table.owner)

    def __repr__(self) -> str:
        return f"<recurrence {self._table.owner}>"

    def __cache_key__(self) -> tuple[str, str]:
        """As an argument, be known by the table."""
        return self._engine.namespace.name, self._table.owner

    def __reduce__(self) -> str:
        """Pickle by name, as functions are."""
        return str(self._fn.__qualname__)

    def stats(self) -> FunctionStats:
        """Return what happened to this function's calls in this process. Computes are counted by row."""
        return self._engine.tallies.stats(self._table.owner)

    def _known_without_io(self, n: int) -> Row | Resume | None:
        """Check the argument; answer from the base, or where nothing is to be read; None if the table must be asked."""
        table = self._table
        if not isinstance(n, int) or isinstance(n, bool):
            msg = f"{table.owner}(n) takes a whole number, not {type(n).__name__}."
            raise TypeError(msg)
        if n < table.first:
            msg = f"{table.owner}({n}): the base begins at {table.first}; there is nothing before it."
            raise ValueError(msg)
        if n < table.next:
            return Row(tables.unpack_row(table, table.base[n - table.first]))
        return tables.from_base(table, None) if bypassed() else None

    @property
    def _base_top(self) -> int:
        return self._table.next - 1

    def _growth(self, resume: Resume, ports: Ports) -> Growth:
        return Growth(self._table, resume.row, resume.fence, ports.clock.ticks_us())

    def _is_due(self, growth: Growth, value: object, started_us: int, now_us: int) -> bool:
        counters, owner = self._engine.counters, self._table.owner
        counters.computed(owner, now_us - started_us)
        try:
            return growth.add(value, now_us)
        except UnencodableValue as error:
            counters.unencodable(owner, error)
            return False

    def _targets(self) -> list[Target]:
        return [Target(None, self._table.needs.tags[-1].key)]


class Recurrence(_Handle, Generic[R]):
    """A function of n whose values are kept, row by row, in one Redis hash.

    ``f(n)`` reads one field if row n is known. Otherwise it goes on from the highest row and writes the rows that it computes, in chunks,
    so any number of processes extend one table together, without a gap. No recursion, so no limit to n. Rows computed before an
    invalidation are never mixed with later ones. When the server fails, the value is computed from the base and not stored. One thread or
    task of a process extends at a time; the others wait for it.

    Cost: 1 round trip for a known row; otherwise 3 or 4, and 1 per chunk of 256 KiB, 1,000 rows or a quarter of a second.
    """

    def __call__(self, n: int, /) -> R:
        """Return f(n).

        Args:
            n: a whole number, not below the base's first.

        Raises:
            TypeError: if n is not an int.
            ValueError: if n is below the base's first.
        """
        engine, table = self._engine, self._table
        if (captured := capturing(engine.namespace)) is not None:
            run_now(attend(engine.sync_ports(), table.needs.tags, captured))
        found = self._known_without_io(n) or engine.hits.row(table, n) or engine.sync_ports()
        if isinstance(found, Ports):
            found = run_now(tables.obtain(found, table, n))
        value: R = found.value if isinstance(found, Row) else self._grow(engine.sync_ports(), n, found)
        return value

    def known(self) -> int:
        """Return the highest n in the table; the base's where there is none yet. Cost: 1 round trip."""
        return self._base_top if bypassed() else run_now(tables.highest(self._engine.sync_ports(), self._table))

    def invalidate_all(self) -> Receipt:
        """Forget the table: no call that starts after the receipt says `applied` uses a row from before. Cost: 1 round trip."""
        return run_now(operations.invalidate(self._engine.sync_ports(), self._targets()))

    def _grow(self, ports: Ports, n: int, resume: Resume) -> Any:
        """Compute the rows up to n, and write them as far as the table lets us."""
        growth, previous, ticks_us = self._growth(resume, ports), resume.previous, ports.clock.ticks_us
        if resume.flight is not None:
            resume.flight.start_compute()
        try:
            for row in range(resume.row, n + 1):
                started_us = ticks_us()
                value = self._fn(row, *previous)
                previous = [value, *previous[:-1]]
                if self._is_due(growth, value, started_us, ticks_us()):
                    run_now(tables.write(ports, growth))
        finally:
            if resume.flight is not None:
                resume.flight.end_compute()
            try:
                run_now(tables.write(ports, growth))
            finally:
                if resume.flight is not None:
                    resume.flight.finish(None)
        return previous[0]


class AsyncRecurrence(_Handle, Generic[R]):
    """A coroutine function of n whose values are kept in one Redis hash. See `Recurrence`."""

    async def __call__(self, n: int, /) -> R:
        """See `Recurrence.__call__`."""
        ports = self._engine.async_ports()
        if (captured := capturing(self._engine.namespace)) is not None:
            await attend(ports, self._table.needs.tags, captured)
        found = self._known_without_io(n) or await tables.obtain(ports, self._table, n)
        value: R = found.value if isinstance(found, Row) else await self._grow(ports, n, found)
        return value

    async def known(self) -> int:
        """See `Recurrence.known`."""
        return self._base_top if bypassed() else await tables.highest(self._engine.async_ports(), self._table)

    async def invalidate_all(self) -> Receipt:
        """See `Recurrence.invalidate_all`."""
        return await operations.invalidate(self._engine.async_ports(), self._targets())

    async def _grow(self, ports: Ports, n: int, resume: Resume) -> Any:
        growth, previous, ticks_us = self._growth(resume, ports), resume.previous, ports.clock.ticks_us
        if resume.flight is not None:
            resume.flight.start_compute()
        try:
            for row in range(resume.row, n + 1):
                started_us = ticks_us()
                value = await self._fn(row, *previous)
                previous = [value, *previous[:-1]]
                if self._is_due(growth, value, started_us, ticks_us()):
                    await tables.write(ports, growth)
        except GeneratorExit as error:
            ports = closing_ports(self._engine, error)
            raise
        finally:
            if resume.flight is not None:
                resume.flight.end_compute()
            try:
                await tables.write(ports, growth)
            finally:
                if resume.flight is not None:
                    resume.flight.finish(None)
        return previous[0]


class Recurrent(Protocol[R]):
    """The decorator that `recurrence(...)` returns: it follows the function's colour."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine function is one of the first kind: the first match is meant
        self,
        fn: Callable[[int, R], Coroutine[Any, Any, R]]
        | Callable[[int, R, R], Coroutine[Any, Any, R]]
        | Callable[[int, R, R, R], Coroutine[Any, Any, R]],
        /,
    ) -> AsyncRecurrence[R]: ...
    @overload
    def __call__(self, fn: Callable[[int, R], R] | Callable[[int, R, R], R] | Callable[[int, R, R, R], R], /) -> Recurrence[R]: ...


class TableOptions(NamedTuple):
    """What `recurrence` was told, checked but for the base."""

    name: str | None
    ttl_ms: int
    max_bytes: int


def recurrence(engine: Engine, base: Mapping[int, Any], options: TableOptions) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator for these options.

    Raises:
        ConfigurationError: for a base that is empty or has a gap, and, when decorating, for a function that does not fit it.
        UnencodableValue: when decorating, for a value of the base that cannot be stored.
    """
    first, base_values = _checked_base(base)

    def decorate(fn: Callable[..., Any]) -> Any:
        refuse_uncacheable(fn)
        owner = checked_name(options.name) or name_of(fn, engine.function_names)
        _check_function(fn, owner, len(base_values))
        namespace = engine.namespace
        needs = needs_of(namespace, namespace.tag_of(Namespace.function_tag(function_id(owner))))
        values = engine.codecs.returned_by(fn)
        rows = tuple(tables.pack_row(values, value) for value in base_values)
        digest, most = tables.digest_of(first, rows, options.max_bytes), options.max_bytes
        table = Table(namespace.table(owner), needs, values, owner, options.ttl_ms, most, first, rows, digest)
        return (AsyncRecurrence if is_coroutine_function(fn) else Recurrence)(engine, fn, table)

    return decorate


def _checked_base(base: Mapping[int, Any]) -> tuple[int, tuple[Any, ...]]:
    numbers = list(base) if isinstance(base, Mapping) else []
    if not numbers or not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
        msg = f"base={base!r} must give the first values by their numbers, from 0 up: base={{0: 1}}."
        raise ConfigurationError(msg)
    first = min(numbers)
    if sorted(numbers) != list(range(first, first + len(numbers))):
        missing = sorted(set(range(first, max(numbers))) - set(numbers))
        msg = f"base has a gap: {', '.join(map(str, missing))} is missing between {first} and {max(numbers)}."
        raise ConfigurationError(msg)
    return first, tuple(base[number] for number in sorted(numbers))


def _check_function(fn: Callable[..., Any], owner: str, order: int) -> None:
    from inspect import signature  # slow to import

    try:
        signature(fn).bind(*range(1 + order))
    except TypeError:
        msg = f"{owner} must take n and {order} previous value(s), nearest first, since its base has {order}: def f(n, …)."
        raise ConfigurationError(msg) from None
