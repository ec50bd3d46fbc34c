"""What comes back equals what went in and is of the same type, all the way down."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import threading
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import ormsgpack
import pytest
from hypothesis import given, strategies as st
from pydantic import AnyUrl, HttpUrl, PostgresDsn

from afresh.codec.msgpack import MsgpackCodec
from tests.unit.codec.models import (
    Box,
    Callback,
    Checked,
    Coin,
    Color,
    Doubling,
    Ids,
    Item,
    ItemShelf,
    Level,
    Loose,
    Mixed,
    Mode,
    Pair,
    Place,
    Point,
    Purse,
    Record,
    Right,
    Slotted,
    Strict,
    Triple,
    Word,
    same,
)

codec = MsgpackCodec()
naive = dt.datetime.fromisoformat
paris = ZoneInfo("Europe/Paris")


def round_trip(value: object) -> object:
    return codec.decode(codec.encode(value))


def aged_place() -> Place:
    place = Place(1, 2, ["a"])
    place.seen, place.nickname, _ = 7, "extra", place.size
    return place


def loose() -> Loose:
    struct = Loose("Ada")
    struct.extra = (1, 2)
    return struct


def twins() -> list[list[int]]:
    twin = [1]
    return [twin, twin]


PLAIN = [None, True, False, 0, -1, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 1e300, float("inf"), float("nan"), "", "é\0😀",
         b"", b"\xff", [], {}, [[]], {"": {}}, {"b": 1, "a": [None, {"c": "Łódź"}]}, "x" * 70_000, b"x" * 70_000, [b"", "", 1.5],
         twins()]  # fmt: skip

NUMBERS = [2**64, -(2**63) - 1, 10**5_000, -(10**5_000), [2**70], {"a": 2**70}, 1j, complex(-0.0, 0.0), complex("nan"),
           Decimal("1.10"), Decimal("-0E+5"), Decimal("sNaN12"), Decimal("-Infinity"), Decimal("1E+999999"), Fraction(-1, 3),
           Fraction(2**80, 3), Level.LOW, Mode.A | Mode.B, Mode(0), Mode(8)]  # fmt: skip

TEXT = ["\ud800", ["a", "\udcff"], {"\ud800": "a"}, {"a": "\ud800", "b": 2**70}, bytearray(b""), bytearray(b"ab"), [bytearray(b"a"), b"a"],
        {"deep": [{"er": bytearray(b"x")}]}, re.compile("a(b)", re.IGNORECASE), re.compile(rb"\d", re.ASCII), Word.YES]  # fmt: skip

CONTAINERS = [(), (1,), ((), [()]), [(1, 2)], set(), {1, "a", (2, 3)}, frozenset({frozenset()}), deque([1], 3), deque(), deque([[]]),
              OrderedDict(b=1, a=(2,)), OrderedDict(), defaultdict(list, {"a": [1]}), defaultdict(None, {1: (2,)}), defaultdict(int),
              Counter("aab"), Counter({"a": -1}), range(5), range(0, -10, -3), range(2**70), slice(None, 2), slice((1,), 2, 3), ...,
              SimpleNamespace(a=(1,), b=None), array("d", [1.5, -0.0]), array("H", [1, 2]), array("q")]  # fmt: skip

KEYS = [{1: "a", 2: "b"}, {1: 1, "1": 2, b"1": 3, (1,): 4}, {True: 1, "True": 2}, {None: 0}, {1.5: 0, -0.0: 1}, {2**70: 1},
        {Color.RED: 1, Level.LOW: 2, Word.YES: 3}, {(1, (2, "a")): [1]}, {frozenset({1}): 1}, {UUID(int=1): 1}, {dt.date(1, 1, 1): 1},
        {Decimal(1): 1}, {Slotted(1): Slotted(2)}, {"z": 1, 3: 2, "a": 3}, {Coin("head"): [Coin("tail")]}, {"": (1,), 0: ()}]  # fmt: skip

TIMES = [naive("0001-01-01"), naive("9999-12-31T23:59:59.999999"), dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
         dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-5, seconds=1, microseconds=2))),
         naive("2024-01-01").replace(fold=1),
         dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")), dt.datetime(2024, 10, 27, 2, 30, tzinfo=paris),
         dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=paris), dt.datetime(2024, 1, 1, fold=1, tzinfo=dt.UTC), dt.date.max, dt.date.min,
         dt.time(1, 2, 3, 4), dt.time(1, tzinfo=dt.UTC), dt.time(1, fold=1), dt.time(0, tzinfo=paris), dt.timedelta.min, dt.timedelta.max,
         dt.timedelta(microseconds=-1), dt.UTC, dt.timezone(dt.timedelta(hours=2)), dt.timezone(dt.timedelta(0), "Z"), paris]  # fmt: skip

NAMES = [UUID(int=2**128 - 1), Path("/a/b"), Path(), Path("a\udcff"), PurePosixPath("a//b/../c"), PureWindowsPath(r"C:\x"),
         ip_address("1.2.3.4"), ip_address("fe80::1%eth0"), ip_network("10.0.0.0/8"), ip_network("::/0"), ip_interface("1.2.3.4/24"),
         ip_interface("fe80::1%eth0/64")]  # fmt: skip

OBJECTS = [Point(1, (2, 3)), [Point(1), Point(Point(2))], aged_place(), Slotted(1), Slotted([Slotted(())]), Strict(4), Box[int](3),
           Mixed(1, (2,)), Coin("head", {1}), Purse([Coin("tail"), Coin("head")]), Color.RED, Color.CRIMSON, Color.GREEN, [Color.RED] * 3,
           Right.READ | Right.WRITE, Right(0), Pair("a", [1]), Pair({"k": 1}, Pair(2)), Triple(1, (2,), 3), Item(name="a"),
           Item(name="a", tags=["b"], more=(1, 2)), Item(name="a", more=float("nan")),
           ItemShelf(items=[Item(name="a")]), Ids([1, 2]), Checked(3), Record(1, "a"), loose(),
           HttpUrl("http://é.example/a?b=c#d"), AnyUrl("a:b"), PostgresDsn("postgres://u:p@h1:1,h2:2/db"), [Callback("https://h")],
           Doubling(number=2), {"mixed": [Point(Pair(Coin("a")), Record(1)), Color.RED, Point(Color.RED)]}]  # fmt: skip

ARRAYS = [np.arange(6).reshape(2, 3), np.arange(6.0)[::2], np.asfortranarray(np.eye(3)), np.array(5), np.zeros((0, 3)), np.array([True]),
          np.array(["a", "bcd", "😀"]), np.array([b"a"]), np.array(["2024-01-01", "NaT"], "datetime64[ns]"), np.array([1], ">i4"),
          np.array([1j, -0.0]), np.float32(1.5), np.float64("nan"), np.int8(-1), np.bool_(True), np.str_("é"), np.str_(""), np.bytes_(b"x"),
          np.datetime64("2024-01-01", "D"), np.timedelta64(5, "ms"), np.float16(1), np.longdouble(1), [np.int64(1), 1]]  # fmt: skip


EXAMPLES = [*PLAIN, *NUMBERS, *TEXT, *CONTAINERS, *KEYS, *TIMES, *NAMES, *OBJECTS, *ARRAYS]


@pytest.mark.parametrize("value", EXAMPLES, ids=[f"{type(value).__name__}-{number}" for number, value in enumerate(EXAMPLES)])
def test_what_comes_back_is_the_same(value: object) -> None:
    payload = codec.encode(value)

    assert same(codec.decode(payload), value)
    assert same(codec.decode(memoryview(b"header" + payload)[6:]), value)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=2**62), st.text(), st.text(st.characters(categories=["Cs", "L"])),
    st.binary(), st.floats(allow_nan=False), st.decimals(allow_nan=False), st.fractions(), st.dates(), st.timedeltas(), st.uuids(),
    st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=False), st.times(), st.complex_numbers(allow_nan=False),
    st.ip_addresses(), st.sampled_from([*Color, *Level, *Right, Mode(3), ...]),
)  # fmt: skip


def containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    hashable = st.recursive(
        scalars, lambda items: st.tuples(items) | st.frozensets(items, max_size=3) | st.builds(Slotted, items), max_leaves=3
    )
    return st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(hashable, inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=4).map(OrderedDict), st.lists(inner).map(deque), st.sets(hashable, max_size=4),
        st.builds(Point, inner, inner), st.builds(Slotted, inner), st.builds(Pair, inner, inner), st.builds(Coin, inner, inner),
        st.builds(Record, inner), st.builds(Item, name=st.text(st.characters(codec="utf-8")), more=inner), st.binary().map(bytearray),
        st.builds(SimpleNamespace, a=inner), st.builds(lambda value: defaultdict(list, {"a": value}), inner),
    )  # fmt: skip


values = st.recursive(scalars | st.floats(), containers, max_leaves=12)


@given(values)
def test_what_comes_back_is_the_same_whatever_it_is(value: object) -> None:
    assert same(round_trip(value), value)


@given(values)
def test_encoding_leaves_the_value_as_it_is(value: object) -> None:
    before = codec.encode(value)

    assert codec.encode(value) == before


def test_plain_trees_are_what_ormsgpack_makes_of_them() -> None:
    value = {"id": 7, "tags": ["a", None, True, 1.5], "address": {"city": "London"}}

    assert codec.encode(value) == ormsgpack.packb(value)


def test_plain_trees_take_no_step_of_python_more_than_ormsgpack() -> None:
    value = {"id": 7, "tags": ["a", None, True, 1.5], "address": {"city": "London"}}
    payload = codec.encode(value)
    steps: list[str] = []

    sys.setprofile(lambda frame, event, arg: steps.append(frame.f_code.co_name) if event == "call" else None)
    codec.encode(value)
    codec.decode(payload)
    sys.setprofile(None)

    assert steps == ["encode", "decode"]


def test_each_decoding_gives_its_own_objects() -> None:
    payload = codec.encode([Point([1])])
    first = codec.decode(payload)
    first[0].x.append(2)

    assert codec.decode(payload) == [Point([1])]


def test_rebuilding_runs_no_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = codec.encode([Strict(1), Item(name="a")])
    for cls in (Strict, Item):
        monkeypatch.setattr(cls, "__init__", None)
    monkeypatch.setattr(Strict, "__post_init__", None)

    strict, item = codec.decode(payload)

    assert (strict.amount, item.name, item.model_fields_set, item._secret) == (2, "a", {"name"}, 3)


def test_a_hash_that_attrs_remembers_is_not_carried_to_other_processes() -> None:
    coin = Coin("head")
    hash(coin)
    copy = round_trip(coin)

    assert copy._attrs_cached_hash is None
    assert hash(copy) == hash(coin)


def test_what_pydantic_knows_of_a_model_comes_back() -> None:
    item = Item(name="a", more=1)
    item._secret = 9
    copy = round_trip(item)

    assert (copy.__pydantic_private__, copy.__pydantic_extra__, copy.model_fields_set) == ({"_secret": 9}, {"more": 1}, {"name", "more"})


def test_arrays_come_back_writable() -> None:
    array = round_trip(np.frombuffer(b"1234", "u1"))
    array[0] = 7

    assert array[0] == 7


def test_threads_share_a_codec() -> None:
    shared, wrong = MsgpackCodec(), []

    def work(number: int) -> None:
        value = [Point(number, Coin(str(number))), Color.RED]
        wrong.extend(value for _ in range(200) if shared.decode(shared.encode(value)) != value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


def test_another_process_with_another_hash_seed_reads_what_we_wrote() -> None:
    value = {"set": {"a", "b"}, "coin": Coin("head"), "points": [Point(1, (2,))], Color.RED: Decimal(1)}
    code = f"""
from tests.unit.codec.models import *
from decimal import Decimal
from afresh.codec.msgpack import MsgpackCodec
value = MsgpackCodec().decode(bytes.fromhex("{codec.encode(value).hex()}"))
assert value == {{"set": {{"a", "b"}}, "coin": Coin("head"), "points": [Point(1, (2,))], Color.RED: Decimal(1)}}, value
assert hash(value["coin"]) == hash(Coin("head"))
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONHASHSEED": "5", "PYTHONPATH": ":".join(sys.path)})


@pytest.mark.parametrize("levels", [100, 250])
def test_deep_trees_come_back(levels: int) -> None:
    value: object = ()
    for _ in range(levels):
        value = [value]

    assert same(round_trip(value), value)


def test_importing_the_codec_loads_no_library_whose_types_it_keeps() -> None:
    code = "import sys, afresh.codec.msgpack; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    assert not set(loaded) & {"attr", "decimal", "fractions", "msgspec", "numpy", "pandas", "pydantic", "zoneinfo", "zstandard"}
