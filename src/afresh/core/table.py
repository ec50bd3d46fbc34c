"""Memo tables: f(0), f(1), … as fields of one hash, extended by many processes without gaps.

Fields: the row numbers; `max`, the highest row; `g`, the fence: a random id, a digest of the base, and the stamps under which the table
was begun, as hex; with a bound, `min`, the lowest row kept, and `bytes`, the size of all rows. `HGETALL` reads like the tutorial's dict.
A row is an integer's digits, or ``=``, codec, flags and payload.

Rules: rows are written only under the fence that the writer resumed from, and only if they leave no gap (table_extend.lua); a reader
believes a table whose fence carries its own base and the stamps of now. So rows computed from rows of before an invalidation are refused
with the old fence, and a table is begun anew by whoever comes first (table_start.lua compares the fence that was seen).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from afresh.core.budget import one_call, spent_us
from afresh.core.decide import Cause
from afresh.core.digest import blake2b
from afresh.core.envelope import Entry
from afresh.core.flows import new_stamps
from afresh.core.ops import HashGet, TableExtend, TableStart
from afresh.core.policy import WAIT_MS
from afresh.core.ports import Flight, Ports, Values
from afresh.core.reads import are_withheld
from afresh.core.stamps import Needs
from afresh.errors import StoreError, UndecodablePayload, UnencodableValue

__all__ = [
    "Growth",
    "Resume",
    "Row",
    "Table",
    "digest_of",
    "from_base",
    "highest",
    "obtain",
    "pack_row",
    "row_in",
    "row_read",
    "unpack_row",
    "write",
]

# A call writes what it has computed once it is this much, so that others can go on from there.
_CHUNK_BYTES = 256 * 1024
_CHUNK_ROWS = 1000
_CHUNK_US = 250_000
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
    max_bytes: int
    first: int
    base: tuple[bytes, ...]
    digest: bytes

    @property
    def next(self) -> int:
        """The first row that must be computed."""
        return self.first + len(self.base)


def digest_of(first: int, base: tuple[bytes, ...], max_bytes: int) -> bytes:
    """Return what tells this base, and having a bound, from another one."""
    return blake2b(repr((first, base, bool(max_bytes))).encode(), digest_size=_ID_BYTES).digest()


class Row(NamedTuple):
    """A value that was in the table."""

    value: Any


class Resume:
    """Where to go on from: `previous` are the values before row `row`, nearest first. Without a fence nothing may be written."""

    __slots__ = ("fence", "flight", "previous", "row")

    def __init__(self, row: int, previous: list[Any], fence: bytes | None) -> None:
        self.row = row
        self.previous = previous
        self.fence = fence
        self.flight: Flight | None = None


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


async def obtain(ports: Ports, table: Table, n: int) -> Row | Resume:
    """Return row `n`, or where to compute from; the caller then finishes the flight that it leads. Never raises for the server.

    While somebody else in the process extends the table it waits, for at most 10 s, and looks again.

    Cost: 1 round trip for a row; 3 to resume, 4 to begin the table.
    """
    asked_us = ports.clock.ticks_us() - spent_us(ports)
    deadline_us = asked_us + 1000 * WAIT_MS
    if ports.withheld and are_withheld(ports, table.needs):
        ports.events.miss(table.owner, Cause.WITHHELD)
        return from_base(table, None)
    try:
        while True:
            found = await _look(ports, table, n)  # first of all: a row that is there waits for nobody
            if isinstance(found, Row):
                return found
            if not spent_us(ports):
                ports = one_call(ports, ports.clock.ticks_us() - asked_us)
            place = ports.flights.enter(table.key, ports.flights.arrive())
            if place is not None and place.leads:
                return await _lead(ports, table, n, place)
            if place is None:
                return _unwritten(await _look_up(ports, table, n))
            if await ports.flights.wait(place, (deadline_us - ports.clock.ticks_us()) / 1000) is None:
                return await _look_up(ports, table, n)
    except StoreError as error:
        ports.events.suppressed("read", error)
    ports.events.miss(table.owner, Cause.UNAVAILABLE)
    return from_base(table, None)


async def _lead(ports: Ports, table: Table, n: int, flight: Flight) -> Row | Resume:
    """Look again, since somebody else may have extended the table between our look and our lead."""
    try:
        found = await _look_up(ports, table, n)
    except BaseException:
        flight.finish(None)
        raise
    if isinstance(found, Row):
        flight.finish(None)
    else:
        found.flight = flight
    return found


def _unwritten(found: Row | Resume) -> Row | Resume:
    """Have nothing written by who has uncommitted writes, on which the rows may rest; nor by who computes within its own computation."""
    if isinstance(found, Resume):
        found.fence = None
    return found


async def _look_up(ports: Ports, table: Table, n: int) -> Row | Resume:
    """Look until nobody begins the table anew in between; then compute from the base."""
    for _ in range(_TRIES):
        found = await _try(ports, table, n)
        if found is not None:
            return found
    return from_base(table, None)


def from_base(table: Table, fence: bytes | None) -> Resume:
    """Return the beginning."""
    return Resume(table.next, [unpack_row(table, row) for row in reversed(table.base)], fence)


def _top(table: Table, top: bytes | None, fence: bytes | None, vector: bytes | None) -> int | None:
    """Return the highest row; None if the fence is not that of this table as it is now, or somebody else wrote something there."""
    if top is None or fence is None or vector is None or not top.isdigit():
        return None
    return int(top) if fence[2 * _ID_BYTES :] == (table.digest + vector).hex().encode() else None


class _Absent(NamedTuple):
    """The row is not there. Without `top`, the highest row, nor is a table to resume from; `fence` is what is there instead."""

    cause: Cause
    fence: bytes
    top: int | None


def row_read(table: Table, n: int) -> HashGet:
    """Return what reads row `n`, and what says whether it is to be believed."""
    return HashGet(table.key, (str(n), "max", "g"))


def row_in(table: Table, replies: Sequence[Any]) -> Row | _Absent:
    """Return the row, or why it is not there, from the replies to `row_read` and to GETs of the stamps that the table needs."""
    fields, *stamps = replies
    row, told, fence = (None, None, None) if isinstance(fields, StoreError) else fields
    top = _top(table, told, fence, table.needs.vector(stamps))
    if top is None or fence is None:
        return _Absent(Cause.COLD if fence is None else Cause.INVALIDATED, fence or b"", None)
    if row is None:
        return _Absent(Cause.COLD, fence, top)
    try:
        return Row(unpack_row(table, row))
    except UndecodablePayload:
        return _Absent(Cause.UNDECODABLE, fence, None)


async def _look(ports: Ports, table: Table, n: int) -> Row | _Absent:
    found = row_in(table, await ports.store.flight((row_read(table, n), *table.needs.reads)))
    if isinstance(found, Row):
        ports.events.hit(table.owner)
    return found


async def _try(ports: Ports, table: Table, n: int) -> Row | Resume | None:
    """Look once, and begin the table if there is none; None if it was begun anew by others meanwhile."""
    found = await _look(ports, table, n)
    if isinstance(found, Row):
        return found
    ports.events.miss(table.owner, found.cause)
    if found.top is None:
        return await _begin(ports, table, found.fence)
    if n <= found.top:  # below the rows that a bounded table has kept
        return from_base(table, None)
    return await _resume(ports, table, found.fence, found.top)


async def _resume(ports: Ports, table: Table, fence: bytes, top: int) -> Resume | None:
    rows = range(top, top - len(table.base), -1)
    (fields,) = await ports.store.flight((HashGet(table.key, ("g", *map(str, rows))),))
    if isinstance(fields, StoreError) or fields[0] != fence:
        return None
    try:
        return Resume(top + 1, [unpack_row(table, row) for row in fields[1:]], fence)
    except (UndecodablePayload, TypeError):  # a row that is not there is None
        return await _begin(ports, table, fence)


async def _begin(ports: Ports, table: Table, seen: bytes) -> Resume | None:
    stamps = await ports.store.flight(table.needs.stamping(new_stamps(ports, table.needs), 0))
    vector = table.needs.vector(stamps)
    if vector is None:
        return from_base(table, None)
    fence = (ports.token(_ID_BYTES) + table.digest + vector).hex().encode()
    (now,) = await ports.store.flight((TableStart(table.key, seen, fence, table.ttl_ms, table.first, table.base),))
    if isinstance(now, StoreError):
        raise now
    return from_base(table, fence) if now == fence else None


class Growth:
    """Rows that were computed and are to be written, under the fence that they were computed from."""

    __slots__ = ("fence", "first", "is_over", "rows", "size", "table", "written_us")

    def __init__(self, table: Table, first: int, fence: bytes | None, written_us: int) -> None:
        self.table = table
        self.first = first
        self.fence = fence
        self.written_us = written_us
        self.rows: list[bytes] = []
        self.size = 0
        self.is_over = False

    def add(self, value: object, now_us: int) -> bool:
        """Keep the next row. True if it is time to write.

        Raises:
            UnencodableValue: if it cannot be stored; nothing after it is kept, either.
        """
        if self.fence is None or self.is_over:
            return False
        try:
            row = pack_row(self.table.values, value)
        except UnencodableValue:
            self.is_over = True
            raise
        self.rows.append(row)
        self.size += len(row)
        return self.size >= _CHUNK_BYTES or len(self.rows) >= _CHUNK_ROWS or now_us - self.written_us >= _CHUNK_US


async def write(ports: Ports, growth: Growth) -> None:
    """Write the rows kept so far. Once the table is another one, or the server failed, nothing more is kept. Cost: 1 round trip."""
    table, rows, fence = growth.table, tuple(growth.rows), growth.fence
    if fence is None or not rows:
        return
    extend = TableExtend(table.key, fence, table.ttl_ms, table.max_bytes, len(table.base), growth.first, rows)
    growth.first, growth.rows, growth.size, growth.written_us = growth.first + len(rows), [], 0, ports.clock.ticks_us()
    try:
        if ports.withheld and are_withheld(ports, table.needs):
            written = 0
        else:
            (written,) = await ports.store.flight((extend,))
        if isinstance(written, StoreError):
            raise written
    except StoreError as error:
        ports.events.suppressed("extend", error)
        written = 0
    if not written:
        growth.fence = None
        ports.events.not_stored(table.owner, "the table is another one by now, or the server failed")


async def highest(ports: Ports, table: Table) -> int:
    """Return the highest row known; that of the base where there is no table, or no server. Cost: 1 round trip."""
    if ports.withheld and are_withheld(ports, table.needs):
        return table.next - 1
    try:
        fields, *stamps = await ports.store.flight((HashGet(table.key, ("max", "g")), *table.needs.reads))
    except StoreError as error:
        ports.events.suppressed("read", error)
        return table.next - 1
    told, fence = (None, None) if isinstance(fields, StoreError) else fields
    top = _top(table, told, fence, table.needs.vector(stamps))
    return table.next - 1 if top is None else top
