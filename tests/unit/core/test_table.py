from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, strategies as st

from afresh.core import ops, table as tables
from afresh.core.stamps import needs_of
from afresh.core.table import Growth, Resume, Row, Table, digest_of
from afresh.errors import StoreRefused, StoreUnavailable, UndecodablePayload, UnencodableValue
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import FUNCTION, NAMESPACE, VALUES, Scripted, somebody_else

DOWN = StoreUnavailable("down")
FULL = StoreRefused("OOM", "full")


@pytest.fixture
def world() -> Scripted:
    return Scripted()


def a_table(*base: Any, first: int = 0, max_bytes: int = 0) -> Table:
    rows = tuple(tables.pack_row(VALUES, value) for value in base or (1,))
    return Table(
        NAMESPACE.table("f"), needs_of(NAMESPACE, FUNCTION), VALUES, "f", 60_000, max_bytes, first, rows, digest_of(first, rows, max_bytes)
    )


def obtain(world: Scripted, n: int, table: Table | None = None) -> Row | Resume:
    found = run_now(tables.obtain(world.ports, table or a_table(), n))
    if isinstance(found, Resume) and found.flight is not None:
        found.flight.finish(None)
    return found


def grow(world: Scripted, *values: Any, table: Table | None = None) -> Growth:
    """Write rows after those that are there."""
    table = table or a_table()
    found = obtain(world, 10**9, table)
    assert isinstance(found, Resume)
    growth = Growth(table, found.row, found.fence, world.ticks_us())
    for value in values:
        growth.add(value, world.ticks_us())
    run_now(tables.write(world.ports, growth))
    return growth


def fields(world: Scripted, *names: str) -> list[bytes | None]:
    found: list[bytes | None] = world.ask(ops.HashGet(a_table().key, names))
    return found


# --- rows ----------------------------------------------------------------------------------------------------------
@given(
    value=st.one_of(st.integers(), st.text(), st.binary(), st.none(), st.booleans(), st.floats(allow_nan=False), st.lists(st.integers()))
)
def test_a_row_comes_back_as_it_was(value: object) -> None:
    row = tables.unpack_row(a_table(), tables.pack_row(VALUES, value))

    assert (row, type(row)) == (value, type(value))


def test_an_integers_row_is_its_digits() -> None:
    assert tables.pack_row(VALUES, -120) == b"-120"


@given(row=st.binary(max_size=20))
def test_any_bytes_are_a_row_or_do_not_decode(row: bytes) -> None:
    try:
        tables.unpack_row(a_table(), row)
    except UndecodablePayload:
        return


# --- looking -------------------------------------------------------------------------------------------------------
def test_a_table_is_begun_and_grows(world: Scripted) -> None:
    first = obtain(world, 5)
    assert isinstance(first, Resume)
    assert (first.row, first.previous) == (1, [1])

    grow(world, 10, 20)

    assert obtain(world, 0) == Row(1)
    assert obtain(world, 2) == Row(20)
    again = obtain(world, 5)
    assert isinstance(again, Resume)
    assert (again.row, again.previous) == (3, [20])
    assert run_now(tables.highest(world.ports, a_table())) == 2
    assert world.is_idle


def test_the_values_before_a_row_are_nearest_first(world: Scripted) -> None:
    table = a_table("a", "b", first=7)
    grow(world, "c", table=table)

    found = obtain(world, 99, table)

    assert isinstance(found, Resume)
    assert (found.row, found.previous) == (10, ["c", "b"])


def test_a_row_beneath_those_that_are_kept_is_computed_from_the_base(world: Scripted) -> None:
    table = a_table(max_bytes=4)
    grow(world, 1111, 2222, 3333, table=table)

    found = obtain(world, 1, table)

    assert isinstance(found, Resume)
    assert (found.row, found.previous, found.fence) == (1, [1], None)
    assert obtain(world, 3, table) == Row(3333)


@pytest.mark.parametrize(
    "happens",
    [
        ops.Bump(FUNCTION.key, FUNCTION.writers, b"renewed-"),
        ops.Unlink(FUNCTION.key),
        ops.Unlink(a_table().key),
        ops.Put(a_table().key, "l", b"foreign", 0),
        ops.TableStart(a_table().key, b"", b"foreign fence", 60_000, 0, (b"1", b"2")),
    ],
    ids=["invalidated", "stamp evicted", "evicted", "foreign string", "foreign hash"],
)
def test_a_table_that_is_not_ours_is_begun_anew(world: Scripted, happens: ops.Op) -> None:
    grow(world, 10, 20)
    if isinstance(happens, ops.TableStart):
        world.ask(ops.Unlink(a_table().key))
    world.ask(happens)
    assert run_now(tables.highest(world.ports, a_table())) == 0

    found = obtain(world, 2)

    assert isinstance(found, Resume)
    assert (found.row, found.previous) == (1, [1])
    assert fields(world, "0", "1", "max") == [b"1", None, b"0"]


