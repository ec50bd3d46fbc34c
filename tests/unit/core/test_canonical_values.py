"""Values of the standard library: equal ones have one encoding, all others different ones."""

from __future__ import annotations

import array
import collections
import copy
import datetime as dt
import io
import ipaddress
import operator
import pathlib
import pickle
import re
import time
import types
import uuid
import zoneinfo
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from afresh.core.canonical import encode
from afresh.errors import UnkeyableArgument

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOON = dt.datetime(2024, 7, 1, 12)  # noqa: DTZ001  # naive ones are arguments too


class MyInt(int):
    pass


class MyTuple(tuple):
    __slots__ = ()


class MyZone(dt.tzinfo):
    def __init__(self, hours=0):
        self.hours = hours

    def utcoffset(self, _):
        return dt.timedelta(hours=self.hours)


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024  # the untyped kind is under test


def ordered(*items):
    return collections.OrderedDict(items)


# Every value here differs from every other one: in type, or in something that a program can read off it.
DISTINCT = [
    *(None, True, False, 0, 1, -1, 0.0, -0.0, 1.0, 0j, complex(0, -0.0), 1 + 0j, float("inf"), float("-inf"), float("nan")),
    *("", "0", "1", "None", "a", "b", "a\0", "\ud800", "\ufffd", "1.0", b"", b"1", b"a", bytearray(b""), bytearray(b"1")),
    *(2**63, -(2**63), 10**5000, 10**5000 + 1, MyInt(1), ..., NotImplemented),
    *((), [], set(), frozenset(), {}, (1,), [1], {1}, frozenset({1}), {1: None}, (None,), [None]),
    *(("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"), ("a", ("b", "c")), (("a", "b"), "c"), ["a", "bc"], ("a:b",), "a:b"),
    *((1, True), (True, 1), ((),), ([],), [()], [[]], {"a": 1}, {"a": True}, {"a": (1,)}, {"a": [1]}, (("a", 1),), [("a", 1)]),
    *({1: "a"}, {1.0: "a"}, {True: "a"}, {"1": "a"}, {b"1": "a"}, {"a": {"b": 1}}, {"a": 1, "b": 2}, {"a": 2, "b": 1}),
    *(MyTuple((1, 2)), (1, 2), Point(1, 2), Point(2, 1)),
    *(ordered(), ordered(("a", 1), ("b", 2)), ordered(("b", 2), ("a", 1)), collections.Counter(), collections.Counter("ab")),
    *(collections.defaultdict(int), collections.defaultdict(list), collections.defaultdict(None, a=1), collections.ChainMap()),
    *(collections.UserDict(a=1), collections.UserList([1]), collections.UserString("a"), collections.ChainMap({"a": 1})),
    *(types.MappingProxyType({}), types.MappingProxyType({"a": 1}), types.SimpleNamespace(), types.SimpleNamespace(a=1)),
    *(collections.deque(), collections.deque([1]), collections.deque([1], 5), collections.deque([1], 6)),
    *(range(0), range(1), range(1, 1), range(0, 4, 2), slice(1), slice(0, 1), slice(0, 1, 1), slice("a")),
    *(memoryview(b"ab").cast("H"), memoryview(b"ab").cast("b")),
    *(memoryview(b""), memoryview(b"ab"), array.array("b", b"ab"), array.array("B", b"ab")),
    *(memoryview(bytes(4)).cast("B", [2, 2]), memoryview(bytes(4)).cast("B", [1, 4]), memoryview(bytes(4)), array.array("d", [1.5])),
    *(Decimal(1), Decimal("1.0"), Decimal("1.00"), Decimal("-0"), Decimal(0), Decimal("0E+1"), Decimal("Infinity")),
    *(Decimal("-Infinity"), Decimal("NaN"), Decimal("-NaN"), Decimal("NaN1"), Decimal("sNaN"), Decimal("1E+999"), Decimal(12)),
    *(Fraction(1), Fraction(1, 2), Fraction(-1, 2), Fraction(2)),
    *(dt.date(2024, 7, 1), dt.date(2024, 1, 7), NOON, NOON.replace(fold=1), NOON.replace(microsecond=1), NOON.replace(day=2)),
    *(NOON.replace(tzinfo=zone) for zone in (dt.UTC, dt.timezone(dt.timedelta(hours=2)), PARIS, BERLIN, MyZone(1), MyZone(2))),
    *(NOON.replace(tzinfo=PARIS, fold=1), NOON.replace(hour=14, tzinfo=PARIS), NOON.replace(tzinfo=zoneinfo.ZoneInfo("UTC"))),
    *(dt.time(12), dt.time(12, fold=1), dt.time(12, tzinfo=dt.UTC), dt.time(0, 12), dt.time.max),
    *(dt.timedelta(), dt.timedelta(1), dt.timedelta(0, 1), dt.timedelta(0, 0, 1), dt.timedelta(-1)),
    *(dt.UTC, dt.timezone(dt.timedelta(0), "GMT"), dt.timezone(dt.timedelta(microseconds=1)), PARIS, BERLIN, MyZone(1), MyZone(2)),
    *(uuid.UUID(int=1), uuid.UUID(int=2), str(uuid.UUID(int=1))),
    *(pathlib.PurePosixPath("a"), pathlib.PurePosixPath("/a"), pathlib.PurePosixPath("//a"), pathlib.PurePosixPath("a/b")),
    *(pathlib.PureWindowsPath("a"), pathlib.PureWindowsPath("A"), pathlib.PureWindowsPath("c:"), pathlib.PureWindowsPath("c:\\")),
    *(pathlib.Path("a"), pathlib.Path("../a"), pathlib.Path()),
    *(re.compile("a"), re.compile("b"), re.compile("a", re.IGNORECASE), re.compile(b"a")),
    *(operator.itemgetter(1), operator.itemgetter("1"), operator.itemgetter(1, 2), operator.attrgetter("a"), operator.attrgetter("a.b")),
    *(operator.methodcaller("a"), operator.methodcaller("a", 1), operator.methodcaller("a", b=1)),
    *map(ipaddress.ip_address, ("1.2.3.4", "1.2.3.5", "::1", "::1%eth0", "::1.2.3.4")),
    *map(ipaddress.ip_network, ("1.2.3.4", "1.2.3.0/24", "1.2.0.0/16", "::/64")),
    *map(ipaddress.ip_interface, ("1.2.3.4", "1.2.3.4/24", "1.2.3.4/16", "::1/64")),
    *(time.gmtime(0), time.gmtime(1), time.struct_time(tuple(time.gmtime(0)))),
]  # fmt: skip


