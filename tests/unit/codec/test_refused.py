"""What would not come back the same is refused, with the path to it and what to do instead."""

from __future__ import annotations

import datetime as dt
import inspect
import io
import re
import sys
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from pydantic import HttpUrl

from afresh.codec.msgpack import MsgpackCodec
from afresh.errors import UnencodableValue
from tests.unit.codec.models import Box, Coin, Doubling, Pair, Point, Record

codec = MsgpackCodec()


class Zone(dt.tzinfo):
    def utcoffset(self, _moment: dt.datetime | None) -> None:
        return None


class Plain:
    pass


@dataclass
class Grown(list):
    size: int


@dataclass
class Failure(Exception):
    code: int


class Loud(Pair):
    pass


def sub(base: type, *arguments: object) -> object:
    return type("Sub", (base,), {})(*arguments)


def with_attribute(value: Any) -> Any:
    value.extra = 1
    return value


def cycle() -> list[object]:
    value: list[object] = [1]
    value.append({"again": value})
    return value


def cyclic_object() -> Point:
    point = Point(1)
    point.y = (point,)
    return point


def deep(levels: int, wrap: Any) -> object:
    value: object = 0
    for _ in range(levels):
        value = wrap(value)
    return value


Hidden = namedtuple("NotHidden", "a")  # noqa: PYI024  # its name leads nowhere


REFUSED: list[tuple[object, str, str]] = [
    (memoryview(b"a"), "value", r"return bytes"),
    ([1, {"a": (2, memoryview(b"b"))}], "value[1]['a'][1]", "return bytes"),
    ({"ok": 1, "k": [bytearray(), memoryview(b"")]}, "value['k'][1]", "return bytes"),
    (sub(int, 1), "value", "come back as int"),
    ([sub(str, "a")], "value[0]", "come back as str"),
    ({"a": sub(float, 1.0)}, "value['a']", "come back as float"),
    (sub(bytes, b"a"), "value", "come back as bytes"),
    (sub(list, [1]), "value", "come back as list"),
    (sub(dict, {1: 2}), "value", "come back as dict"),
    (sub(tuple, (1,)), "value", "come back as tuple"),
    (sub(set, {1}), "value", "come back as set"),
    (sub(OrderedDict), "value", "come back as OrderedDict"),
    (sub(deque), "value", "come back as deque"),
    (sub(dt.date, 2024, 1, 1), "value", "come back as date"),
    (sub(dt.datetime, 2024, 1, 1), "value", "come back as datetime"),
    (sub(Decimal, 1), "value", "come back as Decimal"),
    (sub(UUID, "0" * 32), "value", "come back as UUID"),
    ({sub(str, "a"): 1}, "value[…]", "come back as str"),
    ({(1, sub(int, 2)): 1}, "value[…][1]", "come back as int"),
    (sub(np.ndarray, (1,)), "value", "come back as ndarray"),
    (np.ma.array([1]), "value", "come back as ndarray"),
    (np.array([object()]), "value", "dtype object"),
    (np.zeros(2, "i4,i4"), "value", "dtype"),
    (np.void(b"a"), "value", "dtype"),
    (np.longlong(1), "value", "return .item()"),
    (dt.datetime(2024, 1, 1, tzinfo=Zone()), "value", "ZoneInfo"),
    (ZoneInfo.no_cache("Europe/Paris"), "value", "ZoneInfo\\(key\\)"),
    (defaultdict(lambda: 1), "value", "default_factory"),
    (defaultdict(partial(int, 3)), "value", "default_factory"),
    (with_attribute(OrderedDict()), "value", "attributes of its own"),
    (with_attribute(Counter()), "value", "attributes of its own"),
    (with_attribute(HttpUrl("http://a")), "value", "more than its text"),
    (with_attribute(Loud(1, 2)), "value", "attributes of its own"),
    (ChainMap({}), "value", "return dict"),
    (MappingProxyType({}), "value", "return dict"),
    ({}.keys(), "value", "return a list"),
    ((number for number in ()), "value", "return a list"),
    (map(int, ()), "value", "return a list"),
    (iter([]), "value", "only plain data"),
    (object(), "value", "only plain data"),
    (Plain(), "value", "only plain data"),
    (Plain, "value", "a class is not data"),
    (len, "value", "not data"),
    (cycle, "value", "not data"),
    (sys, "value", "not data"),
    (ValueError("a"), "value", "traceback"),
    (Failure(1), "value", "traceback"),
    (Grown(1), "value", "come back as list"),
    (io.BytesIO(b"a"), "value", "what is in it"),
    (re.compile("(a)").match("a"), "value", "only plain data"),
    (sys.version_info, "value", "come back as tuple"),
    (Hidden(1), "value", "annotate the return type"),
    (cycle(), "value[1]['again']", "contains itself"),
    (cyclic_object(), "value.y[0]", "contains itself"),
    (Point(1, [Coin("a", Record(object()))]), "value.y[0].worth.number", "only plain data"),
    (Pair(1, Box({"a": object()})), "value[1].inner['a']", "only plain data"),
    ([deque([0, object()])], "value[0][1]", "only plain data"),
    (defaultdict(list, {"k": object()}), "value['k']", "only plain data"),
    ({"someone@example.org": object(), "k" * 50: 1}, "value[…]", "only plain data"),
]


