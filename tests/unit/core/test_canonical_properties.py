"""For all arguments: one encoding exactly when they are the same by class and content, and one text exactly then."""

from __future__ import annotations

import datetime as dt
import math
import string
from collections import OrderedDict, namedtuple
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from hypothesis import example, given, strategies as st

from afresh.core.canonical import digest, encode, render

Pair = namedtuple("Pair", "a b")  # noqa: PYI024  # the untyped kind is under test


class Color(Enum):
    RED = 1
    BLUE = "1"


class Number(int):
    pass


def same(one, other):
    """Say by other means than the encoding whether two values are the same by class and content."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float | Decimal | dt.datetime):  # whose == overlooks zeros, exponents and folds
        return repr(one) == repr(other)
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, OrderedDict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, dict):
        return len(one) == len(other) and matched(list(one.items()), list(other.items()))
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and matched(list(one), list(other))
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def matched(ones, others):
    return all(any(same(one, other) for other in others) for one in ones)


# Small alphabets, so that equal and almost equal values meet.
numbers = st.sampled_from([0, 1, -1, True, False, 1.0, 0.0, -0.0, math.inf, 1j, -0j, Number(1), Decimal(1), Decimal("1.0"), Fraction(1)])
texts = st.sampled_from(
    ["", "0", "1", "a", "ab", ":", "i1;", "s1:a", "t1:", "\ud800", b"", b"a", bytearray(b"a"), None, Color.RED, Color.BLUE]
)
times = st.sampled_from([dt.date(1, 1, 1), dt.datetime(1, 1, 1), dt.datetime(1, 1, 1, fold=1), dt.datetime(1, 1, 1, tzinfo=dt.UTC)])  # noqa: DTZ001
scalars = numbers | texts | times


def containers(children, keys):
    return st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        st.builds(Pair, children, children),
        st.dictionaries(keys, children, max_size=3),
        st.dictionaries(keys, children, max_size=3).map(OrderedDict),
        st.sets(keys, max_size=3),
        st.sets(keys, max_size=3).map(frozenset),
    )


hashable = st.recursive(
    scalars.filter(lambda value: not isinstance(value, bytearray)),
    lambda children: st.tuples(children, children) | st.frozensets(children, max_size=3),
    max_leaves=4,
)
values = st.recursive(scalars, lambda children: containers(children, hashable), max_leaves=8)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.decimals()
    | st.datetimes(timezones=st.just(dt.UTC)),
    lambda children: st.lists(children) | st.dictionaries(st.text() | st.integers(), children),
)


@given(values, values)
@example({1: "a"}, {True: "a"})
@example(("a", "bc"), ("ab", "c"))
@example({frozenset({1}): 0}, {frozenset({1.0}): 0})
def test_one_encoding_exactly_when_the_same(one, other):
    assert (encode(one) == encode(other)) == same(one, other)


@given(anything, anything)
def test_one_encoding_exactly_when_the_same_over_all_scalars(one, other):
    assert (encode(one) == encode(other)) == same(one, other)


@given(values)
def test_order_of_insertion_does_not_matter(value):
    assert encode(turned(value)) == encode(value)


def turned(value):
    if type(value) is dict:
        return {turned(key): turned(held) for key, held in reversed(value.items())}
    if type(value) in (set, frozenset):
        return type(value)(sorted(map(turned, value), key=encode, reverse=True))
    if type(value) in (list, tuple):
        return type(value)(map(turned, value))
    return value


@given(st.lists(values, min_size=1, max_size=4), st.lists(values, min_size=1, max_size=4))
def test_no_sequence_of_encodings_spells_another(ones, others):
    spelled = [b"".join(map(encode, items)) for items in (ones, others)]

    assert (spelled[0] == spelled[1]) == same(ones, others)
    assert not spelled[0].startswith(spelled[1]) or len(others) <= len(ones)


@given(values)
def test_a_digest_is_that_of_the_encoding(value):
    assert digest(value) == digest(value)
    assert render(([value],), ("a",)) == "#" + digest(([value],)).hex()


plain = st.text(string.ascii_letters + string.digits + "_.@/+-':,#{ ", max_size=6)
arguments = st.lists(plain | numbers | values | st.integers() | st.floats(), max_size=4).map(tuple)


@given(arguments, arguments)
@example(("a','b",), ("a", "b"))
@example((None,), ("None",))
@example((), ("",))
def test_one_text_exactly_when_the_arguments_are_the_same(one, other):
    texts = [render(call, ("x",) * len(call)) for call in (one, other)]

    assert (texts[0] == texts[1]) == same(one, other)


@given(arguments)
def test_a_text_is_short_and_cannot_move_a_slot(call):
    text = render(call, ("x",) * len(call))

    assert len(text) <= 80
    assert text.isascii()
    assert text.isprintable()
    assert not set(text[1:]) & set("{}:%# ")
    assert text[0] in ":#"