def test_a_table_of_another_base_or_with_a_bound_is_another_one(world: Scripted) -> None:
    grow(world, 10)

    for other in (a_table(2), a_table(1, first=1), a_table(max_bytes=100)):
        found = obtain(world, 1 + other.first, other)
        assert isinstance(found, Resume)
        assert found.row == other.next


@pytest.mark.parametrize("row", [b"", b"junk", b"=", b"=\x02\x00junk"])
def test_a_row_that_does_not_decode_begins_the_table_anew(world: Scripted, row: bytes) -> None:
    grow(world, 10)
    (fence,) = fields(world, "g")
    world.ask(ops.TableExtend(a_table().key, fence, 60_000, 0, 1, 2, (row,)))

    assert isinstance(obtain(world, 2), Resume)
    assert fields(world, "0", "1", "2") == [b"1", None, None]


@pytest.mark.parametrize("row", [b"", b"junk"])
def test_a_highest_row_that_does_not_decode_begins_the_table_anew(world: Scripted, row: bytes) -> None:
    grow(world, 10)
    (fence,) = fields(world, "g")
    world.ask(ops.TableExtend(a_table().key, fence, 60_000, 0, 1, 2, (row,)))

    found = obtain(world, 9)

    assert isinstance(found, Resume)
    assert (found.row, found.previous) == (1, [1])


@pytest.mark.parametrize("top", [b"junk", b"", b"-1", b"1.5"])
def test_a_highest_row_that_is_no_number_begins_the_table_anew(world: Scripted, top: bytes) -> None:
    grow(world, 10)
    held, until = world.memory._data[a_table().key]
    world.memory._data[a_table().key] = ({**held, b"max": top}, until)
    assert run_now(tables.highest(world.ports, a_table())) == 0

    found = obtain(world, 9)

    assert isinstance(found, Resume)
    assert (found.row, found.previous) == (1, [1])


def test_a_table_that_others_begin_anew_in_between_is_looked_at_again(world: Scripted) -> None:
    """Its fence is another one by the time its highest rows are read."""
    grow(world, 10)
    looks = 0

    def begin_anew() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:  # the look, the leader's look, the leader's rows
            world.ask(ops.Unlink(a_table().key))

    world.before[ops.HashGet] = begin_anew

    found = obtain(world, 9)

    assert isinstance(found, Resume)
    assert (found.row, found.previous) == (1, [1])


def test_a_table_that_others_begin_anew_again_and_again_is_computed_from_the_base(world: Scripted) -> None:
    numbers = iter(range(1000))

    def begin_anew() -> None:
        world.ask(ops.Unlink(a_table().key))
        world.ask(ops.TableStart(a_table().key, b"", b"fence %d" % next(numbers), 60_000, 0, (b"1",)))

    world.before[ops.TableStart] = begin_anew

    found = obtain(world, 9)

    assert isinstance(found, Resume)
    assert (found.row, found.fence) == (1, None)


def test_a_row_that_others_wrote_meanwhile_is_taken(world: Scripted) -> None:
    """Between the look and the lead somebody else has extended the table."""
    grow(world, 10)
    others = Scripted()
    others.memory = world.memory
    looks = 0

    def extend() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            grow(others, 20)

    world.before[ops.HashGet] = extend

    assert obtain(world, 2) == Row(20)
    assert world.is_idle


def test_who_waits_in_vain_looks_once_more(world: Scripted) -> None:
    flight = world.table.enter(a_table().key, 0, somebody_else)
    grown = Scripted()
    grown.memory = world.memory
    grow(grown, 10)
    world.ticks_us = lambda: 0 if world.asked == [] else 10**12  # type: ignore[method-assign]  # the time is up at once

    found = run_now(tables.obtain(world.ports, a_table(), 5))

    assert isinstance(found, Resume)
    assert (found.row, found.previous, found.flight) == (2, [10], None)
    assert flight.leads


