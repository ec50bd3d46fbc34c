"""Whole entries: what is stored under a key comes back equal and of the same type, or is not stored; damaged ones are misses."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing
import warnings
from decimal import Decimal

import attrs
import pydantic
from hypothesis import given, strategies as st

from afresh import Cache, SignedPickle, UnencodableValue
from afresh.core.ops import Put
from afresh.runtime.run_now import run_now
from tests.unit.codec.models import same
from tests.unit.codec.test_msgpack import values

MISSING = object()
st.register_type_strategy(Decimal, st.decimals(allow_nan=False))  # what is not a number is tested by itself: it equals nothing


@dataclasses.dataclass
class Address:
    street: str
    number: int | None = None
    tags: frozenset[str] = frozenset()


@attrs.define
class Parcel:
    weight: Decimal
    to: Address
    sent: dt.datetime | None = None


class Order(pydantic.BaseModel):
    id: int
    lines: dict[str, tuple[int, Decimal]] = {}
    note: str | bytes | None = None


class Box(typing.NamedTuple):
    inside: list[Address]
    on: dt.date


class Options(typing.TypedDict, total=False):
    size: int
    colours: set[str]


ANNOTATIONS = [
    int, float, str, bytes, Decimal, dt.datetime, dt.timedelta, list[int], tuple[int, ...], dict[str, Decimal], dict[int, str], set[bytes],
    Address, Parcel, Box, Options, Address | Parcel | None, list[Box], dict[str, list[Address | int]], tuple[Address, Decimal], object,
]  # fmt: skip


def kept_by(cache: Cache, kind: object, value: object) -> object:
    """Return what a second call gets for a value that a first one computed; MISSING if it was not kept."""
    computed: list[object] = []

    def compute(n: int) -> object:
        computed.append(value)
        return value

    compute.__annotations__["return"] = kind
    function = cache.memoize(name="f")(compute)
    function.invalidate_all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = [function(1), function(1)]
    assert got[0] is value, "the leader's own"
    return got[1] if len(computed) == 1 else MISSING


@given(values)
def test_what_a_call_returned_comes_back_the_same(value: object) -> None:
    with Cache("memory://") as cache:
        got = kept_by(cache, None, value)

    assert got is not MISSING
    assert same(got, value)


@given(st.sampled_from(ANNOTATIONS).flatmap(lambda kind: st.tuples(st.just(kind), st.from_type(kind))))
def test_what_a_typed_function_returned_comes_back_the_same(drawn: tuple[object, object]) -> None:
    kind, value = drawn
    with Cache("memory://") as cache:
        got = kept_by(cache, kind, value)

    assert got is MISSING or same(got, value)


@given(st.sampled_from(ANNOTATIONS), st.sampled_from(ANNOTATIONS).flatmap(st.from_type))
def test_an_annotation_that_does_not_hold_changes_nothing(kind: object, value: object) -> None:
    with Cache("memory://") as cache:
        got = kept_by(cache, kind, value)

    assert got is MISSING or same(got, value)


@given(value=values, data=st.data())
def test_a_damaged_entry_is_a_value_or_a_miss(value: object, data: st.DataObject) -> None:
    """Never an exception."""
    _damage(Cache("memory://"), value, data)


@given(value=values, data=st.data())
def test_a_damaged_signed_entry_is_a_miss_or_what_it_was(value: object, data: st.DataObject) -> None:
    got = _damage(Cache("memory://", codec=SignedPickle("0123456789abcdef")), value, data)

    assert got is MISSING or same(got, value)


def _damage(cache: Cache, value: object, data: st.DataObject) -> object:
    with cache:
        try:
            cache.set("k", value)
        except UnencodableValue:
            return MISSING
        store = cache._engine.stores._memory
        names = cache._keyed("k").names
        raw = bytearray(store._data[names.value][0])
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(raw)))
            raw[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        run_now(store.flight([Put(names.value, names.lease, bytes(raw), 1000)]))
        return cache.get("k", MISSING)