@pytest.mark.parametrize(("value", "path", "says"), REFUSED, ids=[f"{type(case[0]).__name__}-{n}" for n, case in enumerate(REFUSED)])
def test_values_that_would_change_are_refused(value: object, path: str, says: str) -> None:
    with pytest.raises(UnencodableValue, match=says) as caught:
        codec.encode(value)

    assert caught.value.path == path
    assert "cannot be cached faithfully" in str(caught.value)


def test_pandas_is_refused_with_the_way_out() -> None:
    for value in (pd.DataFrame({"a": [1]}), pd.Series([1]), pd.Timestamp(0), [pd.NaT]):
        with pytest.raises(UnencodableValue, match="to_dict"):
            codec.encode(value)


@pytest.mark.parametrize(
    "wrap",
    [lambda value: [value], lambda value: {"a": value}, lambda value: (value,), Point, Pair],
    ids=["list", "dict", "tuple", "dataclass", "named tuple"],
)
def test_nesting_beyond_what_the_parser_takes_is_refused(wrap: Any) -> None:
    with pytest.raises(UnencodableValue, match="nested deeper than 255 levels"):
        codec.encode(deep(300, wrap))


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: (value,), Point], ids=["list", "tuple", "dataclass"])
def test_a_program_that_lifted_the_recursion_limit_is_not_crashed(wrap: Any) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        with pytest.raises(UnencodableValue, match="nested deeper than 255 levels"):
            codec.encode(deep(50_000, wrap))
    finally:
        sys.setrecursionlimit(limit)


def test_a_caller_near_the_end_of_its_stack_gets_a_refusal() -> None:
    value = deep(60, lambda inner: (inner,))

    def with_frames_left(frames: int, depth: int) -> bytes:
        return codec.encode(value) if depth + frames >= sys.getrecursionlimit() else with_frames_left(frames, depth + 1)

    with pytest.raises(UnencodableValue, match="nested deeper"):
        with_frames_left(60, len(inspect.stack()))


def test_a_value_that_cannot_be_read_is_refused() -> None:
    broken = Doubling(number=1)
    del broken.number

    with pytest.raises(UnencodableValue, match="reading it raised AttributeError"):
        codec.encode([broken])


def test_the_path_of_a_deep_part_is_shortened() -> None:
    with pytest.raises(UnencodableValue) as caught:
        codec.encode(deep(200, lambda value: [value] if value else [object()]))

    assert caught.value.path == "value" + "[0]" * 6 + "…" + "[0]" * 6


def test_no_part_of_the_value_is_in_the_message() -> None:
    with pytest.raises(UnencodableValue) as caught:
        codec.encode({"hunter2@example.org": {"token": sub(str, "hunter2")}, ("hunter2",): "hunter2"})

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
