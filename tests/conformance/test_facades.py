"""`Cache` and `Cache.aio` do the same, on every store."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from afresh import MISSING, AsyncCache, Cache, ConfigurationError, Entry, Near, NotAnInteger, Receipt, UncachedWarning, UnencodableValue
from afresh.testing import wait_until_async
from tests.conformance.facades import ColourlessCache
from tests.support.near import near_is_trusted


@pytest.fixture(params=["memory", "valkey", "redis7", "near"])
def tiers(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def url(request: pytest.FixtureRequest, tiers: str) -> str:
    return "memory://" if tiers == "memory" else request.getfixturevalue("valkey" if tiers == "near" else tiers).url


@pytest.fixture(params=["sync", "async"])
async def cache(request: pytest.FixtureRequest, url: str, tiers: str, namespace: str) -> AsyncIterator[ColourlessCache]:
    near = Near(max_stale="1h") if tiers == "near" else None
    both = Cache(url, namespace=namespace, ttl="1h", budget="10s", near=near)  # the machine may be busy
    if near is not None:
        near_is_trusted(both)
    yield ColourlessCache(both, request.param)
    await both.aio.aclose()


@dataclass
class Point:
    x: int
    y: float


class Calls(list[Any]):
    """A function that notes its calls, and returns how many there were and what it was called with."""

    def function(self, x: Any = 0, *, lang: str = "en") -> list[Any]:
        self.append(x)
        return [len(self), x, lang]


# --- values --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        -1,
        10**40,
        True,
        1.5,
        math.inf,
        "",
        "é\ud800",
        b"",
        bytes(300),
        [],
        [1, [2]],
        (1, 2),
        {"a": {1: None}},
        {1, 2},
        Point(1, 2.0),
    ],
    ids=repr,
)
async def test_what_was_set_comes_back_equal_and_of_its_type(cache: ColourlessCache, value: object) -> None:
    await cache.set("k", value)

    got = await cache.get("k")

    assert got == value
    assert type(got) is type(value)


async def test_a_hit_is_a_copy_of_its_own(cache: ColourlessCache) -> None:
    await cache.set("k", [1])
    (await cache.get("k")).append(2)

    assert await cache.get("k") == [1]


async def test_what_is_not_there_is_the_default(cache: ColourlessCache) -> None:
    assert await cache.get("k") is None
    assert await cache.get("k", 7) == 7
    assert await cache.get("k", MISSING) is MISSING
    assert await cache.ttl("k") is None


async def test_a_stored_none_is_not_what_is_not_there(cache: ColourlessCache) -> None:
    await cache.set("k", None)

    assert await cache.get("k", 7) is None
    assert await cache.get_many(["k", "m"]) == {"k": None}


async def test_a_value_of_another_type_than_asked_for_is_a_miss(cache: ColourlessCache) -> None:
    await cache.set("k", Point(1, 2.0))

    assert await cache.get("k", type=Point) == Point(1, 2.0)
    assert await cache.get("k", "nothing", type=int) == "nothing"


async def test_what_cannot_be_stored_faithfully_changes_nothing(cache: ColourlessCache) -> None:
    await cache.set("k", 1)

    for store in (cache.set, cache.add):
        with pytest.raises(UnencodableValue):
            await store("k", object())
    with pytest.raises(UnencodableValue):
        await cache.set_many({"k": 2, "m": object()})

    assert await cache.get_many(["k", "m"]) == {"k": 1}


@pytest.mark.parametrize("key", ["k", "k" * 1000, "a b{c}d", "é", "\x00", "*", "f:g:1"])
async def test_keys_may_be_any_text(cache: ColourlessCache, key: str) -> None:
    await cache.set(key, key)

    assert await cache.get(key) == key
    assert (await cache.invalidate(key)).applied
    assert await cache.get(key) is None


@pytest.mark.parametrize("key", ["", None, 1, b"k"])
async def test_what_is_no_key_is_refused(cache: ColourlessCache, key: object) -> None:
    for operation in (cache.get, cache.ttl, cache.touch, cache.incr, cache.invalidate):
        with pytest.raises((TypeError, ConfigurationError), match="a cache key is text of at least one character"):
            await operation(key)


# --- several at once -----------------------------------------------------------------------------------------------
async def test_many_values_are_stored_and_read(cache: ColourlessCache) -> None:
    values = {f"k{at}": at for at in range(100)}
    await cache.set_many(values, ttl="1m", tags=["all"])

    assert await cache.get_many([*values, "not there", "k1"]) == values
    assert (await cache.invalidate_tags("all")).applied
    assert await cache.get_many(values) == {}


async def test_nothing_at_all_is_fine(cache: ColourlessCache) -> None:
    await cache.set_many({})

    assert await cache.get_many([]) == {}
    assert (await cache.invalidate()).applied
    assert (await cache.invalidate_tags()).applied


async def test_entries_of_different_kinds_are_read_and_written_together(cache: ColourlessCache) -> None:
    """Calls of two functions, and keys with tags and without: each depends on other stamps."""

    def double(x: int) -> int:
        return 2 * x

    def point(x: int) -> Point:
        return Point(x, x)

    doubled, pointed = cache.memoized(double), cache.memoized(point)
    keys = [doubled.subject.key(1), pointed.subject.key(1), "tagged", "plain"]
    await doubled(1)
    await cache.set("tagged", 5, tags=["t"])
    await cache.set_many({"plain": 10**12, keys[0]: 20})

    found = await cache.get_many(keys)

    assert found[keys[0]] == 20
    assert found["tagged"] == 5
    assert found["plain"] == 10**12
    await cache.set_many({keys[0]: 30, "plain": 10**13})
    assert await cache.get_many([keys[0], "plain"]) == {keys[0]: 30, "plain": 10**13}
    await doubled.invalidate_all()
    assert await cache.get_many(keys) == {"tagged": 5, "plain": 10**13}


# --- lifetimes -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ttl", [60, "1m", timedelta(minutes=1), 60.0])
async def test_an_entry_is_fresh_for_its_ttl(cache: ColourlessCache, ttl: object) -> None:
    await cache.set("k", 1, ttl=ttl)

    left = await cache.ttl("k")

    assert 55 < left <= 60


async def test_an_entry_ends_with_its_ttl(cache: ColourlessCache) -> None:
    await cache.set("k", 1, ttl="50ms")

    async def is_gone() -> bool:
        return await cache.get("k") is None

    await wait_until_async(is_gone, 10, "the entry to end")
    assert await cache.ttl("k") is None


async def test_a_ttl_of_nothing_drops_what_is_there(cache: ColourlessCache) -> None:
    await cache.set("k", 1)
    await cache.set("k", 2, ttl=0)

    assert await cache.get("k") is None


async def test_a_touched_entry_has_the_new_ttl(cache: ColourlessCache) -> None:
    await cache.set("k", [1], ttl="1m", tags=["t"])

    assert await cache.touch("k", ttl="10m") is True
    assert 595 < await cache.ttl("k") <= 600
    assert await cache.touch("k", ttl="10s") is True
    assert await cache.ttl("k") <= 10
    assert await cache.touch("k") is True
    assert await cache.ttl("k") > 3500
    assert await cache.get("k") == [1]
    assert await cache.touch("k", ttl=0) is True
    assert await cache.get("k") is None


async def test_what_is_not_valid_is_not_touched(cache: ColourlessCache) -> None:
    await cache.set("k", 1, tags=["t"])
    await cache.invalidate_tags("t")

    assert await cache.touch("k") is False
    assert await cache.touch("never") is False
    assert await cache.get("k") is None


async def test_what_is_stale_is_not_touched(cache: ColourlessCache) -> None:
    """Else it would be served as fresh again, though its time is up, or somebody has ended it."""
    calls = Calls()
    function = cache.memoized(calls.function, name="f", stale_ttl="1h")
    await function(1)
    await cache.set("k", 1)

    await cache.expire("k", function.subject.key(1))
    await asyncio.sleep(0.05)  # the server's clock and what we know of it agree to some milliseconds

    assert await cache.touch(function.subject.key(1), ttl="1h") is False
    assert await cache.touch("k", ttl="1h") is False
    assert (await function.peek(1)).state == "stale"
    assert await cache.get(function.subject.key(1)) is None
    assert await cache.get("k") is None


@pytest.mark.parametrize("ttl", ["soon", -1, None, "5 m"])
async def test_what_is_no_ttl_is_refused(cache: ColourlessCache, ttl: object) -> None:
    with pytest.raises(ConfigurationError, match="ttl="):
        await cache.set("k", 1, ttl=ttl)
    with pytest.raises(ConfigurationError, match="ttl="):
        cache.memoized(lambda: 1, ttl=ttl)


# --- add, incr -----------------------------------------------------------------------------------------------------
async def test_one_add_succeeds(cache: ColourlessCache) -> None:
    assert await cache.add("k", 1) is True
    assert await cache.add("k", 2) is False
    assert await cache.get("k") == 1


async def test_an_add_takes_the_place_of_what_is_not_valid(cache: ColourlessCache) -> None:
    await cache.set("k", 1, tags=["t"])
    await cache.invalidate_tags("t")

    assert await cache.add("k", 2, tags=["t"]) is True
    assert await cache.get("k") == 2


async def test_an_add_for_no_time_stores_nothing(cache: ColourlessCache) -> None:
    assert await cache.add("k", 1, ttl=0) is True
    assert await cache.get("k") is None


async def test_numbers_count_from_nothing_to_any_size(cache: ColourlessCache) -> None:
    assert await cache.incr("n") == 1
    assert await cache.incr("n", 41) == 42
    assert await cache.incr("n", -50) == -8
    assert await cache.incr("n", 10**30) == 10**30 - 8
    assert await cache.incr("n", -(10**30)) == -8
    assert await cache.get("n") == -8


async def test_a_number_keeps_its_lifetime_and_a_new_one_gets_it(cache: ColourlessCache) -> None:
    await cache.incr("n", ttl="1m")
    assert 55 < await cache.ttl("n") <= 60

    await cache.incr("n", ttl="10m")

    assert await cache.ttl("n") <= 60
    await cache.invalidate("n")
    assert await cache.incr("n") == 1


@pytest.mark.parametrize("value", ["1", 1.0, True, None, [1]])
async def test_only_integers_are_counted(cache: ColourlessCache, value: object) -> None:
    await cache.set("n", value)

    with pytest.raises(NotAnInteger, match="does not hold an integer"):
        await cache.incr("n")
    assert await cache.get("n") == value


# --- compute -------------------------------------------------------------------------------------------------------
async def test_a_value_is_computed_once(cache: ColourlessCache) -> None:
    calls = Calls()

    for _ in range(3):
        assert await cache.get_or_compute("k", cache.coloured(calls.function)) == [1, 0, "en"]

    assert await cache.get("k") == [1, 0, "en"]


async def test_an_async_cache_computes_with_plain_functions_too(cache: ColourlessCache) -> None:
    assert await cache.get_or_compute("k", lambda: 1) == 1


async def test_a_ttl_may_depend_on_the_value(cache: ColourlessCache) -> None:
    assert await cache.get_or_compute("k", cache.coloured(lambda: 20), ttl=lambda value: value) == 20
    assert 15 < await cache.ttl("k") <= 20
    assert await cache.get_or_compute("none", cache.coloured(lambda: 0), ttl=lambda value: value) == 0
    assert await cache.get("none", "nothing") == "nothing"


async def test_what_a_compute_raises_is_raised_and_nothing_is_kept(cache: ColourlessCache) -> None:
    def fails() -> None:
        raise LookupError("it is gone")

    for _ in range(2):
        with pytest.raises(LookupError, match="it is gone"):
            await cache.get_or_compute("k", cache.coloured(fails))

    assert await cache.get_or_compute("k", cache.coloured(lambda: 1)) == 1


@pytest.mark.filterwarnings("default::afresh.errors.UncachedWarning")
async def test_a_value_that_cannot_be_stored_is_returned_with_a_warning(cache: ColourlessCache) -> None:
    value = object()

    with pytest.warns(UncachedWarning, match="not cached"):
        assert await cache.get_or_compute("k", cache.coloured(lambda: value)) is value
    assert await cache.get("k", "nothing") == "nothing"


# --- memoized functions --------------------------------------------------------------------------------------------
async def test_a_memoized_function_computes_once_for_each_call(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f")

    assert await function(7) == [1, 7, "en"]
    assert await function(x=7, lang="en") == [1, 7, "en"]
    assert await function(7, lang="fr") == [2, 7, "fr"]
    assert await function("7") == [3, "7", "en"]
    assert calls == [7, 7, "7"]


async def test_the_handle_does_what_it_says(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f")
    assert await function.peek(7) is None

    await function(7)
    entry = await function.peek(7)
    assert isinstance(entry, Entry)
    assert (entry.value, entry.state) == ([1, 7, "en"], "fresh")
    assert 0 <= entry.age_s < 60
    assert await cache.get(function.subject.key(7)) == [1, 7, "en"]

    assert await function.uncached(7) == [2, 7, "en"]
    assert await function.refresh(7) == [3, 7, "en"]
    assert await function(7) == [3, 7, "en"]

    await function.put(["put"], 7)
    assert await function(7) == ["put"]

    receipt = await function.invalidate(7)
    assert isinstance(receipt, Receipt)
    assert receipt.applied
    assert await function(7) == [4, 7, "en"]
    assert (await function.invalidate_all()).applied
    assert await function(7) == [5, 7, "en"]
    assert (await cache.invalidate(function.subject.key(7))).applied
    assert await function(7) == [6, 7, "en"]
    assert (await cache.invalidate_tags(function.subject.tag)).applied
    assert await function(7) == [7, 7, "en"]
    assert (await cache.invalidate_all()).applied
    assert await function(7) == [8, 7, "en"]


async def test_a_refresh_that_raises_leaves_what_is_there(cache: ColourlessCache) -> None:
    failing = False

    def sometimes() -> int:
        if failing:
            raise LookupError
        return 1

    function = cache.memoized(sometimes, name="f")
    await function()
    failing = True

    with pytest.raises(LookupError):
        await function.refresh()

    assert await function() == 1


async def test_statistics_tell_what_happened(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f")
    for x in (1, 1, 1, 2):
        await function(x)
    await function.invalidate(1)
    await function(1)

    stats = function.subject.stats()

    assert (stats.hits, stats.computes, stats.stale_hits) == (2, 3, 0)
    assert stats.misses == {"cold": 3}
    assert stats.compute_s >= 0
    assert cache.subject.stats()["f"] == stats


@pytest.mark.parametrize("options", [{"read": "redis"}, {"read": "near"}, {"wait": "1s"}, {"read": "redis", "wait": 0}])
async def test_other_options_are_the_same_function(cache: ColourlessCache, options: dict[str, Any]) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f")
    await function(7)

    assert await type(function)(function.subject.options(**options))(7) == [1, 7, "en"]


async def test_entries_end_by_their_tags(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f", tags=["all", "user:{x}", "lang:{lang}"])
    for x in (1, 2):
        await function(x)

    await cache.invalidate_tags("user:1")
    assert await function(2) == [2, 2, "en"]
    assert await function(1) == [3, 1, "en"]
    await cache.invalidate_tags("lang:fr", "of nobody")
    assert await function(2) == [2, 2, "en"]
    await cache.invalidate_tags("all")
    assert await function(2) == [4, 2, "en"]


async def test_tags_may_depend_on_the_call(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f", tags=lambda x, lang: [f"{lang}:{at}" for at in range(x)])
    await function(3)

    await cache.invalidate_tags("en:3")
    assert await function(3) == [1, 3, "en"]
    await cache.invalidate_tags("en:2")
    assert await function(3) == [2, 3, "en"]


async def test_an_argument_that_is_ignored_names_no_entry(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f", ignore=["lang"])

    assert await function(7, lang="en") == [1, 7, "en"]
    assert await function(7, lang="fr") == [1, 7, "en"]


async def test_calls_that_share_an_entry_but_not_their_tags_never_share_too_much(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f", ignore=["lang"], tags=["lang:{lang}"])
    await function(7, lang="en")

    assert await function(7, lang="fr") == [2, 7, "fr"], "an entry that does not end with lang:fr is none for this call"
    await cache.invalidate_tags("lang:fr")
    assert await function(7, lang="fr") == [3, 7, "fr"]


async def test_a_key_of_ones_own_names_the_entry(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f", key=lambda x, lang: str(x).lower())

    assert await function("A") == [1, "A", "en"]
    assert await function("a", lang="fr") == [1, "A", "en"]


async def test_versions_share_nothing(cache: ColourlessCache) -> None:
    calls = Calls()
    old, new = (cache.memoized(calls.function, name="f", version=version) for version in (1, 2))

    assert await old(7) == [1, 7, "en"]
    assert await new(7) == [2, 7, "en"]
    await new.invalidate_all()
    assert await old(7) == [1, 7, "en"]


async def test_methods_are_bound_to_their_object(cache: ColourlessCache) -> None:
    calls: list[str] = []

    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def __cache_key__(self) -> str:
            return self.name

        @cache.subject.memoize(tags=["shop:{self.name}"], name="price")
        @cache.coloured
        def price(self, sku: int) -> str:
            calls.append(self.name)
            return f"{self.name}:{sku}"

    one, two = Shop("one"), Shop("two")
    ask = ColourlessCache._awaited
    for _ in range(2):
        assert await ask(one.price)(1) == "one:1"
        assert await ask(two.price)(1) == "two:1"
    assert calls == ["one", "two"]

    await cache.invalidate_tags("shop:one")
    await ask(two.price.invalidate)(2)

    assert await ask(one.price)(1) == "one:1"
    assert await ask(two.price)(1) == "two:1"
    assert calls == ["one", "two", "one"]


async def test_a_stale_entry_is_served_while_it_may_be(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f", ttl="1ms", stale_ttl="1h")
    await function(7)

    async def is_stale() -> bool:
        entry = await function.peek(7)
        return entry is not None and entry.state == "stale"

    await wait_until_async(is_stale, 10, "the entry to be stale")
    assert await function(7) == [1, 7, "en"], "who finds it stale is served, too"

    async def is_renewed() -> bool:
        entry = await function.peek(7)
        return entry is not None and entry.value != [1, 7, "en"]

    await wait_until_async(is_renewed, 10, "somebody behind it to compute")
    await function.invalidate(7)
    assert await function.peek(7) is None, "an invalidated value is not stale: it is gone"


# --- bypass --------------------------------------------------------------------------------------------------------
async def test_a_bypassed_call_computes_and_stores_nothing(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f")
    await cache.set("k", "stored")
    await function(1)

    with cache.subject.bypass():
        assert await function(1) == [2, 1, "en"]
        assert await function(2) == [3, 2, "en"]
        assert await cache.get("k", "nothing") == "nothing"
        assert await cache.get_many(["k"]) == {}
        assert await cache.get_or_compute("k", cache.coloured(lambda: "computed")) == "computed"
        await cache.set("k", "new")
        assert await cache.add("m", 1) is False
        assert await cache.touch("k") is False
        await function.put(["put"], 1)

    assert await function(1) == [1, 1, "en"]
    assert await function.peek(2) is None
    assert await cache.get_many(["k", "m"]) == {"k": "stored"}


async def test_while_bypassed_nothing_seems_to_be_stored(cache: ColourlessCache) -> None:
    function = cache.memoized(Calls().function, name="f")
    await function(1)
    await cache.set("n", 5)
    assert await cache.incr("n") == 6

    with cache.subject.bypass():
        assert await function.peek(1) is None
        assert await cache.ttl("n") is None
        assert await cache.incr("n", 3) == 3

    assert await function.peek(1) is not None
    assert await cache.incr("n") == 7


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("how", ["environment", "context"])
async def test_a_cache_without_a_url_works_as_long_as_it_is_bypassed(
    colour: str, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a test run or a build, where there is no server."""
    monkeypatch.delenv("AFRESH_URL", raising=False)
    cache = ColourlessCache(Cache(), colour)
    function = cache.memoized(Calls().function, name="f")
    if how == "environment":
        monkeypatch.setenv("AFRESH_DISABLED", "1")

    with cache.subject.bypass() if how == "context" else nullcontext():
        assert await function(1) == [1, 1, "en"]
        assert await function.refresh(1) == [2, 1, "en"]
        assert await function.peek(1) is None
        assert await cache.get("k", "nothing") == "nothing"
        assert await cache.get_many(["k"]) == {}
        await cache.set("k", 1)
        await cache.set_many({"k": 1})
        assert [await cache.add("k", 1), await cache.touch("k"), await cache.ttl("k"), await cache.incr("k")] == [False, False, None, 1]
        assert await cache.get_or_compute("k", cache.coloured(lambda: "computed")) == "computed"
        receipts = [
            await cache.invalidate("k"),
            await cache.invalidate_tags("t"),
            await cache.invalidate_all(),
            await function.invalidate(1),
        ]

    assert not any(receipt.applied for receipt in receipts), "there may be entries on the server that nobody has named"
    assert "name their server in AFRESH_URL" in caplog.text
    monkeypatch.delenv("AFRESH_DISABLED", raising=False)
    with pytest.raises(ConfigurationError, match="AFRESH_URL is not set"):
        await cache.get("k")


