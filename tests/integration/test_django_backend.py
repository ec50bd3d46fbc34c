"""The Django backend's methods, plain and native, on both servers: what Django's own tests do not ask."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core import signals
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache, CacheKeyWarning
from django.utils.functional import Promise
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from afresh.django import RedisCache, get_cache

pytest_plugins = ["tests.django_project.fixtures"]
pytestmark = [pytest.mark.keys(r"t-[0-9a-f]{8}:-?\d+:.*", permanent=True), pytest.mark.keys(r"t-[0-9a-f]{8}:t:\{.*")]

FOREVER = -1
DAY = 24 * 3600


def lifetime_s(server, namespace, key):
    """Return the seconds that an entry lives, rounded up; FOREVER; or -2 if there is none."""
    ms = server.command("PTTL", f"{namespace}:1:{key}")
    return ms if ms < 0 else -(-ms // 1000)


# --- what Django has -----------------------------------------------------------------------------------------------
def test_every_method_of_the_base_is_there_with_its_parameters():
    for name, base in inspect.getmembers(BaseCache, inspect.isfunction):
        ours = inspect.signature(getattr(RedisCache, name))
        if not name.startswith("__"):
            assert list(ours.parameters) == list(inspect.signature(base).parameters), name


def test_awaiting_uses_no_thread(cache):
    before = set(threading.enumerate())

    async def use_all():
        await cache.aset("a", 1)
        await cache.aset_many({"b": 2, "c": 3})
        assert await cache.aadd("d", 4)
        assert await cache.aget("a") == 1
        assert await cache.aget_many(["b", "d"]) == {"b": 2, "d": 4}
        assert await cache.aget_or_set("e", lambda: 5) == 5
        assert await cache.ahas_key("e")
        assert (await cache.aincr("a"), await cache.adecr("a", 2)) == (2, 0)
        assert await cache.aincr_version("b") == 2
        assert await cache.adecr_version("b", version=2) == 1
        assert await cache.atouch("a", 100)
        assert await cache.adelete("a")
        await cache.adelete_many(["b", "c"])
        assert await cache.aclear()
        await cache.aclose()
        return set(threading.enumerate())

    assert asyncio.run(use_all()) == before


def test_a_key_on_the_server_is_djangos_own(cache, call, server, namespace):
    call(cache, "set", "a-key", "value", version=7)

    assert server.command("KEYS", "*") == [f"{namespace}:7:a-key".encode()]


def test_long_and_odd_keys_are_warned_of(cache, call):
    with pytest.warns(CacheKeyWarning, match="longer than 250"):
        call(cache, "set", "k" * 300, 1)
    with pytest.warns(CacheKeyWarning, match="characters that will cause errors"):
        assert call(cache, "get", "a key\x00") is None


@pytest.mark.parametrize("key", ["{", "}", "{}", "a}b{c", "{user}:1", '{"a":{"b":1}}', "ü€😀", "*[a-z]?\\"])
def test_any_key_works(cache, call, key):
    call(cache, "set", key, "value")

    assert call(cache, "get", key) == "value"
    assert call(cache, "get_or_set", key, "another") == "value"
    assert call(cache, "delete", key) is True
    assert call(cache, "get_or_set", key, "another") == "another"
    assert call(cache, "clear") is True
    assert call(cache, "get", key) is None


# --- cost ----------------------------------------------------------------------------------------------------------
def test_each_operation_is_as_few_commands_as_can_be(cache, call, commands_of):
    call(cache, "set", "n", 1)
    call(cache, "add", "n", 1)
    call(cache, "incr", "n")
    call(cache, "delete", "n")
    call(cache, "touch", "n")

    def commands(name, *args):
        return commands_of(lambda: call(cache, name, *args))

    assert commands("set", "k", "v") == {"psetex": 1, "unlink": 1}
    assert commands("get", "k") == {"get": 1}
    assert commands("has_key", "k") == {"get": 1}
    assert commands("get_or_set", "k", "v") == {"get": 1}
    assert commands("get_many", ["k", "l", "m"]) == {"mget": 1}
    assert commands("set_many", {"l": 1, "m": 2}) == {"psetex": 2, "unlink": 1}
    assert commands("incr", "l")["evalsha"] == 1
    assert commands("touch", "l")["evalsha"] == 1
    assert commands("delete", "l")["evalsha"] == 1
    assert commands("delete_many", ["k", "m"])["evalsha"] == 2
    assert commands("add", "k", "v")["evalsha"] == 1
    assert commands("get_many", []) == commands("set_many", {}) == commands("delete_many", []) == {}


# --- values --------------------------------------------------------------------------------------------------------
def test_an_integer_is_digits_on_the_server(cache, call, server, namespace):
    call(cache, "set", "n", 41)
    call(cache, "incr", "n")

    assert server.command("GET", f"{namespace}:1:n").endswith(b"\x00" * 4 + b"42")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        10**30,
        1.5,
        "",
        "text",
        b"\x00\xff",
        (1, ("a",)),
        {1: {2}},
        mark_safe("<b>"),
        [mark_safe("<i>")],
        float,
        print,
    ],
    ids=repr,
)
def test_a_value_comes_back_equal_and_of_its_type(cache, call, value):
    call(cache, "set", "k", value)
    got = call(cache, "get", "k", "nothing")

    assert got == value
    assert type(got) is type(value)


def test_a_lazy_text_stays_lazy(cache, call):
    call(cache, "set", "k", gettext_lazy("Log in"))

    assert isinstance(call(cache, "get", "k"), Promise)


def test_each_reader_has_a_copy_of_its_own(cache, call):
    kept = [1]
    call(cache, "set", "k", kept)
    kept.append(2)
    call(cache, "get", "k").append(3)

    assert call(cache, "get", "k") == [1]


# --- lifetimes -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("timeout", "lives_s"),
    [(5, 5), (0.5, 1), (None, FOREVER), (0, -2), (-1, -2), (60 * DAY, 60 * DAY), (sys.maxsize, FOREVER), (float("inf"), FOREVER)],
)
def test_an_entry_lives_as_long_as_it_is_told(cache, call, server, namespace, timeout, lives_s):
    call(cache, "set", "k", "old", 1000)

    call(cache, "set", "k", "new", timeout)
    assert call(cache, "set_many", {"m": "new"}, timeout) == []
    assert call(cache, "add", "a", "new", timeout) is True
    assert call(cache, "get_or_set", "g", "new", timeout) == "new"

    assert [lifetime_s(server, namespace, key) for key in "kmag"] == [lives_s] * 4
    assert call(cache, "get", "k") == (None if lives_s == -2 else "new")


@pytest.mark.parametrize(("setting", "lives_s"), [({}, 300), ({"TIMEOUT": 7}, 7), ({"TIMEOUT": None}, FOREVER), ({"TIMEOUT": 0}, -2)])
def test_the_setting_is_the_default_lifetime(use_caches, call, valkey, namespace, setting, lives_s):
    cache = use_caches(default={"LOCATION": valkey.url, "KEY_PREFIX": namespace, **setting})
    call(cache, "set", "k", "v")

    assert lifetime_s(valkey, namespace, "k") == lives_s


@pytest.mark.parametrize(("timeout", "lives_s"), [(5, 5), (None, FOREVER), (0, -2), (-1, -2)])
def test_touch_gives_a_new_lifetime(cache, call, server, namespace, timeout, lives_s):
    call(cache, "set", "k", mark_safe("<b>"), 1000)

    assert call(cache, "touch", "k", timeout) is True

    assert lifetime_s(server, namespace, "k") == lives_s
    assert call(cache, "get", "k") == (None if lives_s == -2 else "<b>")
    assert call(cache, "touch", "nothing", timeout) is False


def test_counting_keeps_the_lifetime(cache, call, server, namespace):
    call(cache, "set", "n", 10**40, 1000)
    assert call(cache, "incr", "n") == 10**40 + 1
    call(cache, "set", "n", 1, 1000)
    assert call(cache, "decr", "n", 3) == -2

    assert lifetime_s(server, namespace, "n") in (999, 1000)


# --- counting ------------------------------------------------------------------------------------------------------
def test_counting_what_is_not_there_or_no_integer_raises(cache, call):
    call(cache, "set_many", {"text": "1", "yes": True, "n": 1})

    with pytest.raises(ValueError, match=r"'t-.*:1:nothing' not found"):
        call(cache, "incr", "nothing")
    for key in ("text", "yes"):
        with pytest.raises(TypeError, match="does not hold an integer"):
            call(cache, "decr", key)
    with pytest.raises(TypeError):
        call(cache, "incr", "n", 0.5)
    assert call(cache, "get_many", ["text", "yes", "n"]) == {"text": "1", "yes": True, "n": 1}


def test_threads_lose_no_count(cache):
    cache.set("n", 0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: caches["default"].incr("n"), range(400)))

    assert cache.get("n") == 400


# --- several keys --------------------------------------------------------------------------------------------------
def test_versions_are_apart_and_can_be_moved(cache, call):
    call(cache, "set", "k", "one")
    call(cache, "set", "k", "nine", version=9)

    assert call(cache, "incr_version", "k") == 2
    assert call(cache, "decr_version", "k", 4, version=9) == 5
    assert [call(cache, "get", "k", version=version) for version in (1, 2, 5, 9)] == [None, "one", "nine", None]
    with pytest.raises(ValueError, match="not found"):
        call(cache, "incr_version", "k")


def test_iterators_of_keys_are_taken_once(cache, call):
    call(cache, "set_many", {"a": 1, "b": None})

    assert call(cache, "get_many", iter(["a", "b", "c", "a"])) == {"a": 1, "b": None}
    call(cache, "delete_many", iter(["a", "b"]))
    assert call(cache, "get_many", ["a", "b"]) == {}


# --- one computation -----------------------------------------------------------------------------------------------
def test_threads_compute_once(cache):
    computed, start = [], threading.Barrier(8)

    def ask(number):
        start.wait(10)
        return caches["default"].get_or_set("k", lambda: computed.append(number) or "made")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"made"}

    assert len(computed) == 1


def test_tasks_compute_once(cache):
    computed = []

    async def compute():
        await asyncio.sleep(0.01)
        computed.append(1)
        return "made"

    async def ask_all():
        return await asyncio.gather(*(cache.aget_or_set("k", compute) for _ in range(50)))

    assert asyncio.run(ask_all()) == ["made"] * 50
    assert len(computed) == 1


@pytest.mark.parametrize(("meanwhile", "kept"), [(("set", "k", "new"), "new"), (("delete", "k"), None), (("clear",), None)])
def test_what_was_being_computed_is_not_stored_over_a_write(cache, call, meanwhile, kept):
    def compute():
        name, *args = meanwhile
        getattr(cache, name)(*args)
        return "old"

    assert call(cache, "get_or_set", "k", compute) == "old"
    assert call(cache, "get", "k") == kept


def test_a_failing_compute_leaves_the_key_to_the_next(cache, call):
    with pytest.raises(ZeroDivisionError):
        call(cache, "get_or_set", "k", lambda: 1 / 0)
    with pytest.raises(AttributeError):
        call(cache, "get_or_set", "k", lambda: lambda: "cannot be pickled")

    assert call(cache, "get_or_set", "k", None) is None
    assert call(cache, "get_or_set", "k", "another") is None


# --- processes, threads, settings ----------------------------------------------------------------------------------
def test_threads_have_backends_of_their_own_on_one_engine(cache):
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: caches["default"]).result()

    assert other is not cache
    assert other.engine is cache.engine


def test_the_end_of_a_request_keeps_the_connection(cache, server):
    cache.set("k", 1)
    before = server.command("CLIENT", "LIST", "TYPE", "normal").count(b"lib-name=redis-py")

    signals.request_finished.send(RedisCache)
    cache.get("k")

    assert server.command("CLIENT", "LIST", "TYPE", "normal").count(b"lib-name=redis-py") == before


def test_overridden_settings_get_an_engine_of_their_own(use_caches, valkey, namespace):
    settings = {"LOCATION": valkey.url, "KEY_PREFIX": namespace}
    first = use_caches(default=settings).engine

    assert use_caches(default=settings).engine is not first


def test_aliases_share_an_engine_where_their_settings_allow(use_caches, valkey, namespace):
    same = {"LOCATION": valkey.url, "KEY_PREFIX": namespace}
    use_caches(default=same, long={**same, "TIMEOUT": None, "VERSION": 2}, slow={**same, "OPTIONS": {"SOCKET_TIMEOUT": 2}})

    assert caches["long"].engine is caches["default"].engine
    assert caches["slow"].engine is not caches["default"].engine


@pytest.mark.parametrize("location", ["memory://", "embedded://"])
def test_it_works_without_a_server_of_ones_own(use_caches, call, location):
    cache = use_caches(default={"LOCATION": location})
    call(cache, "set", "k", mark_safe("<b>"))

    assert call(cache, "get", "k") == "<b>"
    assert call(cache, "clear") is True
    assert call(cache, "get", "k") is None


def test_afresh_disabled_reads_and_stores_nothing(cache, call, monkeypatch):
    call(cache, "set", "k", "old")
    monkeypatch.setenv("AFRESH_DISABLED", "1")

    assert call(cache, "get", "k") is None
    assert call(cache, "get_or_set", "k", "new") == "new"
    assert call(cache, "delete", "k") is True


# --- the Cache behind an alias -------------------------------------------------------------------------------------
def test_functions_are_memoized_on_the_same_connections(cache, namespace):
    made = []
    behind = get_cache()

    @behind.memoize()
    def double(number):
        made.append(number)
        return 2 * number

    assert [double(2), double(2), double(3)] == [4, 4, 6]
    assert made == [2, 3]
    assert double.key(2).startswith("f:")
    assert repr(behind) == f"<Cache namespace={namespace!r}>"
    cache.set("k", 1)
    assert cache.get("k") == 1
    assert behind.stats()["django"].hits == 1


def test_the_default_ttl_is_the_timeout_of_the_alias(use_caches, valkey, namespace):
    settings = {"BACKEND": "afresh.django.RedisCache", "LOCATION": valkey.url, "KEY_PREFIX": namespace}
    use_caches(default={**settings, "TIMEOUT": 50}, forever={**settings, "TIMEOUT": None})

    for alias in ("default", "forever"):
        get_cache(alias).set(alias, 1)

    assert 49 < get_cache().ttl("default") <= 50
    assert 30 * DAY - 1 < get_cache().ttl("forever") <= 30 * DAY


def test_a_namespace_is_made_where_the_prefix_cannot_be_one(use_caches, valkey):
    use_caches(default={"LOCATION": "memory://"}, odd={"LOCATION": "memory://", "KEY_PREFIX": "a{b}"})

    assert repr(get_cache()) == "<Cache namespace='django'>"
    assert repr(get_cache("odd")).startswith("<Cache namespace='django-")
    caches["odd"].set("k", 1)
    assert caches["odd"].get_or_set("k", 2) == 1
