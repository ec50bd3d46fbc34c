"""Memo tables: f(0), f(1), … as fields of one hash, extended by many processes without gaps.

Fields: the row numbers; `max`, the highest row; `g`, the fence: a random id and the stamps under which the table was begun, as hex.
`HGETALL` reads like the tutorial's dict. A row is an integer's digits, or ``=``, codec, flags and payload.

Rules: rows are written only under the fence that the writer resumed from, and only if they leave no gap (table_extend.lua); a reader
believes a table whose fence carries the stamps of now. So rows computed from rows of before an invalidation are refused with the old
fence, and a table is begun anew by whoever comes first (table_start.lua compares the fence that was seen).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from afresh.core.decide import Cause
from afresh.core.envelope import Entry
from afresh.core.flows import new_stamps
from afresh.core.ops import HashGet, TableExtend, TableStart
from afresh.core.ports import Ports, Values
from afresh.core.stamps import Needs
from afresh.errors import StoreError, UndecodablePayload

__all__ = ["Resume", "Row", "Table", "extend", "highest", "look_up", "pack_row", "unpack_row"]

_OTHER = b"="
_HEAD_BYTES = 3
_ID_BYTES = 8
_TRIES = 5


class Table(NamedTuple):
    """One memo table, as its function sees it."""

    key: str
    needs: Needs
    values: Values
    owner: str
    ttl_ms: int
    first: int
    base: tuple[Any, ...]


@dataclass(slots=True)
class Row:
    """A value that was in the table."""

    value: Any


@dataclass(slots=True)
class Resume:
    """Where to go on from: `previous` are the values before row `row`, nearest first. Without a fence nothing may be written."""

    row: int
    previous: list[Any]
    fence: bytes | None


def pack_row(values: Values, value: object) -> bytes:
    """Return a row's bytes.

    Raises:
        UnencodableValue: if the value cannot be stored faithfully.
    """
    encoded = values.encode(value)
    return encoded.payload if encoded.codec == 1 else _OTHER + bytes((encoded.codec, encoded.flags)) + encoded.payload


def unpack_row(table: Table, row: bytes) -> Any:
    """Return a row's value.

    Raises:
        UndecodablePayload: for bytes that are none.
    """
    if row[:1] == _OTHER and len(row) >= _HEAD_BYTES:
        entry = Entry(row[2], row[1], 0, 0, 0, 0, 0, 0, _HEAD_BYTES, row)
    else:
        entry = Entry(0, 1, 0, 0, 0, 0, 0, 0, 0, row)
    return table.values.decode(table.key, entry)


async def look_up(ports: Ports, table: Table, n: int) -> Row | Resume:
    """Return row `n`, or where to compute from. Never raises for the server.

    Cost: 1 round trip for a row; 2 to resume, 3 to begin the table.
    """
    try:
        for _ in range(_TRIES):
            found = await _try(ports, table, n)
            if found is not None:
                if isinstance(found, Row):
                    ports.events.hit(table.owner)
                return found
    except StoreError as error:
        ports.events.suppressed("read", error)
    ports.events.miss(table.owner, Cause.UNAVAILABLE)
    return _from_base(table, None)


def _from_base(table: Table, fence: bytes | None) -> Resume:
    return Resume(table.first + len(table.base), list(reversed(table.base)), fence)


async def _try(ports: Ports, table: Table, n: int) -> Row | Resume | None:
    """Look once; None if the table was begun anew by others meanwhile."""
    fields, *stamps = await ports.store.flight((HashGet(table.key, (str(n), "max", "g")), *table.needs.reads))
    row, top, fence = (None, None, None) if isinstance(fields, StoreError) else fields
    vector = table.needs.vector(stamps)
    if fence is None or top is None or vector is None or fence[2 * _ID_BYTES :] != vector.hex().encode():
        ports.events.miss(table.owner, Cause.COLD if fence is None else Cause.INVALIDATED)
        return await _begin(ports, table, fence or b"")
    if row is not None:
        try:
            return Row(unpack_row(table, row))
        except UndecodablePayload:
            ports.events.miss(table.owner, Cause.UNDECODABLE)
            return await _begin(ports, table, fence)
    ports.events.miss(table.owner, Cause.COLD)
    return await _resume(ports, table, fence, int(top))


async def _resume(ports: Ports, table: Table, fence: bytes, top: int) -> Resume | None:
    rows = range(top, top - len(table.base), -1)
    (fields,) = await ports.store.flight((HashGet(table.key, ("g", *map(str, rows))),))
    if isinstance(fields, StoreError) or fields[0] != fence:
        return None
    try:
        return Resume(top + 1, [unpack_row(table, row) for row in fields[1:]], fence)
    except (UndecodablePayload, TypeError):
        return await _begin(ports, table, fence)


async def _begin(ports: Ports, table: Table, seen: bytes) -> Resume | None:
    stamps = await ports.store.flight(table.needs.stamping(new_stamps(ports, table.needs), 0))
    vector = table.needs.vector(stamps)
    if vector is None:
        return _from_base(table, None)
    fence = (ports.token(_ID_BYTES) + vector).hex().encode()
    rows = tuple(pack_row(table.values, value) for value in table.base)
    (now,) = await ports.store.flight((TableStart(table.key, seen, fence, table.ttl_ms, table.first, rows),))
    if isinstance(now, StoreError):
        raise now
    return _from_base(table, fence) if now == fence else None


async def extend(ports: Ports, table: Table, fence: bytes, first: int, rows: Sequence[bytes]) -> bool:
    """Write rows from `first` on. False if they were refused: the table is another one by now, or the server failed.

    Cost: 1 round trip.
    """
    try:
        (written,) = await ports.store.flight((TableExtend(table.key, fence, table.ttl_ms, first, tuple(rows)),))
        if isinstance(written, StoreError):
            raise written
    except StoreError as error:
        ports.events.suppressed("extend", error)
        return False
    if not written:
        ports.events.not_stored(table.owner, "invalidated meanwhile")
    return bool(written)


async def highest(ports: Ports, table: Table) -> int:
    """Return the highest row known; that of the base where there is no table, or no server. Cost: 1 round trip."""
    base = table.first + len(table.base) - 1
    try:
        fields, *stamps = await ports.store.flight((HashGet(table.key, ("max", "g")), *table.needs.reads))
    except StoreError as error:
        ports.events.suppressed("read", error)
        return base
    vector = table.needs.vector(stamps)
    if isinstance(fields, StoreError) or None in fields or vector is None or fields[1][2 * _ID_BYTES :] != vector.hex().encode():
        return base
    return int(fields[0])