async def test_a_bypassed_refresh_stores_nothing(cache: ColourlessCache) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f")
    await function(1)

    with cache.subject.bypass():
        assert await function.refresh(1) == [2, 1, "en"]

    assert await function(1) == [1, 1, "en"]


async def test_invalidations_work_while_bypassed(cache: ColourlessCache) -> None:
    await cache.set("k", 1)
    await cache.set("m", 1, tags=["t"])

    with cache.subject.bypass():
        assert (await cache.invalidate("k")).applied
        assert (await cache.invalidate_tags("t")).applied

    assert await cache.get_many(["k", "m"]) == {}


@pytest.mark.parametrize(("setting", "is_disabled"), [("1", True), ("yes", True), ("0", False), ("", False)])
async def test_the_environment_disables_a_cache(
    cache: ColourlessCache, setting: str, is_disabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls()
    function = cache.memoized(calls.function, name="f")
    await function(1)
    monkeypatch.setenv("AFRESH_DISABLED", setting)

    assert await function(1) == [1 + is_disabled, 1, "en"]


# --- memo tables ---------------------------------------------------------------------------------------------------
async def test_a_table_grows_and_is_forgotten(cache: ColourlessCache) -> None:
    calls: list[int] = []

    def factorial(n: int, previous: int) -> int:
        calls.append(n)
        return n * previous

    handle = cache.cache.recurrence(base={0: 1}, name="factorial")(cache.coloured(factorial))
    ask = ColourlessCache._awaited

    assert await ask(handle)(5) == 120
    assert await ask(handle)(3) == 6
    assert await ask(handle)(7) == 5040
    assert calls == [1, 2, 3, 4, 5, 6, 7]
    assert await ask(handle.known)() == 7
    assert (await ask(handle.invalidate_all)()).applied
    assert await ask(handle.known)() == 0
    assert await ask(handle)(2) == 2
    assert calls[7:] == [1, 2]


# --- the facades themselves ----------------------------------------------------------------------------------------
def test_both_facades_have_the_same_methods() -> None:
    def methods(facade: type) -> dict[str, inspect.Signature]:
        found = inspect.getmembers(facade, inspect.isfunction)
        return {name: inspect.signature(method) for name, method in found if not name.startswith("_")}

    plain, coroutines = methods(Cache), methods(AsyncCache)
    del plain["close"], coroutines["aclose"], plain["recurrence"]  # a table's function has the colour, not the cache

    assert list(plain) == list(coroutines)
    for name, signature in plain.items():
        ours = [(parameter.name, parameter.kind) for parameter in signature.parameters.values()]
        theirs = [(parameter.name, parameter.kind) for parameter in coroutines[name].parameters.values()]
        assert ours == theirs, name


async def test_a_closed_cache_opens_again(cache: ColourlessCache) -> None:
    await cache.set("k", 1)
    if cache.colour == "sync":
        cache.cache.close()
    else:
        await cache.cache.aio.aclose()

    assert await cache.get("k") in {1, None}  # memory is forgotten, a server is not
    await cache.set("k", 2)
    assert await cache.get("k") == 2


async def test_two_namespaces_share_nothing(url: str, namespace: str) -> None:
    with Cache(url, namespace=f"{namespace}a", budget="10s") as one, Cache(url, namespace=f"{namespace}b", budget="10s") as two:
        one.set("k", 1)
        two.set("k", 2)
        one.invalidate_all()

        assert one.get("k") is None
        assert two.get("k") == 2


async def test_both_colours_share_one_cache(url: str, namespace: str) -> None:
    cache = Cache(url, namespace=namespace, budget="10s")
    cache.set("k", 1)
    assert await cache.aio.get("k") == 1
    await cache.aio.invalidate("k")
    assert cache.get("k") is None
    await cache.aio.aclose()
