"""Arguments that are told apart, and calls that are one call: what no key may mix up and none may tell apart.

A module of its own, so that other processes can import it and say what their keys are.
"""

from __future__ import annotations

import abc
import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import math
import pathlib
import re
import types
import typing
import uuid
import zoneinfo

import attrs
import numpy as np
import pandas as pd
import pydantic

NAIVE = dt.datetime(2024, 7, 1)  # noqa: DTZ001  # naive ones are arguments, too
PARIS, BERLIN = zoneinfo.ZoneInfo("Europe/Paris"), zoneinfo.ZoneInfo("Europe/Berlin")
WORDS = ["words", "whose", "order", "in", "a", "set", "depends", "on", "the", "hash", "seed", "of", "this", "process"]


class Colour(enum.Enum):
    RED = 1
    BLUE = "1"
    CRIMSON = 1  # noqa: PIE796  # an alias is one argument with its original


class Shade(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    RED = 1


class Word(enum.StrEnum):
    RED = "1"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Number(int):
    pass


class Text(str):
    __slots__ = ()


class Pair(typing.NamedTuple):
    x: object
    y: object = None


class OtherPair(typing.NamedTuple):
    x: object
    y: object = None


@dataclasses.dataclass
class Point:
    x: object
    y: object = dataclasses.field(default=None, compare=False, repr=False)  # what == and repr overlook counts, too


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: object
    y: object = None


@dataclasses.dataclass
class SubPoint(Point):
    z: object = None


@attrs.define
class Attrs:
    x: object
    y: object = attrs.field(default=None, eq=False)


class Model(pydantic.BaseModel):
    x: typing.Any
    y: typing.Any = None


class Tenant:
    """Two objects with one identity of their own."""

    def __init__(self, name, connection=None):
        self.name = name
        self.connection = connection

    def __cache_key__(self):
        return self.name

    def method(self):
        return self.name


class OtherTenant(Tenant):
    pass


class Shape(abc.ABC):  # noqa: B024  # only its name is used
    pass


def function(x, y=1):
    return x, y


def adder(n):
    def add(x):
        return x + n

    return add


def one_line():
    return (lambda x: x + 1), (lambda x: x + 2), (lambda x, y=1: x), (lambda x, y=2: x)


def frame(**changes):
    return pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [1.5, None]} | changes)


def _array(**changes):
    return np.array([[1, 2], [3, 4]], **changes)


def _large(at):
    """Return an array whose repr leaves out where it differs."""
    large = np.zeros(100_000)
    large[at] = 1
    return large


