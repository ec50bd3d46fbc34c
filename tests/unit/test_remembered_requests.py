"""Requests for keys are remembered: that changes nothing but what they cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from afresh import Cache, ConfigurationError
from afresh.facade import _LONGEST_REMEMBERED, _MOST_REQUESTS


@pytest.fixture
def cache() -> Cache:
    return Cache("memory://", ttl="1h")


def test_a_ttl_counts_whatever_was_asked_before(cache: Cache) -> None:
    for ttl, seconds in (("5m", 300), (5, 5), (5.0, 5), (timedelta(days=1), 86400), ("1m", 60)):
        cache.set("k", 1, ttl=ttl)
        assert cache.ttl("k") == pytest.approx(seconds, abs=1)
    cache.set("k", 1)
    assert cache.ttl("k") == pytest.approx(3600, abs=1)


def test_what_is_refused_is_refused_again(cache: Cache) -> None:
    cache.set("k", 1, ttl=1)
    refused: list[Any] = [True, [1], "soon", None]
    for ttl in refused * 2:
        with pytest.raises(ConfigurationError):
            cache.set("k", 1, ttl=ttl)
    with pytest.raises(ConfigurationError):
        cache.get("")
    number: Any = 1
    with pytest.raises(TypeError):
        cache.get(number)


def test_only_so_many_of_bounded_length_are_kept(cache: Cache) -> None:
    for at in range(_MOST_REQUESTS + 10):
        cache.set(f"key-{at}", at)
        cache.set("long" * _LONGEST_REMEMBERED + str(at), at)

    assert cache._plain_request.cache_info().currsize == _MOST_REQUESTS
    assert all(cache.get(f"key-{at}") == at for at in range(_MOST_REQUESTS + 10))
    assert cache.get("long" * _LONGEST_REMEMBERED + "7") == 7


def test_caches_remember_their_own() -> None:
    one, other = Cache("memory://", namespace="one"), Cache("memory://", namespace="other")
    one.set("k", 1)

    assert (one.get("k"), other.get("k")) == (1, None)
    assert one._keyed("k").names.value == "one:v:{k:k}"
    assert other._keyed("k").names.value == "other:v:{k:k}"


def test_text_of_a_class_of_its_own_is_the_same_key(cache: Cache) -> None:
    class Name(str):
        __slots__ = ()

    cache.set("k", 1)

    assert cache.get(Name("k")) == 1
