"""Functions of n and of their own previous values, with a memo table: the tutorial's factorial, done right."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

from afresh.codec.msgpack import codec_for
from afresh.codec.values import CodecValues
from afresh.core import table as tables
from afresh.core.keys import Namespace, function_id
from afresh.core.results import Receipt
from afresh.core.stamps import needs_of
from afresh.core.table import Resume, Row, Table
from afresh.core.units import MAX_TTL_MS
from afresh.core.writes import Target
from afresh.errors import ConfigurationError, NotAvailable, UnencodableValue
from afresh.function import is_coroutine_function
from afresh.naming import name_of
from afresh.runtime import operations
from afresh.runtime.engine import Engine, bypassed
from afresh.runtime.run_now import run_now
from afresh.telemetry.counters import FunctionStats

__all__ = ["Recurrence", "Recurrent", "recurrence"]

R = TypeVar("R")

# A call writes what it has computed once it is this much, so that others can go on from there.
_CHUNK_BYTES = 256 * 1024
_CHUNK_ROWS = 1000
_CHUNK_S = 0.25


class Recurrence(Generic[R]):
    """A function of n whose values are kept, row by row, in one Redis hash.

    ``f(n)`` reads one field if row n is known. Otherwise it goes on from the highest row and writes the rows that it computes, in chunks,
    so any number of processes extend one table together, without a gap. No recursion, so no limit to n. Rows computed before an
    invalidation are never mixed with later ones. When the server fails, the value is computed from the base and not stored.

    Cost: 1 round trip for a known row; otherwise 2 or 3, and 1 per chunk of 256 KiB, 1,000 rows or a quarter of a second.
    """

    def __init__(self, engine: Engine, fn: Callable[..., R], table: Table) -> None:
        self._engine = engine
        self._fn = fn
        self._table = table
        functools.update_wrapper(self, fn)

    def __repr__(self) -> str:
        return f"<recurrence {self._table.owner}>"

    def __call__(self, n: int, /) -> R:
        """Return f(n).

        Args:
            n: a whole number, not below the base's first.

        Raises:
            TypeError: if n is not an int.
            ValueError: if n is below the base's first.
        """
        table = self._table
        if not isinstance(n, int) or isinstance(n, bool):
            msg = f"{table.owner}(n) takes a whole number, not {type(n).__name__}."
            raise TypeError(msg)
        if n < table.first:
            msg = f"{table.owner}({n}): the base begins at {table.first}; there is nothing before it."
            raise ValueError(msg)
        if n < table.first + len(table.base):
            value: R = table.base[n - table.first]
            return value
        if bypassed():
            return self._compute(n, Resume(table.first + len(table.base), list(reversed(table.base)), None))
        found = run_now(tables.look_up(self._engine.sync_ports(), table, n))
        if isinstance(found, Row):
            known: R = found.value
            return known
        return self._compute(n, found)

    def known(self) -> int:
        """Return the highest n in the table; the base's where there is none yet. Cost: 1 round trip."""
        return run_now(tables.highest(self._engine.sync_ports(), self._table))

    def invalidate_all(self) -> Receipt:
        """Forget the table: no call that starts after the receipt says `applied` uses a row from before. Cost: 1 round trip."""
        stamp = self._table.needs.tags[-1].key
        return run_now(operations.invalidate(self._engine.sync_ports(), [Target(None, stamp)]))

    def stats(self) -> FunctionStats:
        """Return what happened to this function's calls in this process. Computes are counted by row."""
        return self._engine.counters.stats(self._table.owner)

    def _compute(self, n: int, resume: Resume) -> R:
        """Compute the rows up to n, writing them as far as the table lets us."""
        previous, rows, first, fence = resume.previous, [], resume.row, resume.fence
        size, written_at = 0, time.monotonic()
        try:
            for row in range(resume.row, n + 1):
                started = time.perf_counter_ns()
                value = self._fn(row, *previous)
                self._engine.counters.computed(self._table.owner, (time.perf_counter_ns() - started) // 1000)
                previous = [value, *previous[:-1]]
                if fence is None:
                    continue
                packed = self._packed(value)
                if packed is None:
                    fence = None
                    continue
                rows.append(packed)
                size += len(packed)
                if size >= _CHUNK_BYTES or len(rows) >= _CHUNK_ROWS or time.monotonic() - written_at >= _CHUNK_S:
                    fence = self._write(fence, first, rows)
                    rows, first, size, written_at = [], row + 1, 0, time.monotonic()
        finally:
            if fence is not None and rows:
                self._write(fence, first, rows)
        result: R = previous[0]
        return result

    def _packed(self, value: R) -> bytes | None:
        try:
            return tables.pack_row(self._table.values, value)
        except UnencodableValue as error:
            self._engine.counters.unencodable(self._table.owner, error)
            return None

    def _write(self, fence: bytes, first: int, rows: list[bytes]) -> bytes | None:
        written = run_now(tables.extend(self._engine.sync_ports(), self._table, fence, first, rows))
        return fence if written else None


Recurrent: TypeAlias = Callable[[Callable[[int, R], R] | Callable[[int, R, R], R] | Callable[[int, R, R, R], R]], Recurrence[R]]


def recurrence(
    engine: Engine, base: Mapping[int, Any], *, name: str | None, ttl_ms: int | None
) -> Callable[[Callable[..., Any]], Recurrence[Any]]:
    """Return the decorator for these options.

    Raises:
        ConfigurationError: for a base that is empty or has a gap, and, when decorating, for a function that does not fit it.
    """
    first, values = _checked_base(base)

    def decorate(fn: Callable[..., Any]) -> Recurrence[Any]:
        owner = name or name_of(fn, engine.function_names)
        _check_function(fn, owner, len(values))
        identity = function_id(owner)
        namespace = engine.namespace
        needs = needs_of(namespace, namespace.tag_of(Namespace.function_tag(identity)))
        codec = CodecValues(codec_for(getattr(inspect.unwrap(fn), "__annotations__", {}).get("return")))
        table = Table(namespace.table(owner), needs, codec, owner, ttl_ms or MAX_TTL_MS, first, values)
        return Recurrence(engine, fn, table)

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
    if is_coroutine_function(fn):
        msg = f"{owner} is a coroutine function: recurrence() takes plain functions in this version."
        raise NotAvailable(msg)
    try:
        inspect.signature(fn).bind(*range(1 + order))
    except TypeError:
        msg = f"{owner} must take n and {order} previous value(s), nearest first, since its base has {order}: def f(n, …)."
        raise ConfigurationError(msg) from None
