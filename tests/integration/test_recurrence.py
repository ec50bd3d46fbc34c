"""Memo tables: rows of one hash that many callers extend together."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from afresh import Cache, ConfigurationError, UncachedWarning, UnencodableValue
from tests.support.servers import Server


@pytest.fixture(params=["memory", "valkey", "redis7"])
def cache(request: pytest.FixtureRequest, namespace: str) -> Any:
    url = "memory://" if request.param == "memory" else request.getfixturevalue(request.param).url
    with Cache(url, namespace=namespace, budget="10s") as cache:  # the machine may be busy
        yield cache


def factorial_of(cache: Cache, rows: list[int] | None = None, **options: Any) -> Any:
    @cache.recurrence(base={0: 1}, name="factorial", **options)
    def factorial(n: int, previous: int) -> int:
        if rows is not None:
            rows.append(n)
        return n * previous

    return factorial


def test_a_call_goes_on_from_what_is_known(cache: Cache) -> None:
    rows: list[int] = []
    factorial = factorial_of(cache, rows)

    assert factorial(900) == math.factorial(900)
    assert factorial(1000) == math.factorial(1000)
    assert rows == list(range(1, 1001))
    assert factorial(500) == math.factorial(500)
    assert len(rows) == 1000
    assert factorial.known() == 1000


def test_values_have_any_size(cache: Cache) -> None:
    factorial = factorial_of(cache)

    assert factorial(2000) == math.factorial(2000), "more digits than Python converts to decimal"
    assert factorial(1999) == math.factorial(1999)


def test_any_order_with_the_nearest_value_first(cache: Cache) -> None:
    @cache.recurrence(base={0: 0, 1: 1})
    def fibonacci(n: int, a: int, b: int) -> int:
        assert a >= b
        return a + b

    @cache.recurrence(base={1: Decimal(1), 2: Decimal(2), 3: Decimal("0.5")})
    def third(n: int, a: Decimal, b: Decimal, c: Decimal) -> Decimal:
        return a - b + c

    assert [fibonacci(n) for n in (0, 1, 2, 10)] == [0, 1, 1, 55]
    assert fibonacci(300) == fibonacci.__wrapped__(300, fibonacci(299), fibonacci(298))
    assert third(4) == Decimal("-0.5")
    assert third(40) == third.__wrapped__(40, third(39), third(38), third(37))


def test_values_of_any_type_come_back_as_they_were(cache: Cache) -> None:
    @cache.recurrence(base={0: ()})
    def path(n: int, previous: tuple[int, ...]) -> tuple[int, ...]:
        return (*previous, n)

    assert path(5) == path(5) == (1, 2, 3, 4, 5)
    assert path(0) == ()


def test_a_mutated_value_changes_nobody_elses(cache: Cache) -> None:
    @cache.recurrence(base={0: [0]})
    def rows(n: int, previous: list[int]) -> list[int]:
        return [*previous, n]

    rows(0).append(99)
    rows(3).append(99)

    assert rows(0) == [0]
    assert rows(3) == [0, 1, 2, 3]


def test_an_invalidated_table_is_computed_anew(cache: Cache) -> None:
    rows: list[int] = []
    factorial = factorial_of(cache, rows)
    factorial(10)

    assert factorial.invalidate_all().applied
    assert factorial.known() == 0
    factorial(10)
    assert len(rows) == 20
    cache.invalidate_all()
    factorial(10)
    assert len(rows) == 30


def test_rows_computed_from_before_an_invalidation_are_not_kept(cache: Cache) -> None:
    source = {"start": 1}

    @cache.recurrence(base={0: 0})
    def totals(n: int, previous: int) -> int:
        if n == 3 and source["start"] == 1:
            source["start"] = 100  # the truth changes, and the table is invalidated, while rows are being computed
            totals.invalidate_all()
        return previous + source["start"]

    assert totals(5) == 1 + 1 + 100 + 100 + 100, "the call under way began before"
    assert totals(5) == 500


def test_another_base_is_another_table(cache: Cache) -> None:
    factorial_of(cache)(10)

    @cache.recurrence(base={0: 2}, name="factorial")
    def doubled(n: int, previous: int) -> int:
        return n * previous

    assert doubled(10) == 2 * math.factorial(10)


def test_a_bounded_table_keeps_the_highest_rows(cache: Cache) -> None:
    rows: list[int] = []
    factorial = factorial_of(cache, rows, max_bytes="10kB")
    factorial(300)
    known = len(rows)

    assert factorial(300) == math.factorial(300)
    assert factorial(301) == math.factorial(301)
    assert len(rows) == known + 1, "it goes on from the highest"
    assert factorial(20) == math.factorial(20), "a row that was dropped is computed from the base"
    assert len(rows) == known + 1 + 20
    assert factorial.known() == 301


def test_coroutine_functions_have_tables_too(cache: Cache) -> None:
    rows: list[int] = []

    @cache.recurrence(base={0: 1}, name="factorial")
    async def factorial(n: int, previous: int) -> int:
        rows.append(n)
        await asyncio.sleep(0)
        return n * previous

    async def main() -> None:
        assert await asyncio.gather(*(factorial(50) for _ in range(20))) == [math.factorial(50)] * 20
        assert await factorial.known() == 50
        assert (await factorial.invalidate_all()).applied
        assert await factorial.known() == 0
        await cache.aio.aclose()

    asyncio.run(main())
    assert rows == list(range(1, 51))


def test_threads_of_one_process_compute_each_row_once(cache: Cache) -> None:
    rows: list[int] = []

    @cache.recurrence(base={0: 1})
    def slow(n: int, previous: int) -> int:
        rows.append(n)
        time.sleep(0.001)
        return n + previous

    threads = [threading.Thread(target=slow, args=(n,)) for n in (30, 40, 50) * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(rows) == list(range(1, 51))


def test_a_known_row_waits_for_nobody(cache: Cache) -> None:
    begun, end = threading.Event(), threading.Event()

    @cache.recurrence(base={0: 1}, name="factorial")
    def factorial(n: int, previous: int) -> int:
        if n == 20:
            begun.set()
            end.wait(10)
        return n * previous

    factorial(10)
    growing = threading.Thread(target=factorial, args=(30,))
    growing.start()
    try:
        assert begun.wait(10)
        started = time.monotonic()
        assert factorial(5) == math.factorial(5)
        assert time.monotonic() - started < 5
    finally:
        end.set()
        growing.join()


def test_bypass_computes_from_the_base(cache: Cache) -> None:
    rows: list[int] = []
    factorial = factorial_of(cache, rows)
    factorial(5)

    with cache.bypass():
        assert factorial(5) == 120
    assert rows == [1, 2, 3, 4, 5] * 2


def test_a_row_that_cannot_be_stored_ends_the_table_and_not_the_call(cache: Cache) -> None:
    @cache.recurrence(base={0: 0})
    def odd(n: int, previous: Any) -> Any:
        return object() if n == 3 else n

    with pytest.warns(UncachedWarning, match="odd"):
        assert odd(5) == 5
    assert odd.known() == 2


def test_rows_are_kept_when_a_compute_raises(cache: Cache) -> None:
    @cache.recurrence(base={0: 1})
    def fragile(n: int, previous: int) -> int:
        return previous // (7 - n)

    with pytest.raises(ZeroDivisionError):
        fragile(10)
    assert fragile.known() == 6


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({}, "must give the first values"),
        ({0: 1, 2: 3}, "base has a gap: 1 is missing"),
        ({-1: 1}, "from 0 up"),
        ({"0": 1}, "numbers"),
        ({True: 1}, "numbers"),
    ],
)
def test_a_base_that_cannot_be_one_is_refused(base: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Cache("memory://").recurrence(base=base)


def test_a_function_that_does_not_fit_its_base_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must take n and 2 previous value"):
        Cache("memory://").recurrence(base={0: 0, 1: 1})(lambda n, a: a)
    with pytest.raises(UnencodableValue):
        Cache("memory://").recurrence(base={0: object()})(lambda n, a: a)


def test_numbers_that_cannot_be_rows_are_refused() -> None:
    factorial = factorial_of(Cache("memory://"))

    with pytest.raises(TypeError, match="takes a whole number, not float"):
        factorial(5.0)
    with pytest.raises(TypeError, match="not bool"):
        factorial(True)
    with pytest.raises(ValueError, match="the base begins at 0"):
        factorial(-1)


def test_the_hash_reads_like_the_tutorials(valkey: Server, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        factorial_of(cache)(5)

    fields = valkey.command("HGETALL", f"{namespace}:h:{{factorial}}")
    del fields[b"g"]
    assert fields == {b"0": b"1", b"1": b"1", b"2": b"2", b"3": b"6", b"4": b"24", b"5": b"120", b"max": b"5"}


def test_foreign_data_under_the_name_is_replaced(valkey: Server, namespace: str) -> None:
    valkey.command("SET", f"{namespace}:h:{{factorial}}", "something else")

    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        factorial = factorial_of(cache)
        assert factorial(5) == 120
        assert factorial.known() == 5


def test_without_a_server_the_value_is_computed(namespace: str) -> None:
    with Cache("unix:///nowhere/socket", namespace=namespace) as cache:
        factorial = factorial_of(cache)

        assert factorial(20) == math.factorial(20)
        assert factorial.known() == 0
        assert not factorial.invalidate_all().applied


GROW = """
import sys
from afresh import Cache
cache = Cache(sys.argv[1], namespace=sys.argv[2], budget="10s")
rows = 0
@cache.recurrence(base={0: 1}, name="factorial")
def factorial(n: int, previous: int) -> int:
    global rows
    rows += 1
    return n * previous
for n in range(int(sys.argv[3]), 1000, 37):
    factorial(n)
print(rows)
cache.close()
"""


def test_twenty_growing_processes_leave_no_gap(server: Server, namespace: str) -> None:
    command = [sys.executable, "-c", GROW, server.url, namespace]
    processes = [subprocess.Popen([*command, str(start)], stdout=subprocess.PIPE, text=True) for start in range(1, 21)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]

    assert all(process.returncode == 0 for process in processes)
    fields = server.command("HGETALL", f"{namespace}:h:{{factorial}}")
    highest = int(fields[b"max"])
    assert {int(name) for name in fields if name.isdigit()} == set(range(highest + 1))
    assert all(int(fields[b"%d" % n]) == math.factorial(n) for n in range(highest + 1))
    print(f"{sum(map(int, outputs))} rows computed by 20 processes for {highest}")