# Each gives arguments that are different calls, all of them; and the same ones each time that it is called.
DIFFERENT = {
    "numbers": lambda: [
        *(0, 0.0, -0.0, False, 0j, complex(0.0, -0.0), complex(-0.0, 0.0), decimal.Decimal(0), decimal.Decimal("-0")),
        *(
            fractions.Fraction(0),
            1,
            1.0,
            True,
            1 + 0j,
            "1",
            b"1",
            Number(1),
            Text("1"),
            decimal.Decimal(1),
            decimal.Decimal("1.0"),
            fractions.Fraction(1),
        ),
        *(np.int64(1), np.int32(1), np.float64(1), np.float32(1), np.bool_(True), Colour.RED, Level.RED, Word.RED),
        *(0.1 + 0.2, 0.3, math.nextafter(1.0, 2.0), -1, -1.0, 1e16, 10**16, math.inf, -math.inf, math.nan, "nan", None, "None"),
    ],
    "huge ints": lambda: [10**5000, 10**5000 + 1, -(10**5000), 2**63, 2**64, 2.0**64, 10**40, 10**40 + 1],
    "text and bytes": lambda: [
        *("", b"", bytearray(b""), None, (), [], "a", b"a", bytearray(b"a"), memoryview(b"a"), array.array("b", b"a"), "A", "à", "a\u0300"),
        *("a ", "a\0", "a\n", "\ud800", "\udfff", "\ufffd", "\\ud800", "😀", "\ud83d\ude00", "ſ", "s", "1", "１", " 1"),
    ],
    "hostile text": lambda: [
        *("{", "}", "{}", "{a}", "a:b", "a}:v:{b", "*", "?", "[a]", "\\", "%7B", "%", "#", "#" + "0" * 32, ":", "','", "a','b", "\r\n"),
        *("$3\r\nGET\r\n", "f:x:1", "\x1b[2J", "../../etc", "'", '"', "None", "True", "a,b", "afresh:namespace"),
    ],
    "long text": lambda: ["x" * 100_000, "x" * 100_001, "x" * 99_999 + "y", "y" + "x" * 99_999, b"x" * 100_000, "a" * 78, "a" * 79],
    "dates and times": lambda: [
        *(dt.date(2024, 7, 1), dt.date(2024, 1, 7), NAIVE, "2024-07-01", dt.datetime(2024, 7, 1, tzinfo=dt.UTC)),
        *(dt.datetime(2024, 10, 27, 2, 30, tzinfo=zone) for zone in (PARIS, BERLIN, dt.UTC, dt.timezone(dt.timedelta(hours=2)))),
        *(dt.datetime(2024, 10, 27, 2, 30, tzinfo=PARIS, fold=1), dt.datetime(2024, 10, 27, 2, 30, 0, 1, tzinfo=PARIS)),
        *(dt.time(2, 30), dt.time(2, 30, fold=1), dt.time(2, 30, tzinfo=dt.UTC), dt.timedelta(1), dt.timedelta(0, 1), 86400, PARIS, dt.UTC),
    ],
    "names and numbers of the library": lambda: [
        *(uuid.UUID(int=1), uuid.UUID(int=2), str(uuid.UUID(int=1)), uuid.UUID(int=1).bytes, uuid.UUID(int=1).hex),
        *(pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), pathlib.Path("a"), "a", pathlib.Path("A"), pathlib.Path("a/../a")),
        *(decimal.Decimal("1.0"), decimal.Decimal("1.00"), decimal.Decimal("NaN"), 1 / 3, fractions.Fraction(1, 3)),
        *(ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.1"), ipaddress.ip_interface("10.0.0.1"), "10.0.0.1"),
        *(re.compile("a"), re.compile("a", re.IGNORECASE), re.compile(b"a"), range(3), range(0, 3, 2), range(1, 4), slice(3), slice(0, 3)),
    ],
    "enums": lambda: [*Colour, *Shade, *Level, *Word, *Right, Right(0), Right.READ | Right.WRITE, Colour, Shade],
    "containers": lambda: [
        *((1, 2), [1, 2], {1, 2}, frozenset({1, 2}), {1: 2}, ((1, 2),), (1, (2,)), ((1,), 2), [[1, 2]], [(1, 2)], ([1, 2],)),
        *(("a", "bc"), ("ab", "c"), ("a", "b", "c"), ("abc",), ("a:b",), ("a", "b"), ("a,b",), "a,b", ["a", "b"], "ab", "['a', 'b']"),
        *({1: "a"}, {True: "a"}, {1.0: "a"}, {"1": "a"}, {b"1": "a"}, [(1, "a")], [[1, "a"]], {"a": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}),
        *({}, [], (), set(), frozenset(), [None], [[]], {"": None}, {None: ""}, {"a": {"b": {}}}, {"a": {"b": []}}),
        *(collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1), collections.Counter("ab"), collections.defaultdict(int)),
        *(collections.deque([1, 2]), collections.deque([1, 2], 2), types.SimpleNamespace(a=1), types.MappingProxyType({"a": 1})),
        *(set(WORDS), frozenset(WORDS), dict.fromkeys(WORDS), {frozenset(WORDS): 1}, {word: set(WORDS) for word in WORDS}),
    ],
    "classes with fields": lambda: [
        *(kind(x, y) for kind in (Pair, OtherPair, Point, Slotted, SubPoint, Attrs) for x in (1, 1.0, True, (1,), [1]) for y in (None, 2)),
        *(kind("http://h/") for kind in (pydantic.HttpUrl, pydantic.AnyUrl, str)),
        *(pydantic.HttpUrl("http://h/a"), pydantic.PostgresDsn("postgres://h/a"), pydantic.PostgresDsn("postgres://h,i/a")),
        *(Model(x=1), Model(x=1, y=None), Model(x=1.0), Model(x=1, y=2), {"x": 1, "y": 2}, (1, 2)),
    ],
    "numpy": lambda: [
        *(_array(), _array().T, _array().reshape(4), _array().reshape(1, 4), _array(dtype="i4"), _array(dtype=">i8"), _array(dtype="f8")),
        *(_array(dtype="u8"), _array(dtype="O"), _array().tolist(), _array()[:1], _array()[:0], np.zeros(0), np.array(1)),
        *(np.array([1]), _large(50_000), _large(50_001), _large(0), np.array([0.0]), np.array([-0.0]), np.array(["a"]), np.array([b"a"])),
        *(np.float64("nan"), np.datetime64(1, "s"), np.datetime64(1, "ms"), np.timedelta64(1, "s"), np.dtype("i4"), np.dtype("u4")),
        np.int32,
    ],
    "pandas": lambda: [
        *(frame(), frame(a=[1, 3]), frame(a=[1.0, 2.0]), frame(b=["x", "z"]), frame()[["b", "a", "c"]], frame()[::-1], frame()["a"]),
        *(frame().rename(columns={"a": "z"}), frame(b=pd.Categorical(["x", "y"])), frame(a=pd.date_range("2024", periods=2))),
        frame().set_index("a"),
        *(frame()["a"].rename("z"), frame()["c"], pd.Index([1, 2]), pd.Timestamp("2024"), pd.Timestamp("2024", tz="UTC"), pd.NaT, pd.NA),
    ],
    "objects with a key of their own": lambda: [Tenant("a"), Tenant("b"), OtherTenant("a"), Tenant(("a",)), "a", Tenant("a").method],
    "functions": lambda: [
        *(function, adder, adder(1), adder(2), adder(1.0), *one_line(), len, max, math.sqrt, str.upper, "a".upper, "b".upper, [].append),
        *(functools.partial(function, 1), functools.partial(function, 1.0), functools.partial(function, x=1), functools.partial(function)),
        *(functools.lru_cache(function), Tenant("a").method, Tenant("b").method, OtherTenant("a").method, Tenant.method, print),
    ],
    "types": lambda: [
        *(int, bool, float, str, type, object, type(None), Point, SubPoint, Shape, list, list[int], list[bool], list[str], dict[str, int]),
        *(int | str, int | None, typing.Any, typing.Literal[1], typing.Literal[True], typing.Annotated[int, "a"], "int", math, re),
    ],
}

