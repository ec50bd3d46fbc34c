"""``clear()`` drops this cache's entries, and nobody else's keys."""

from __future__ import annotations

import re
from functools import partial
from hashlib import md5

import pytest
from hypothesis import given, strategies as st

from afresh.core.keys import twins
from afresh.django import ImproperlyConfiguredCache, get_cache
from afresh.django.clearing import _leased, extent_of

pytest_plugins = ["tests.django_project.fixtures"]
pytestmark = pytest.mark.keys(".*", permanent=True)


def stored(server):
    return {name.decode() for name in server.command("KEYS", "*")}


def put_foreign(server, names):
    for name in names:
        server.command("SET", name, "theirs")
    return set(names)


# --- whose keys ----------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_other_applications_keys_stay(use_caches, call, server):
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": "shop"})
    theirs = ["shop", "shop:", "shop::k", "shop:v:{fpage}", "shop:t:{0123456789abcdef}", "shop:eu:1:k", "shop:one:k", "shop:1", "SHOP:1:k"]
    foreign = put_foreign(server, [*theirs, "shopping:1:k", "xshop:1:k", ":1:k", "1:k", "celery-task-meta-1", "session:1"])
    call(cache, "set_many", {"k": 1, "k\n2": 2})
    call(cache, "set", "k", 1, version=-3)
    call(cache, "set", "k", 1, version=2**70)
    assert len(stored(server) - foreign) == 4

    assert call(cache, "clear") is True

    assert stored(server) == foreign


def test_without_a_prefix_only_djangos_form_is_dropped(use_caches, call, server):
    cache = use_caches(default={"LOCATION": server.url})
    foreign = put_foreign(server, ["k", ":", "::k", ":k", ":one:k", "1:k", "shop:1:k", "django:v:{kk}"])
    call(cache, "set_many", {"k": 1, "l": 2})
    call(cache, "set", "k", 1, version=2)

    assert call(cache, "clear") is True

    assert stored(server) == foreign


@pytest.mark.parametrize("prefix", ["*", "sh?p", "[a-z]", "back\\slash", "sh^p", "a{b}", "ü€", "!shop", "shop-1"])
def test_a_prefix_is_no_pattern(use_caches, call, server, prefix):
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": prefix})
    foreign = put_foreign(server, ["shop:1:k", "a:1:k", "ship:1:k", "backslash:1:k", "back/slash:1:k", "x!shop:1:k", "shop:1:1:k"])
    call(cache, "set_many", {"k": 1, "l": 2})

    assert call(cache, "clear") is True

    assert stored(server) == foreign


def test_another_database_stays(use_caches, call, server):
    cache = use_caches(default={"LOCATION": f"{server.url}?db=3", "KEY_PREFIX": "shop"})
    call(cache, "set", "k", 1)
    server.command("SET", "shop:1:k", "theirs")
    assert server.command("KEYS", "*", database=3) == [b"shop:1:k"]

    assert call(cache, "clear") is True

    assert server.command("KEYS", "*", database=3) == []
    assert server.command("KEYS", "*") == [b"shop:1:k"]


def test_a_version_that_is_no_number_is_ours_if_it_is_the_settings(use_caches, call, server):
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": "shop", "VERSION": "v2.1"})
    foreign = put_foreign(server, ["shop:v2x1:k", "shop:v3:k"])
    call(cache, "set", "k", 1)
    call(cache, "set", "k", 1, version=4)

    assert call(cache, "clear") is True

    assert stored(server) == foreign


def test_what_functions_have_memoized_stays(use_caches, call, server):
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": "shop"})
    get_cache().set("k", "a key of the Cache behind")
    call(cache, "set", "k", "a key of Django's")

    assert call(cache, "clear") is True

    assert get_cache().get("k") == "a key of the Cache behind"
    assert call(cache, "get", "k") is None


