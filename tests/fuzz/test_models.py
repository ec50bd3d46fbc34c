"""The cache against a dictionary: whatever one does to keys and tags, in whatever order, it is what a dictionary would say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, strategies as st

from afresh import Cache, NotAnInteger

KEYS, TAGS = ("a", "b"), ("x", "y")
keys = st.sampled_from(KEYS)
tags = st.sets(st.sampled_from(TAGS)).map(sorted)
numbers = st.one_of(st.integers(-3, 3), st.integers(), st.integers(10**14, 10**16), st.integers(-(10**16), -(10**14)))
others = st.sampled_from(["text", "5", 1.5, True, None, [1], b"1"])

steps = st.one_of(
    st.tuples(st.just("set"), keys, numbers | others, tags),
    st.tuples(st.just("add"), keys, numbers | others, tags),
    st.tuples(st.just("incr"), keys, numbers),
    st.tuples(st.just("touch"), keys),
    st.tuples(st.just("get_or_compute"), keys, numbers | others, tags),
    st.tuples(st.just("invalidate"), keys),
    st.tuples(st.just("invalidate_tags"), st.sampled_from(TAGS)),
    st.tuples(st.just("invalidate_all")),
    st.tuples(st.just("drop"), keys),
)


class Model:
    """What a cache is, without a server: values with their tags."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[Any, list[str]]] = {}

    def _has(self, key: str, tags: list[str]) -> bool:
        """A caller that declares a tag which the entry does not carry cannot know that it is valid."""
        return key in self.held and set(tags) <= set(self.held[key][1])

    def set(self, key: str, value: Any, tags: list[str]) -> None:
        self.held[key] = value, tags

    def add(self, key: str, value: Any, tags: list[str]) -> bool:
        if self._has(key, tags):
            return False
        self.set(key, value, tags)
        return True

    def incr(self, key: str, by: int) -> Any:
        value, tags = self.held.get(key, (0, []))
        if type(value) is not int:
            return NotAnInteger
        self.set(key, value + by, tags)
        return value + by

    def touch(self, key: str) -> bool:
        return key in self.held

    def get_or_compute(self, key: str, value: Any, tags: list[str]) -> Any:
        if not self._has(key, tags):
            self.set(key, value, tags)
        return self.held[key][0]

    def invalidate(self, key: str) -> None:
        self.held.pop(key, None)

    def invalidate_tags(self, tag: str) -> None:
        self.held = {key: held for key, held in self.held.items() if tag not in held[1]}

    def invalidate_all(self) -> None:
        self.held.clear()

    def drop(self, key: str) -> None:
        self.held.pop(key, None)


class Real:
    """The cache, with the same names."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(self._cache, name)

    def set(self, key: str, value: Any, tags: list[str]) -> None:
        self._cache.set(key, value, tags=tags)

    def add(self, key: str, value: Any, tags: list[str]) -> bool:
        return self._cache.add(key, value, tags=tags)

    def incr(self, key: str, by: int) -> Any:
        try:
            return self._cache.incr(key, by)
        except NotAnInteger:
            return NotAnInteger

    def get_or_compute(self, key: str, value: Any, tags: list[str]) -> Any:
        return self._cache.get_or_compute(key, lambda: value, tags=tags)

    def invalidate(self, key: str) -> None:
        assert self._cache.invalidate(key).applied

    def invalidate_tags(self, tag: str) -> None:
        assert self._cache.invalidate_tags(tag).applied

    def invalidate_all(self) -> None:
        assert self._cache.invalidate_all().applied

    def drop(self, key: str) -> None:
        self._cache.set(key, 0, ttl=0)


@given(st.lists(steps, max_size=12))
def test_a_cache_is_what_a_dictionary_would_be(steps: list[tuple[Any, ...]]) -> None:
    model = Model()
    with Cache("memory://", ttl="1h") as cache:
        real = Real(cache)
        for name, *args in steps:
            expected, got = getattr(model, name)(*args), getattr(real, name)(*args)
            assert (type(got), got) == (type(expected), expected)
            assert {key: (type(value), value) for key, value in cache.get_many(KEYS).items()} == {
                key: (type(value), value) for key, (value, _) in model.held.items()
            }
