from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from afresh.near.sharing import immutable_bytes


class Colour(Enum):
    RED = 1


class Text(str):
    __slots__ = ("note",)


class Zone(dt.tzinfo):
    pass


class Pair(NamedTuple):
    a: int
    b: int


IMMUTABLE = [
    "text",
    b"bytes",
    1,
    2**100,
    1.5,
    1j,
    True,
    None,
    Decimal("1.10"),
    Fraction(1, 3),
    UUID(int=1),
    Colour.RED,
    (),
    frozenset({1, 2.5}),
    dt.date(2020, 1, 1),
    dt.timedelta(1),
    dt.time(1, 2),
    dt.datetime(2020, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None),
    dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    dt.datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    (1, ("a", (None, b"x"))),
]
CHANGEABLE = [[], {}, set(), bytearray(), object(), Text("x"), ([],), frozenset({(1, Text("x"))}), Pair(1, 2), dt.time(1, tzinfo=Zone())]


@pytest.mark.parametrize("value", IMMUTABLE, ids=repr)
def test_what_nobody_can_change_is_shared(value):
    assert immutable_bytes(value) is not None


@pytest.mark.parametrize("value", CHANGEABLE, ids=lambda value: type(value).__name__)
def test_what_somebody_could_change_is_not(value):
    assert immutable_bytes(value) is None


def test_a_large_value_counts_with_all_that_is_in_it():
    assert immutable_bytes(("x" * 1000, (b"y" * 1000,))) > 2000