def test_who_waited_looks_again(world: Scripted) -> None:
    flight = world.table.enter(a_table().key, 0, somebody_else)
    others = Scripted()
    others.memory = world.memory

    def extend_and_end() -> None:
        grow(others, 10)
        flight.finish(None)

    ending = threading.Timer(0.02, extend_and_end)
    world.before[ops.HashGet] = lambda: None if ending.is_alive() or flight.cabin.seats is None else ending.start()

    assert obtain(world, 1) == Row(10)
    ending.join()


def test_a_caller_that_must_not_wait_looks_for_itself(world: Scripted) -> None:
    flight = world.table.enter(a_table().key, 0, somebody_else)
    flight.start_compute()

    found = run_now(tables.obtain(world.ports, a_table(), 5))

    assert isinstance(found, Resume)
    assert found.flight is None
    flight.end_compute()


# --- failures ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [ops.HashGet, ops.Stamp, ops.TableStart])
def test_without_a_server_rows_are_computed_from_the_base(world: Scripted, kind: type[ops.Op]) -> None:
    world.failing[kind] = DOWN

    found = obtain(world, 5)

    assert isinstance(found, Resume)
    assert (found.row, found.previous, found.fence) == (1, [1], None)
    assert world.is_idle
    assert world.tallies.stats("f").misses["unavailable"] == 1


def test_a_server_that_refuses_to_begin_a_table_is_a_failing_one(world: Scripted) -> None:
    world.refusing[ops.TableStart] = FULL

    found = obtain(world, 5)

    assert isinstance(found, Resume)
    assert found.fence is None


def test_a_stamp_that_is_refused_leaves_rows_unwritten(world: Scripted) -> None:
    world.refusing[ops.Stamp] = FULL

    found = obtain(world, 5)

    assert isinstance(found, Resume)
    assert found.fence is None


def test_without_a_server_the_base_is_what_is_known(world: Scripted) -> None:
    grow(world, 10)
    world.failing[ops.HashGet] = DOWN

    assert run_now(tables.highest(world.ports, a_table())) == 0


def test_an_interrupted_leader_leaves_nobody_waiting(world: Scripted) -> None:
    looks = 0

    def interrupt() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise KeyboardInterrupt

    world.before[ops.HashGet] = interrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(world, 5)

    assert world.is_idle


# --- growing -------------------------------------------------------------------------------------------------------
def test_rows_are_written_once_they_are_many_large_or_old(world: Scripted) -> None:
    def new() -> Growth:
        return Growth(a_table(), 1, b"fence", 0)

    many, large, old = new(), new(), new()

    assert [many.add(1, 0) for _ in range(1000)] == [False] * 999 + [True]
    assert large.add(10**400_000, 0) is True
    assert old.add(1, 249_999) is False
    assert old.add(1, 250_000) is True


def test_without_a_fence_nothing_is_kept(world: Scripted) -> None:
    growth = Growth(a_table(), 1, None, 0)

    assert growth.add(1, 10**9) is False
    run_now(tables.write(world.ports, growth))

    assert growth.rows == []
    assert world.asked == []


def test_after_a_row_that_cannot_be_stored_none_is_kept(world: Scripted) -> None:
    obtain(world, 5)
    growth = grow(world)
    growth.add(10, 0)
    with pytest.raises(UnencodableValue):
        growth.add(object(), 0)
    assert growth.add(30, 10**9) is False

    run_now(tables.write(world.ports, growth))

    assert fields(world, "1", "2", "3", "max") == [b"10", None, None, b"1"]


@pytest.mark.parametrize("way", ["failing", "refusing"])
def test_rows_that_the_server_does_not_take_end_the_growth(world: Scripted, way: str) -> None:
    growth = grow(world)
    getattr(world, way)[ops.TableExtend] = FULL
    growth.add(10, 0)

    run_now(tables.write(world.ports, growth))

    assert growth.fence is None
    assert growth.add(20, 10**9) is False
    assert world.tallies.stats("f").not_stored == {"the table is another one by now, or the server failed": 1}


def test_rows_of_another_table_are_refused(world: Scripted) -> None:
    growth = grow(world)
    growth.add(10, 0)
    world.ask(ops.Bump(FUNCTION.key, FUNCTION.writers, b"renewed-"))
    obtain(world, 1)

    run_now(tables.write(world.ports, growth))

    assert growth.fence is None
    assert fields(world, "1") == [None]


def test_who_has_uncommitted_writes_is_given_rows_and_writes_none() -> None:
    resume = tables._unwritten(Resume(1, [1], b"fence"))
    assert isinstance(resume, Resume)
    assert resume.fence is None
    assert tables._unwritten(Row(6)) == Row(6)
