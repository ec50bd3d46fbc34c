"""Each option of memoize, each method of a handle, and memo tables: alike in both colours, on every tier."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import pytest

from afresh.testing import wait_until
from tests.corner_cases.arguments import Colour, Point

TIMEOUT_S = 20


class Source:
    """A function whose values are numbered by its calls."""

    def __init__(self, raises=None):
        self.calls = []
        self.raises = raises

    def function(self):
        def value(x=0):
            self.calls.append(x)
            if self.raises is not None:
                raise self.raises
            return len(self.calls)

        return value


@pytest.fixture
def source():
    return Source()


# --- what becomes of a result --------------------------------------------------------------------------------------
def test_a_declared_exception_is_kept_with_its_subclasses_and_arguments(memoize, run):
    missing = Source(raises=KeyError("a", 1))
    call = memoize(negative={LookupError: "1h"})(missing.function())

    for _ in range(3):
        with pytest.raises(KeyError) as raised:
            run(call())
        assert type(raised.value) is KeyError
        assert raised.value.args == ("a", 1)
    assert missing.calls == [0]
    assert run(call.invalidate()).applied
    missing.raises = None
    assert run(call()) == run(call()) == 2


def test_an_exception_that_is_not_declared_is_raised_each_time(memoize, run):
    failing = Source(raises=ValueError("a"))
    call = memoize(negative={LookupError: "1h"})(failing.function())

    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            run(call())
    assert len(failing.calls) == 2


def test_the_result_says_how_long_it_is_kept(memoize, run, source):
    call = memoize(ttl=lambda value: 0 if value < 3 else "1h")(source.function())

    assert [run(call()) for _ in range(4)] == [1, 2, 3, 3]
    assert run(call.peek()).value == 3


def test_an_old_result_is_served_while_one_computes(memoize, run, source):
    call = memoize(ttl="50ms", stale_ttl="1h")(source.function())
    assert run(call()) == 1
    time.sleep(0.06)

    assert run(call()) == 1
    wait_until(lambda: run(_later(call)) > 1, TIMEOUT_S, "the result that was computed behind the call")


async def _later(call):
    """Let tasks of the loop run before the call, which may be of either colour."""
    await asyncio.sleep(0.01)
    got = call()
    return await got if asyncio.iscoroutine(got) else got


def test_what_is_expired_is_served_once_more_and_what_is_invalidated_never(memoize, run, source):
    call = memoize(ttl="1h", stale_ttl="1h")(source.function())
    assert run(call()) == 1
    assert run(call.expire()).applied
    assert run(call()) == 1
    wait_until(lambda: run(_later(call)) == 2, TIMEOUT_S, "the result that was computed behind the call")
    assert run(call.invalidate()).applied
    assert run(call()) == 3


def test_share_hands_out_one_object_where_there_is_a_near_tier(memoize, run, tiers):
    def value():
        return [1]

    shared, copied = memoize(share=True, name="shared")(value), memoize(name="copied")(value)
    for call in (shared, copied):
        for _ in range(3):  # the near tier takes what was read from the server
            run(call())
    assert (run(shared()) is run(shared())) == (tiers == "near")
    assert run(copied()) is not run(copied())


# --- tags ----------------------------------------------------------------------------------------------------------
class Owner(NamedTuple):
    id: object


@pytest.mark.parametrize(
    ("template", "argument", "tag"),
    [
        ("user:{x}", 7, "user:7"),
        ("user:{x}", "seven", "user:seven"),
        ("user:{x.id}", Owner(7), "user:7"),
        ("user:{x.id.x}", Owner(Point("seven")), "user:seven"),
        ("colour:{x}", Colour.BLUE, "colour:1"),
        ("{{{x}}}", 7, "{7}"),
        ("plain", 7, "plain"),
    ],
)
def test_tag_templates_name_what_the_call_is_about(cache, memoize, run, template, argument, tag):
    computed = []

    @memoize(tags=[template])
    def call(x):
        computed.append(x)
        return len(computed)

    assert run(call(argument)) == run(call(argument)) == 1
    assert cache.invalidate_tags("another").applied
    assert run(call(argument)) == 1
    assert cache.invalidate_tags(tag).applied
    assert run(call(argument)) == 2


def test_methods_may_name_their_object_in_a_tag(cache, memoize, run):
    class Shop(NamedTuple):
        id: int

        def rating(self, x):
            return (self.id, next(numbers))

    numbers = iter(range(9))
    Shop.rating = memoize(tags=["shop:{self.id}", "x:{x}"], name="rating")(Shop.rating)
    one, other = Shop(1), Shop(2)
    assert [run(shop.rating(1)) for shop in (one, other, one)] == [(1, 0), (2, 1), (1, 0)]
    assert cache.invalidate_tags("shop:1").applied
    assert [run(shop.rating(1)) for shop in (one, other)] == [(1, 2), (2, 1)]
    assert cache.invalidate_tags("x:1").applied
    assert [run(shop.rating(1)) for shop in (one, other)] == [(1, 3), (2, 4)]


# --- the handle's own methods ---------------------------------------------------------------------------------------
def test_a_handle_looks_stores_computes_anew_and_counts(memoize, run, source):
    call = memoize(ttl="1h")(source.function())

    assert run(call.peek(1)) is None
    assert run(call.uncached(1)) == 1
    assert run(call.peek(1)) is None
    run(call.put(70, 1))
    assert run(call(1)) == run(call(x=1)) == 70
    assert run(call.peek(1)).value == 70
    assert run(call.refresh(1)) == 2
    assert run(call(1)) == 2
    assert run(call.options(read="redis", wait="1s")(1)) == 2
    assert run(call.invalidate_all()).applied
    assert run(call.peek(1)) is None
    assert run(call(1)) == 3
    stats = call.stats()
    assert (stats.computes, stats.hits, stats.misses) == (2, 4, {"invalidated": 1})


def test_a_refresh_that_raises_keeps_what_is_stored(memoize, run, source):
    call = memoize(ttl="1h")(source.function())
    assert run(call()) == 1
    source.raises = LookupError("a")

    with pytest.raises(LookupError):
        run(call.refresh())
    assert run(call()) == 1


# --- batches --------------------------------------------------------------------------------------------------------
@pytest.fixture
def prices(cache, coloured):
    calls = []

    def values(skus, currency="EUR"):
        calls.append(list(skus))
        return {sku: (sku, currency) for sku in skus if sku != "none"}

    return cache.memoize_many(ttl="1h", tags=["shop"], name="prices")(coloured(values)), calls


def test_a_batch_computes_what_is_missing_once(cache, prices, run):
    values, calls = prices

    assert run(values(["a", "b", "a"])) == {"a": ("a", "EUR"), "b": ("b", "EUR")}
    assert run(values(["c", "b"])) == {"c": ("c", "EUR"), "b": ("b", "EUR")}
    assert list(run(values(["c", "a", "b"]))) == ["c", "a", "b"]
    assert run(values([])) == {}
    assert calls == [["a", "b"], ["c"]]
    assert run(values(["a"], "USD")) == run(values(["a"], currency="USD")) == {"a": ("a", "USD")}
    assert run(values(["none"])) == {}
    assert calls[2:] == [["a"], ["none"]]
    assert run(values.invalidate(["a"])).applied
    assert run(values(["a", "b"])) == {"a": ("a", "EUR"), "b": ("b", "EUR")}
    run(values.put({"b": "put"}))
    assert run(values(("b",))) == {"b": "put"}
    assert cache.invalidate_tags("shop").applied
    assert run(values({"b": 1})) == {"b": ("b", "EUR")}
    assert calls[4:] == [["a"], ["b"]]


def test_ids_of_a_batch_are_told_apart_as_arguments_are(prices, run):
    values, calls = prices
    for ids in ([1], [1.5], ["1"], [b"1"], [(1,)], [None], [Colour.RED]):
        assert run(values(ids)) == {ids[0]: (ids[0], "EUR")}
        assert run(values(ids)) == {ids[0]: (ids[0], "EUR")}
    assert len(calls) == 7


# --- memo tables ------------------------------------------------------------------------------------------------------
@pytest.fixture
def recurrence(cache, coloured):
    return lambda function, **options: cache.recurrence(**options)(coloured(function))


def test_tables_of_any_order(recurrence, run):
    rows = []

    def tribonacci(n, a, b, c):
        rows.append(n)
        return a + b + c

    table = recurrence(tribonacci, base={0: 0, 1: 0, 2: 1})
    assert [run(table(n)) for n in (10, 3, 12, 0, 2, 12)] == [81, 1, 274, 0, 1, 274]
    assert rows == [*range(3, 13)]
    assert run(table.known()) == 12
    assert run(table.invalidate_all()).applied
    assert run(table(4)) == 2
    assert rows[10:] == [3, 4]


def test_a_table_begins_where_its_base_does(recurrence, run):
    table = recurrence(lambda n, previous: previous * 2, base={5: 1}, name="doubling")

    assert [run(table(n)) for n in (5, 6, 9)] == [1, 2, 16]


def test_a_bounded_table_goes_on_from_its_highest_rows(recurrence, run):
    rows = []

    def text(n, previous):
        rows.append(n)
        return f"{n}".ljust(1000)

    table = recurrence(text, base={0: ""}, max_bytes="16KiB")
    assert run(table(50)) == f"{50}".ljust(1000)
    assert run(table(52)) == f"{52}".ljust(1000)
    assert rows == [*range(1, 53)]
    assert run(table(3)) == f"{3}".ljust(1000), "what was dropped is computed again"


def test_a_table_ends_with_its_ttl(recurrence, run):
    rows = []

    def count(n, previous):
        rows.append(n)
        return previous + 1

    table = recurrence(count, base={0: 0}, ttl="100ms")
    assert run(table(3)) == 3
    time.sleep(0.15)
    assert run(table(3)) == 3
    assert rows == [1, 2, 3] * 2


def test_rows_before_one_that_raises_are_kept(recurrence, run):
    rows: list[Any] = []

    def fails_once(n, previous):
        rows.append(n)
        if rows == [1, 2, 3]:
            raise LookupError(n)
        return previous + 1

    table = recurrence(fails_once, base={0: 0})
    with pytest.raises(LookupError, match="3"):
        run(table(5))
    assert run(table.known()) == 2
    assert run(table(5)) == 5
    assert rows == [1, 2, 3, 3, 4, 5]
