from __future__ import annotations

from math import inf

import pytest

from afresh.core.envelope import pack_prefix, parse
from afresh.core.keys import Namespace
from afresh.core.stamps import needs_of
from afresh.near.generation import UNSHARED, Generation, Kept

NAMESPACE = Namespace("t")
FUNCTION = NAMESPACE.tag_of("afresh:f:f")
NEEDS = needs_of(NAMESPACE, FUNCTION, ["a"])
TAG = NEEDS.tags[2].key
KEYS = [tag.key for tag in NEEDS.tags]


def names(number=1):
    return NAMESPACE.names(f"f:f({number})")


def kept(number=1, *, stamp=b"stamp--a", value=UNSHARED, size=100):
    vector = NEEDS.vector([b"ns------", b"function", stamp])
    header = {"flags": NEEDS.flags, "codec": 2, "tags": 1, "created_ms": 0, "fresh_until_ms": 1000, "cost_us": 1, "schema": 0}
    entry = parse(pack_prefix(vector, **header) + bytes(size))
    return Kept(names(number), entry, NEEDS, NEEDS.carried_by(entry, NAMESPACE), 1000.0, value, None)


@pytest.fixture
def generation():
    return Generation(NAMESPACE, max_entries=100, max_bytes=1_000_000)


def test_an_entry_is_found_by_the_name_of_its_value(generation):
    entry = kept()

    assert generation.fill(entry, generation.pushes.moment, 0)
    assert generation.get(names().value) is entry
    assert [generation.held(key, 0) for key in KEYS] == [b"ns------", b"function", b"stamp--a"]


@pytest.mark.parametrize("name", [*KEYS, names().value, names().stamp])
def test_a_push_drops_what_depends_on_it(generation, name):
    entry = kept()
    generation.fill(entry, generation.pushes.moment)

    generation.pushed(name)

    assert generation.get(names().value) is None
    assert entry.until_s == -inf
    assert not generation._held


def test_a_push_drops_nothing_else(generation):
    generation.fill(kept(1), generation.pushes.moment, 0)
    generation.fill(kept(2), generation.pushes.moment, 0)

    generation.pushed(names(1).stamp, NAMESPACE.tag_of("another").key)

    assert generation.get(names(2).value) is not None
    assert generation.held(TAG, 0) == b"stamp--a"


@pytest.mark.parametrize("name", [*KEYS, names().value, names().stamp])
def test_a_push_since_the_token_refuses_the_fill(generation, name):
    token = generation.pushes.moment
    generation.pushed(name)

    assert not generation.fill(kept(), token)
    assert generation.fill(kept(), generation.pushes.moment)


def test_lost_pushes_drop_everything_and_refuse_fills_from_before(generation):
    token = generation.pushes.moment
    generation.fill(kept(1), token)

    generation.pushed_all()

    assert len(generation) == 0
    assert not generation.fill(kept(2), token)
    assert generation.fill(kept(2), generation.pushes.moment, 0)


def test_of_two_stamps_of_one_tag_neither_is_held(generation):
    generation.fill(kept(1), generation.pushes.moment, 0)

    assert not generation.fill(kept(2, stamp=b"another-"), generation.pushes.moment)

    assert generation.held(TAG, 0) is None
    assert len(generation) == 0


def test_a_stamp_is_held_as_long_as_an_entry_carries_it(generation):
    generation.fill(kept(1), generation.pushes.moment, 0)
    generation.fill(kept(2), generation.pushes.moment, 0)
    generation.pushed(names(1).value)
    assert generation.held(TAG, 0) == b"stamp--a"

    generation.pushed(names(2).value)

    assert generation.held(TAG, 0) is None


def test_an_entry_replaced_or_evicted_is_dropped():
    generation = Generation(NAMESPACE, max_entries=2, max_bytes=1_000_000)
    first, again, second, third = kept(1), kept(1), kept(2), kept(3)
    for entry in (first, again, second, third):
        assert generation.fill(entry, generation.pushes.moment)

    assert [entry.until_s for entry in (first, again, second, third)] == [-inf, -inf, 1000.0, 1000.0]
    assert generation._held[TAG].dependents == {second.key, third.key}


def test_an_entry_that_is_too_large_is_not_kept():
    generation = Generation(NAMESPACE, max_entries=10, max_bytes=5000)

    assert not generation.fill(kept(size=5000), generation.pushes.moment)
    assert not generation._held


def test_a_shared_value_is_kept_without_its_bytes(generation):
    entry = kept(value="x" * 100)

    assert len(entry.entry.raw) == entry.entry.offset
    assert entry.entry.vector == kept().entry.vector


def test_an_ended_generation_serves_and_keeps_nothing(generation):
    token = generation.pushes.moment
    generation.prove(1000.0)
    generation.fill(kept(1), token)

    generation.end()
    generation.prove(2000.0)

    assert generation.bound_s == -inf
    assert not generation.fill(kept(2), token)
    assert len(generation) == 0


def test_what_the_end_of_a_value_calls_may_come_back(generation):
    class Value:
        def __del__(self):
            generation.pushed(names(2).value)
            generation.fill(kept(3), generation.pushes.moment, 0)

    generation.fill(kept(1, value=Value()), generation.pushes.moment)
    generation.fill(kept(2), generation.pushes.moment, 0)

    generation.pushed(names(1).value)

    assert generation.get(names(2).value) is None
    assert generation.get(names(3).value) is not None


def test_a_stamp_that_is_held_is_read_again_now_and_then(generation):
    """A server that evicts what is idle would take it first."""
    generation.fill(kept(), generation.pushes.moment, 100.0)

    assert [generation.held(TAG, at_s) for at_s in (100.0, 104.9)] == [b"stamp--a"] * 2
    assert generation.held(TAG, 105.0) is None
    assert generation.held(TAG, 105.1) == b"stamp--a"