# --- how many ------------------------------------------------------------------------------------------------------
def test_many_keys_go_in_batches(use_caches, call, server, commands_of):
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": "shop"})
    call(cache, "set_many", {f"k{number}": number for number in range(2600)})
    foreign = put_foreign(server, [f"theirs:{number}" for number in range(50)])

    counts = commands_of(lambda: call(cache, "clear"))

    assert stored(server) == foreign
    assert set(counts) == {"scan", "unlink"}
    assert counts["scan"] <= 2 * 2650 // 1000 + 4  # twice over the keys, 1,000 at a time
    assert counts["unlink"] <= 2600 // 500 + counts["scan"]


# --- leases --------------------------------------------------------------------------------------------------------
def test_leases_go_first_and_others_stay(use_caches, call, server):
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": "shop"})
    ours = [twins("shop", f"shop:1:{key}").lease for key in ("k", "a{b}c", "{", "}", "ü")]
    foreign = put_foreign(server, [twins("shop", "shop:eu:1:k").lease, "shop:l:{fpage}", twins("other", "shop:1:k").lease])
    put_foreign(server, ours)

    assert call(cache, "clear") is True

    assert stored(server) == foreign


@given(st.text(min_size=1), st.text("{}:ab", min_size=1))
def test_a_leases_name_leads_back_to_its_entry(text, braces):
    for value in (text, braces, text + braces, braces + text):
        head = "ns:l:{"
        assert _leased(twins("ns", value).lease.removeprefix(head)) == value


# --- key functions -------------------------------------------------------------------------------------------------
def hashed(key):
    return md5(key.encode(), usedforsecurity=False).hexdigest()


def by(form, key, key_prefix, version):
    return form.format(key=key, prefix=key_prefix, version=version, hash=hashed(f"{key_prefix}/{key}"))


CLEAR = [
    "{prefix}:{version}:{key}",
    "{prefix}-{key}",
    "{prefix}/{version}/{hash}",
    "v2/{version}/{prefix}/{key}",
    "{prefix}:{key}:{version}:z",
]
UNCLEAR = ["{key}", "{version}:{key}", "{hash}", "{prefix}:{hash}", "{prefix}:{hash}:{version}", "{key}:{prefix}", "fixed", ""]


@pytest.mark.parametrize("form", CLEAR)
def test_a_key_function_tells_which_keys_are_ours(use_caches, call, server, form):
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": "shop", "KEY_FUNCTION": partial(by, form)})
    foreign = put_foreign(server, ["other:1:k", "k", "1:k", ":1:k", "v2/1/other/k", "xshop:1:k", "5f3a"])
    call(cache, "set_many", {"k": 1, "l:m": 2})
    call(cache, "set", "k", 1, version=2)
    assert stored(server) > foreign

    assert call(cache, "clear") is True

    assert stored(server) == foreign


@pytest.mark.parametrize("form", UNCLEAR)
def test_clear_refuses_where_keys_could_be_anybodys(use_caches, call, server, form):
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": "shop", "KEY_FUNCTION": partial(by, form)})
    foreign = put_foreign(server, ["k", "1:k", "shop:1:k"])

    with pytest.raises(ImproperlyConfiguredCache, match="KEY_FUNCTION"):
        call(cache, "clear")

    assert stored(server) == foreign


def test_punctuation_alone_is_nobodys_own():
    with pytest.raises(ImproperlyConfiguredCache):
        extent_of(lambda key, version: f":{key}", 1)


@given(prefix=st.text(), key=st.text(), version=st.integers(), form=st.text() | st.from_regex(r"-?[0-9:]+", fullmatch=True))
def test_the_default_function_owns_exactly_its_own_form(prefix, key, version, form):
    extent = extent_of(lambda key, version: f"{prefix}:{version}:{key}", 1)

    assert extent.owns(f"{prefix}:{version}:{key}")
    assert not extent.owns(f"x{prefix}:{version}:{key}") or prefix.startswith("x")
    number, colon, _ = form.partition(":")
    assert extent.owns(f"{prefix}:{form}") == bool(colon and re.fullmatch("-?[0-9]+", number))
