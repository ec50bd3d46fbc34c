"""Integers as digits."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from afresh.codec.integers import decode_int, encode_int
from afresh.errors import UndecodablePayload

EDGES = [
    0,
    1,
    -1,
    9,
    10,
    2**63,
    -(2**64),
    *(sign * 10**power + step for sign in (1, -1) for power in (640, 3_999, 4_000, 5_000) for step in (-1, 0, 1)),
]


@pytest.fixture(params=[640, 4_300, 0])
def limit(request: pytest.FixtureRequest) -> Iterator[int]:
    """Digits up to which Python converts: the least a program can set, the default, no limit."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(request.param)
    yield request.param
    sys.set_int_max_str_digits(before)


@pytest.mark.parametrize("number", range(len(EDGES)))
def test_integers_of_any_size_come_back_under_any_limit(number: int, limit: int) -> None:
    assert decode_int(encode_int(EDGES[number])) == EDGES[number]
    assert decode_int(memoryview(encode_int(EDGES[number]))) == EDGES[number]
    assert sys.get_int_max_str_digits() == limit


@given(st.integers())
def test_digits_are_what_python_writes(number: int) -> None:
    assert encode_int(number) == str(number).encode()


def test_beyond_four_thousand_digits_they_are_hexadecimal() -> None:
    assert encode_int(10**4_000 - 1) == b"9" * 4_000
    assert encode_int(10**4_000) == hex(10**4_000).encode()
    assert encode_int(-(10**4_000)).startswith(b"-0x")


def test_a_million_digits_take_no_time() -> None:
    huge = 1 << 4_000_000

    assert decode_int(encode_int(huge)) == huge


OTHERS = [
    "",
    "-",
    "+1",
    " 1",
    "1 ",
    "1\n",
    "01",
    "-0",
    "1_000",
    "0x",
    "0x0",
    "0xF",
    "0X1",
    "-0x01",
    "1.0",
    "1e3",
    "True",
    "٣",
    "nan",
    "9" * 4_001,
]


@pytest.mark.parametrize("payload", [text.encode() for text in OTHERS], ids=repr)
def test_anything_else_is_no_integer(payload: bytes) -> None:
    with pytest.raises(UndecodablePayload, match="no integer"):
        decode_int(payload)


@given(st.binary())
def test_random_bytes_are_an_integer_in_one_spelling_only(payload: bytes) -> None:
    try:
        number = decode_int(payload)
    except UndecodablePayload:
        return
    assert encode_int(number) == payload
