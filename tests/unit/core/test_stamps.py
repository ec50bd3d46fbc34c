from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from afresh.core.envelope import FOR_EVER, MAX_TAGS, Flag, pack_prefix, parse
from afresh.core.keys import Namespace
from afresh.core.ops import Get, Stamp
from afresh.core.stamps import NOTHING, Needs, dirty_until_ms, needs_of

NAMESPACE = Namespace("t")
FUNCTION = NAMESPACE.tag_of("afresh:f:f")

stamps = st.binary(min_size=8, max_size=8)
names = st.lists(st.text(min_size=1), max_size=5, unique=True)


@pytest.mark.parametrize("stamp", [None, b"", b"seven--", b"nine-----", "eight---", 8, bytearray(8)])
def test_only_eight_bytes_are_a_clean_stamp(stamp: object) -> None:
    needs = needs_of(NAMESPACE)

    assert needs.vector([stamp]) is None
    assert needs.vector([b"eight---"]) == b"eight---"


def test_a_mark_is_dirty_until_its_deadline() -> None:
    assert dirty_until_ms(b"D:1763919600000") == 1763919600000


@pytest.mark.parametrize("stamp", [None, b"", b"eight---", b"D:", b"D:soon", b"D:12 ", b"xD:12", "D:12"])
def test_what_is_no_mark_has_no_deadline(stamp: object) -> None:
    assert dirty_until_ms(stamp) == 0


def test_the_implicit_stamps_come_first_and_without_a_hash() -> None:
    needs = needs_of(NAMESPACE, FUNCTION, ["a"])
    tag = NAMESPACE.tag_of("a")

    assert needs.tags == (NAMESPACE.tag, FUNCTION, tag)
    assert needs.reads == (Get(NAMESPACE.tag.key), Get(FUNCTION.key), Get(tag.key))
    assert needs.flags == Flag.NAMESPACE | Flag.FUNCTION
    assert needs.vector([b"ns------", b"function", b"stamp--a"]) == b"ns------function" + tag.hash + b"stamp--a"


def test_a_tag_named_twice_is_needed_once() -> None:
    assert needs_of(NAMESPACE, FUNCTION, ["b", "a", "b"]) == needs_of(NAMESPACE, FUNCTION, ["b", "a"])


def test_naming_the_own_function_as_a_tag_changes_nothing() -> None:
    assert needs_of(NAMESPACE, FUNCTION, ["afresh:f:f", "afresh:namespace"]) == needs_of(NAMESPACE, FUNCTION)


def test_naming_another_function_as_a_tag_needs_its_stamp() -> None:
    needs = needs_of(NAMESPACE, FUNCTION, ["afresh:f:g"])

    assert needs.tags[-1] == NAMESPACE.tag_of("afresh:f:g")
    assert len(needs.tags) - needs.implicit == 1


def test_without_a_namespace_nothing_is_needed() -> None:
    assert needs_of(None, None, ["a"]) == NOTHING
    assert NOTHING.vector([]) == b""
    assert NOTHING.reads == ()


@given(tags=names, data=st.data())
def test_one_missing_or_marked_stamp_leaves_no_vector(tags: list[str], data: st.DataObject) -> None:
    needs = needs_of(NAMESPACE, FUNCTION, tags)
    drawn: list[object] = [data.draw(stamps) for _ in needs.tags]
    at = data.draw(st.integers(0, len(drawn) - 1))
    assert needs.vector(drawn) is not None

    drawn[at] = data.draw(st.one_of(st.none(), st.binary(max_size=12).filter(lambda mark: len(mark) != 8)))

    assert needs.vector(drawn) is None


@given(tags=names, data=st.data())
def test_two_vectors_are_equal_exactly_when_their_stamps_are(tags: list[str], data: st.DataObject) -> None:
    needs = needs_of(NAMESPACE, FUNCTION, tags)
    one, two = ([data.draw(stamps) for _ in needs.tags] for _ in range(2))

    assert (needs.vector(one) == needs.vector(two)) is (one == two)


def test_implicit_stamps_live_for_ever_and_the_others_as_long_as_asked() -> None:
    needs = needs_of(NAMESPACE, FUNCTION, ["a"])

    assert needs.stamping([b"1", b"2", b"3"], 5000) == [
        Stamp(NAMESPACE.tag.key, NAMESPACE.tag.writers, b"1", 0),
        Stamp(FUNCTION.key, FUNCTION.writers, b"2", 0),
        Stamp(NAMESPACE.tag_of("a").key, NAMESPACE.tag_of("a").writers, b"3", 5000),
    ]


@pytest.mark.parametrize(("count", "is_storable"), [(0, True), (MAX_TAGS, True), (MAX_TAGS + 1, False)])
def test_more_tags_than_an_envelope_holds_are_not_storable(count: int, is_storable: bool) -> None:
    assert needs_of(NAMESPACE, FUNCTION, map(str, range(count))).is_storable is is_storable


def covers(entry_needs: Needs, needs: Needs) -> bool:
    vector = entry_needs.vector([bytes([at]) * 8 for at in range(len(entry_needs.tags))])
    assert vector is not None
    tags = len(entry_needs.tags) - entry_needs.implicit
    entry = parse(
        pack_prefix(vector, flags=entry_needs.flags, codec=1, tags=tags, created_ms=0, fresh_until_ms=FOR_EVER, cost_us=0, schema=0)
    )
    assert entry is not None
    return needs.are_covered_by(entry)


def test_an_entry_covers_those_who_need_no_more_than_it_carries() -> None:
    entry = needs_of(NAMESPACE, FUNCTION, ["a", "b"])

    assert covers(entry, entry)
    assert covers(entry, needs_of(NAMESPACE, FUNCTION, ["b"]))
    assert not covers(entry, needs_of(NAMESPACE, FUNCTION, ["b", "c"]))
    assert not covers(entry, needs_of(NAMESPACE, None, ["a"]))
    assert covers(NOTHING, entry)  # one that was not stored carries no stamps
