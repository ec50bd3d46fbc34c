"""Pickle by name: what fails is refused or a miss."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import pytest
from hypothesis import given, strategies as st

from afresh.codec.pickle import PickleCodec
from afresh.errors import UndecodablePayload, UnencodableValue

codec = PickleCodec()


class Awkward:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


class Raising:
    def __reduce__(self) -> Any:
        return (int, ("no number",))


def test_what_msgpack_refuses_comes_back() -> None:
    shared: list[object] = []
    value = codec.decode(codec.encode({"error": ValueError("a"), "twins": [shared, shared], "class": int}))

    assert (repr(value["error"]), value["class"]) == ("ValueError('a')", int)
    assert value["twins"][0] is value["twins"][1]
    assert codec.decode(memoryview(codec.encode(1))) == 1


UNPICKLABLE = {
    "lambda": lambda: 1,
    "module": sys,
    "generator": (item for item in ()),
    "error": Awkward(ZeroDivisionError),
    "recursion": Awkward(RecursionError),
}
UNLOADABLE = {
    "empty": b"",
    "junk": b"junk",
    "raising": codec.encode(Raising()),
    "cut": codec.encode([1, 2])[:-3],
    "module": b"cno_such_module\nname\n.",
    "name": b"cos\nno_such_name\n.",
}


@pytest.mark.parametrize("value", UNPICKLABLE.values(), ids=UNPICKLABLE)
def test_what_pickle_refuses_is_unencodable(value: object) -> None:
    with pytest.raises(UnencodableValue, match="pickle raised"):
        codec.encode(value)


def test_interrupts_pass() -> None:
    with pytest.raises(KeyboardInterrupt):
        codec.encode(Awkward(KeyboardInterrupt))


@pytest.mark.parametrize("payload", UNLOADABLE.values(), ids=UNLOADABLE)
def test_what_does_not_load_is_undecodable(payload: bytes) -> None:
    with pytest.raises(UndecodablePayload):
        codec.decode(payload)


@given(st.binary(max_size=20).filter(lambda payload: not {*b"ciRoQPj\x93\x81\x92\x94"} & {*payload}))  # none that loads or calls
def test_random_bytes_are_undecodable_or_a_value(payload: bytes) -> None:
    with contextlib.suppress(UndecodablePayload):
        codec.decode(payload)
