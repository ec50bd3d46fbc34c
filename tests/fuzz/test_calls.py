"""Calls of memoized functions: one key for equal calls however they are spelled, two keys for different ones."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections import OrderedDict, namedtuple
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address
from pathlib import PurePosixPath
from uuid import UUID

import numpy as np
from hypothesis import assume, given, strategies as st

from afresh import Cache
from tests.unit.codec.models import Color, Level, Pair, Slotted
from tests.unit.core.test_canonical_properties import Number, same as same_plainly

cache = Cache("memory://")


@dataclasses.dataclass(frozen=True)
class Money:
    amount: object
    currency: object = "EUR"


Twin = namedtuple("Twin", "left right")  # noqa: PYI024  # the untyped kind is under test


@cache.memoize()
def spelled(a, b=1, /, c=2, *rest, d=3, **more):
    return None


def bound(a, b=1, /, c=2, *rest, d=3, **more):
    return a, b, c, rest, d, more


def same(one, other):
    """Say by other means than the keys whether two arguments are the same, by class and content, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict) and not isinstance(one, OrderedDict):
        return len(one) == len(other) and _matched(list(one.items()), list(other.items()))
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and _matched(list(one), list(other))
    if isinstance(one, OrderedDict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, enum.Enum):
        return one is other
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, field.name, None), getattr(other, field.name, None)) for field in dataclasses.fields(one))
    if isinstance(one, dt.time | range):  # whose == overlooks folds, and where an empty range is
        return repr(one) == repr(other)
    return same_plainly(one, other)


def _matched(ones, others):
    left = list(others)
    for one in ones:
        at = next((at for at, other in enumerate(left) if same(one, other)), None)
        if at is None:
            return False
        del left[at]
    return True


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-3, 3), st.floats(allow_nan=False), st.sampled_from([0.0, -0.0, 1.0, 1j, -0j]),
    st.text(), st.text("ab:,;'#{}[]()01 ", max_size=4), st.binary(max_size=6), st.binary(max_size=3).map(bytearray),
    st.decimals(allow_nan=False), st.sampled_from([Decimal("1.0"), Decimal("1.00"), Decimal(1), Fraction(1), Number(1), Level.LOW]),
    st.fractions(), st.uuids(), st.dates(), st.times(), st.timedeltas(), st.sampled_from([*Color, *Level]),
    st.datetimes(timezones=st.none() | st.sampled_from([
        dt.UTC, dt.timezone(dt.timedelta(hours=1)), dt.timezone(dt.timedelta(hours=1), "CET"),
    ])),
    st.ip_addresses(), st.sampled_from([range(3), range(0, 3, 1), range(0), range(1, 1), ..., int, Money, ip_address("::1"), UUID(int=0)]),
    st.sampled_from(["", ".", "a/b", "/a"]).map(PurePosixPath),
)  # fmt: skip
arrays = st.builds(
    lambda items, kind, column: np.array(items, kind).reshape(-1, 1) if column else np.array(items, kind),
    st.lists(st.integers(0, 3), max_size=3), st.sampled_from(["i1", "u1", "i4", "i8", "f4", "f8", "?"]), st.booleans(),
)  # fmt: skip


def _containers(inner):
    keys = st.recursive(scalars.filter(_is_hashable), lambda each: st.tuples(each) | st.frozensets(each, max_size=2), max_leaves=2)
    return st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(keys, inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3).map(OrderedDict), st.sets(keys, max_size=3), st.sets(keys, max_size=3).map(frozenset),
        st.builds(Money, inner), st.builds(Money, inner, inner), st.builds(Twin, inner, inner), st.builds(Pair, inner, inner),
        st.builds(Slotted, inner, inner),
    )  # fmt: skip


def _is_hashable(value):
    return not isinstance(value, bytearray)


values = st.recursive(scalars | arrays, _containers, max_leaves=6)
names = st.sampled_from(["a", "b", "e", "f", "self", "rest", "d2"])


@st.composite
def calls(draw):
    """Draw the arguments of a call: positional ones and keywords."""
    args = draw(st.lists(values, min_size=1, max_size=5))
    kwargs = draw(st.dictionaries(names, values, max_size=2))
    if len(args) < 3 and draw(st.booleans()):
        kwargs["c"] = draw(values)
    if draw(st.booleans()):
        kwargs["d"] = draw(values)
    return tuple(args), kwargs


@given(calls(), calls())
def test_two_calls_have_one_key_exactly_when_their_arguments_are_the_same(one, other):
    keys = [spelled.key(*args, **kwargs) for args, kwargs in (one, other)]

    arguments = [bound(*args, **kwargs) for args, kwargs in (one, other)]
    assert (keys[0] == keys[1]) == same(*arguments)


@given(calls(), st.data())
def test_a_call_that_differs_in_one_argument_has_another_key(call, data):
    args, kwargs = call
    at = data.draw(st.integers(0, len(args) - 1))
    value = data.draw(values)
    assume(not same(value, args[at]))

    assert spelled.key(*args, **kwargs) != spelled.key(*args[:at], value, *args[at + 1 :], **kwargs)


@given(calls())
def test_every_spelling_of_a_call_has_the_same_key(call):
    args, kwargs = call
    a, b, c, rest, d, more = bound(*args, **kwargs)
    key = spelled.key(*args, **kwargs)

    assert spelled.key(a, b, c, *rest, d=d, **more) == key
    assert spelled.key(a, b, c, *rest, **dict(reversed(more.items())), d=d) == key
    if not rest:
        assert spelled.key(a, b, d=d, c=c, **more) == key


@given(values)
def test_a_copy_of_an_argument_has_the_same_key(value):
    assert spelled.key(_copied(value)) == spelled.key(value)


def _copied(value):
    """Return the same value of other objects, what has no order in another one."""
    if type(value) is dict:
        return {_copied(key): _copied(held) for key, held in reversed(value.items())}
    if type(value) in (set, frozenset):
        return type(value)(reversed([_copied(each) for each in value]))
    if type(value) in (list, tuple):
        return type(value)([_copied(each) for each in value])
    if isinstance(value, np.ndarray):
        return np.asfortranarray(value.copy())
    if type(value) is str:
        return "".join(list(value))
    return value