HOLDS_AN_ADDRESS = object()

# What has no identity, and the path that the refusal names when it is the argument `x`.
REFUSED = {
    "object": (object, "x"),
    "instance": (lambda: type("Plain", (), {})(), "x"),
    "generator": (lambda: (n for n in ()), "x"),
    "iterator": (lambda: iter([]), "x"),
    "in a list": (lambda: [1, HOLDS_AN_ADDRESS], "x[1]"),
    "in a dict": (lambda: {"a": {"b": HOLDS_AN_ADDRESS}}, "x['a']['b']"),
    "as a key": (lambda: {HOLDS_AN_ADDRESS: 1}, "x{key}"),
    "in a field": (lambda: Point(Pair(HOLDS_AN_ADDRESS)), "x.x[0]"),
    "in a set": (lambda: {1, HOLDS_AN_ADDRESS}, "x{element}"),
    "in a closure": (lambda: adder(HOLDS_AN_ADDRESS), "x.closure['n']"),
    "in a partial": (lambda: functools.partial(function, HOLDS_AN_ADDRESS), "x.args[0]"),
    "in an array": (lambda: np.array([1, HOLDS_AN_ADDRESS]), "x.data[1]"),
    "behind __cache_key__": (lambda: Tenant(HOLDS_AN_ADDRESS), "x.__cache_key__()"),
}


def call(*args, **kwargs):
    return args, kwargs


# A signature, and calls: those in one row are one call, those in different rows are different ones.
SPELLINGS = {
    "(a, b=2)": [
        [call(1), call(1, 2), call(a=1), call(1, b=2), call(b=2, a=1)],
        [call(1, 3), call(1, b=3), call(b=3, a=1)],
        [call(2), call(2, 2)],
        [call(1.0)],
        [call(True)],
        [call(1, 2.0)],
    ],
    "(a, /, b, *, c=3)": [[call(1, 2), call(1, b=2), call(1, 2, c=3), call(1, c=3, b=2)], [call(2, 1)], [call(1, 2, c=4)]],
    "(*args)": [[call()], [call(())], [call(1, 2)], [call((1, 2))], [call([1, 2])], [call(1, (2,))], [call("a", "bc")], [call("ab", "c")]],
    "(**kwargs)": [
        [call()],
        [call(a=1, b=2), call(b=2, a=1)],
        [call(a=2, b=1)],
        [call(a=("b", 2))],
        [call(ab=1)],
        [call(kwargs={})],
        [call(kwargs={"a": 1, "b": 2})],
        [call(args=())],
    ],
    "(*args, **kwargs)": [
        [call()],
        [call(1)],
        [call(x=1)],
        [call(("x", 1))],
        [call("x", 1)],
        [call({"x": 1})],
        [call(1, x=1)],
        [call(1, ("x", 1))],
        [call(args=(1,))],
        [call((1,), {})],
        [call(None)],
        [call(x=None)],
    ],
    "(a, *args, k=1, **kwargs)": [
        [call(1), call(a=1), call(1, k=1), call(k=1, a=1)],
        [call(1, 2)],
        [call(1, (2,))],
        [call(1, k=2)],
        [call(1, 2, k=2)],
        [call(1, j=2)],
        [call(1, args=(2,))],
        [call(1, kwargs={"j": 2})],
        [call(1, 2, 3)],
        [call(1, (2, 3))],
    ],
    "(self, /, *args, **kwargs)": [
        [call(1)],
        [call(1, self=1)],
        [call(1, 1)],
        [call(1, self=2)],
        [call(2, self=1)],
        [call(1, cls=1)],
        [call(1, args=1)],
    ],
    "(a, b=None, /, **kwargs)": [
        [call(1), call(1, None)],
        [call(1, a=2)],
        [call(1, 2)],
        [call(1, b=2)],
        [call(1, a=2, b=2), call(1, None, b=2, a=2)],
        [call(1, 2, b=2)],
    ],
    "(fn=2, request=3, Hit=4, begin=5)": [[call(), call(2, 3), call(Hit=4)], [call(3)], [call(request=2)], [call(Hit=1)]],
    "(a=None, b='')": [[call(), call(None), call(b="")], [call("", None)], [call(None, None)], [call("")], [call("None")], [call(0)]],
}


def keys():
    """Return every key, in the order of the table: for other processes to compare."""
    from afresh import Cache

    @Cache("memory://", namespace="t-keys").memoize(name="f")
    def memoized(x):
        return x

    return [f"{group} {number} {memoized.key(x)}" for group, make in DIFFERENT.items() for number, x in enumerate(make())]
