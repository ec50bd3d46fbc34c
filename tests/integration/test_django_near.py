"""Django's cache with a near tier: what is answered inside the process, and that it is what the server has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.views.decorators.cache import cache_page

from afresh import Near
from afresh.django import ImproperlyConfiguredCache, get_cache
from afresh.testing import wait_until
from tests.support.near import near_is_trusted
from tests.support.servers import Server

pytest_plugins = ["tests.django_project.fixtures"]
pytestmark = [pytest.mark.keys(r"(t-[0-9a-f]{8}|CUSTOM-t-[0-9a-f]{8}):-?\d+:.*", permanent=True), pytest.mark.keys(r"t-[0-9a-f]{8}:t:\{.*")]

NEAR = {"NEAR": Near(max_stale="1h")}


@pytest.fixture
def cache(use_caches: Callable[..., Any], server: Server, namespace: str) -> Any:
    cache = use_caches(
        default={"LOCATION": server.url, "KEY_PREFIX": namespace, "OPTIONS": NEAR, "TIMEOUT": 3600},
        other={"LOCATION": server.url, "KEY_PREFIX": namespace, "TIMEOUT": 3600},
    )
    near_is_trusted(get_cache())
    return cache


def near_hits(alias: str = "default") -> int:
    stats = get_cache(alias).stats().get("django")
    return stats.near_hits if stats is not None else 0


def until_near(cache: Any, key: str, **version: int) -> Any:
    """Read a key until the near tier answers, and return its value: the push of what set it may take its time."""

    def is_near() -> bool:
        before = near_hits()
        cache.get(key, **version)
        return near_hits() > before

    wait_until(is_near, 20, "a near hit")
    return cache.get(key, **version)


def test_a_second_get_asks_no_server(cache: Any, call: Callable[..., Any], commands_of: Callable[..., Any]) -> None:
    cache.set("k", [1])
    assert until_near(cache, "k") == [1]

    read = commands_of(lambda: [call(cache, "get", "k") for _ in range(20)])

    assert (read["get"], read["mget"]) == (0, 0)


def test_each_get_returns_a_copy_of_its_own(cache: Any, call: Callable[..., Any]) -> None:
    cache.set("k", [1])
    until_near(cache, "k").append(2)

    call(cache, "get", "k").append(3)
    assert call(cache, "get", "k") == [1]


# What is called, and what is there then, where 1 was.
VERBS: list[tuple[str, tuple[Any, ...], int | None]] = [
    ("set", ("k", 2), 2),
    ("set", ("k", 2, 0), None),
    ("set_many", ({"k": 2},), 2),
    ("incr", ("k", 4), 5),
    ("decr", ("k",), 0),
    ("touch", ("k", 0), None),
    ("delete", ("k",), None),
    ("delete_many", (["k"],), None),
    ("clear", (), None),
    ("incr_version", ("k",), None),
]


def test_what_this_process_does_it_sees_at_once(cache: Any, call: Callable[..., Any]) -> None:
    for verb, args, then in VERBS:
        cache.set("k", 1)
        assert until_near(cache, "k") == 1

        call(cache, verb, *args)
        assert call(cache, "get", "k") == then, verb
        assert call(cache, "get_many", ["k"]) == ({} if then is None else {"k": then}), verb
        assert call(cache, "get_or_set", "k", 9) == (9 if then is None else then), verb


def test_what_others_do_is_heard_of(cache: Any, server: Server, namespace: str) -> None:
    changes: list[tuple[Callable[[], object], int | None]] = [
        (lambda: caches["other"].set("k", 2), 2),
        (lambda: caches["other"].incr("k"), 2),
        (lambda: server.command("UNLINK", f"{namespace}:1:k"), None),
        (lambda: caches["other"].clear(), None),
        (server.flush, None),
    ]
    for change, then in changes:
        cache.set("k", 1)
        assert until_near(cache, "k") == 1
        change()
        wait_until(lambda then=then: cache.get("k") == then, 20, f"{then} to be read")


def test_an_entry_ends_near_as_on_the_server(cache: Any) -> None:
    cache.set("k", 1, 0.5)
    wait_until(lambda: cache.get("k") is None, 20, "its timeout")


def test_other_versions_are_read_from_the_server(cache: Any, commands_of: Callable[..., Any]) -> None:
    """Their changes are not pushed: versions are any number."""
    cache.set("k", 1, version=2)
    assert cache.get("k", version=2) == 1

    assert commands_of(lambda: [cache.get("k", version=2) for _ in range(3)])["get"] == 3
    assert commands_of(lambda: cache.get_many(["k"], version=2))["mget"] == 1


def test_a_page_is_answered_near(cache: Any, commands_of: Callable[..., Any]) -> None:
    made = []

    @cache_page(3600)
    def page(_: HttpRequest) -> HttpResponse:
        made.append(1)
        return HttpResponse(b"a page")

    def ask() -> bytes:
        return page(RequestFactory().get("/page")).content

    def is_near() -> bool:
        before = near_hits()
        ask()
        return near_hits() == before + 2

    wait_until(is_near, 20, "the page to be near")
    assert commands_of(lambda: [ask() for _ in range(5)])["get"] == 0
    assert (ask(), made) == (b"a page", [1])
    cache.clear()
    assert (ask(), made) == (b"a page", [1, 1])


def test_what_get_cache_memoizes_is_near_too(cache: Any) -> None:
    @get_cache().memoize(name="double")
    def double(n: int) -> int:
        return 2 * n

    wait_until(lambda: double(4) == 8 and double.stats().near_hits, 20, "a near hit")


def custom(key: str, prefix: str, version: int) -> str:
    return f"CUSTOM-{prefix}:{version}:{key}"


def test_keys_of_another_making_are_near(use_caches: Callable[..., Any], server: Server, namespace: str) -> None:
    function = f"{__name__}.custom"
    cache = use_caches(default={"LOCATION": server.url, "KEY_PREFIX": namespace, "KEY_FUNCTION": function, "OPTIONS": NEAR})
    near_is_trusted(get_cache())
    cache.set("k", 1, 3600)
    assert until_near(cache, "k") == 1


def hashed(key: str, prefix: str, version: int) -> str:
    return f"{hash(key)}"


def in_the_namespace(key: str, prefix: str, version: int) -> str:
    return f"{prefix}:{key}"


@pytest.mark.parametrize("function", ["hashed", "in_the_namespace"])
def test_keys_that_no_server_can_be_told_to_watch_are_refused(
    use_caches: Callable[..., Any], server: Server, namespace: str, function: str
) -> None:
    with pytest.raises(ImproperlyConfiguredCache, match=r"NEAR.* needs keys that begin with a fixed text.*KEY_FUNCTION"):
        use_caches(
            default={"LOCATION": server.url, "KEY_PREFIX": namespace, "KEY_FUNCTION": f"{__name__}.{function}", "OPTIONS": NEAR}
        ).get("k")


@pytest.mark.parametrize("near", [True, "2s", 64])
def test_near_is_described_by_its_class(use_caches: Callable[..., Any], server: Server, near: object) -> None:
    with pytest.raises(ImproperlyConfiguredCache, match=r"OPTIONS\['NEAR'\] is .*: write afresh\.Near\(max_stale='2s'\), or leave it out"):
        use_caches(default={"LOCATION": server.url, "OPTIONS": {"near": near}}).get("k")
