"""Counters: what `incr` adds to, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from afresh import Cache


@pytest.fixture(params=["memory", "valkey", "redis7"])
def cache(request: pytest.FixtureRequest, namespace: str) -> Any:
    url = "memory://" if request.param == "memory" else request.getfixturevalue(request.param).url
    with Cache(url, namespace=namespace, budget="10s") as cache:  # the machine may be busy
        yield cache


@pytest.mark.parametrize("by", [1, 10**16])
def test_a_number_with_tags_is_added_to_until_they_are_invalidated(cache: Cache, by: int) -> None:
    cache.set("n", 5, tags=["group"])
    assert cache.incr("n", by) == 5 + by
    assert cache.incr("n", by) == 5 + 2 * by

    cache.invalidate_tags("group")
    assert cache.incr("n", by) == by


@pytest.mark.parametrize("by", [1.5, "3", True, None])
def test_only_whole_numbers_are_added(cache: Cache, by: Any) -> None:
    with pytest.raises(TypeError, match="whole number"):
        cache.incr("n", by)
    assert cache.get("n") is None