def test_distinct_values_have_distinct_encodings():
    seen: dict[bytes, object] = {}
    for value in DISTINCT:
        other = seen.setdefault(encode(value), value)
        assert other is value, f"{value!r} and {other!r} share an encoding"


def test_no_encoding_begins_another():
    encodings = sorted(map(encode, DISTINCT))

    assert not any(after.startswith(before) for before, after in pairwise(encodings))


def test_copies_have_the_encoding_of_the_original():
    for value in DISTINCT:
        if not isinstance(value, memoryview | types.MappingProxyType):
            assert encode(copy.deepcopy(value)) == encode(value), value
            assert encode(pickle.loads(pickle.dumps(value))) == encode(value), value


SAME = {
    "order of a dict": ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
    "order of a set": (set("abcdefgh"), set("hgfedcba")),
    "history of a set": ({8, 0}, {0, 8}),
    "order in the depths": ([{(frozenset({1, 9, 17}), "x"): {"b": 1, "a": 2}}], [{(frozenset({17, 9, 1}), "x"): {"a": 2, "b": 1}}]),
    "order of a counter": (collections.Counter("abb"), collections.Counter("bba")),
    "one int": (10**30, 10**15 * 10**15),
    "readonly and writable memory": (memoryview(b"ab"), memoryview(bytearray(b"ab"))),
    "a sliced view and its copy": (memoryview(b"axbx")[::2], memoryview(b"ab")),
    "an offset, spelled out": (dt.timezone(dt.timedelta(0)), dt.timezone(dt.timedelta(0), "UTC")),
    "zones however made": (PARIS, zoneinfo.ZoneInfo.no_cache("Europe/Paris")),
    "paths however spelled": (pathlib.Path("a//b/./c"), pathlib.Path("a", "b", "c")),
    "fractions in lowest terms": (Fraction(1, 2), Fraction(2, 4)),
    "moved to the end": (ordered(("b", 2), ("a", 1)), ordered(("a", 1), ("b", 2))),
}
SAME["moved to the end"][1].move_to_end("a")


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_equal_values_have_one_encoding(one, other):
    assert encode(one) == encode(other)


def test_memory_of_several_dimensions_is_encoded_row_by_row():
    plane = memoryview(bytes(range(6))).cast("B", [2, 3])

    assert b"r6:" + bytes(range(6)) in encode(plane)


def test_attributes_set_on_a_library_value_are_part_of_it():
    marked = ordered(("a", 1))
    marked.mark = [2]

    assert encode(marked) not in {encode(ordered(("a", 1))), encode(ordered(("a", 1), ("mark", [2])))}


def test_a_zone_without_a_key_is_refused():
    utc = b"TZif" + bytes(35) + b"\1\0\0\0\4" + bytes(6) + b"UTC\0"
    nameless = zoneinfo.ZoneInfo.from_file(io.BytesIO(utc))

    with pytest.raises(UnkeyableArgument, match="has no key"):
        encode(nameless)


def test_a_subclass_whose_additions_cannot_be_told_is_refused():
    class Tagged(ipaddress.IPv4Network):
        pass

    with pytest.raises(UnkeyableArgument, match="cannot be told from that class's own"):
        encode(Tagged("10.0.0.0/8"), "net")
