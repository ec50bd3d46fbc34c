"""Classes of every kind that is kept, for the codec's tests, and what it means that two values are the same."""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import msgspec
import numpy as np
import pydantic

T = TypeVar("T")
never = "a constructor ran"


@dataclass
class Point:
    x: Any
    y: Any = None


@dataclass
class Place(Point):
    names: list[str] = field(default_factory=list)
    seen: int = field(default=0, init=False, compare=False)

    @cached_property
    def size(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Slotted:
    left: Any
    right: Any = None
    unset: Any = field(init=False, repr=False, compare=False)


@dataclass(frozen=True)
class Strict:
    amount: int

    def __post_init__(self) -> None:
        if SimpleNamespace.__module__ == never:
            raise AssertionError(never)
        object.__setattr__(self, "amount", self.amount * 2)


@dataclass
class Box(Generic[T]):
    inner: T


class HalfSlotted:
    __slots__ = ("first",)


@dataclass
class Mixed(HalfSlotted):
    first: Any
    second: Any


@attrs.define(frozen=True, cache_hash=True)
class Coin:
    side: str
    worth: Any = None


@attrs.define(slots=False)
class Purse:
    coins: list[Coin]


class Color(Enum):
    RED = 1
    GREEN = "g"
    CRIMSON = 1  # noqa: PIE796  # an alias


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    YES = "yes"


class Right(Flag):
    READ = auto()
    WRITE = auto()


class Mode(IntFlag):
    A = 1
    B = 2


class Pair(NamedTuple):
    key: Any
    value: Any = None


Triple = namedtuple("Triple", "a b c")  # noqa: PYI024  # both ways to make one are kept


class Item(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    name: str
    tags: list[str] = []
    _secret: int = pydantic.PrivateAttr(default=3)


class Shelf(pydantic.BaseModel, Generic[T]):
    items: list[T]


ItemShelf = Shelf[Item]


class Ids(pydantic.RootModel[list[int]]):
    pass


class Callback(pydantic.HttpUrl):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    number: int


class Record(msgspec.Struct, frozen=True):
    number: int
    text: str = ""


class Doubling(msgspec.Struct, kw_only=True):
    number: int

    def __post_init__(self) -> None:
        self.number *= 2


class Loose(msgspec.Struct, dict=True, rename="camel"):
    first_name: str


def same(one: Any, other: Any) -> bool:  # noqa: C901, PLR0912  # a table of types
    """Return whether two values are equal, of the same types, in the same order, with the same signs of zero, all the way down."""
    if type(one) is not type(other):
        return False
    match one:
        case np.ndarray() | np.generic():
            return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
        case float():
            return struct.pack("d", one) == struct.pack("d", other) or (one != one and other != other)  # noqa: PLR0124  # NaN
        case complex():
            return same(one.real, other.real) and same(one.imag, other.imag)
        case Decimal():
            return one.as_tuple() == other.as_tuple()
        case Enum():
            return one is other
        case datetime() | time():
            return one.isoformat() == other.isoformat() and one.fold == other.fold and repr(one.tzinfo) == repr(other.tzinfo)
        case Counter() | OrderedDict() | defaultdict() | dict():
            details = [(getattr(value, "default_factory", None), len(value)) for value in (one, other)]
            return details[0] == details[1] and all(map(same, one, other)) and all(map(same, one.values(), other.values()))
        case deque():
            return one.maxlen == other.maxlen and len(one) == len(other) and all(map(same, one, other))
        case list() | tuple():
            return len(one) == len(other) and all(map(same, one, other))
        case set() | frozenset():
            return one == other and Counter(map(type, one)) == Counter(map(type, other))
        case bytes() | bytearray() | str() | int():
            return one == other
        case SimpleNamespace():
            return same(vars(one), vars(other))
        case pydantic.BaseModel():
            return same(one.__getstate__(), other.__getstate__())
    states = [_state(value) for value in (one, other)]
    return same(*states) if states[0] else bool(one == other)


def _state(value: Any) -> dict[str, Any]:
    names = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ()) if hasattr(value, name)]
    if not type(value).__module__.startswith("tests."):
        return {}
    return {name: getattr(value, name) for name in [*names, *getattr(value, "__dict__", ())] if not name.startswith("_")}
