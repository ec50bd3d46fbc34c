"""Objects: enums, classes with declared fields, subclasses of built-in classes, ``__cache_key__``, and what has no identity."""

from __future__ import annotations

import abc
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import io
import logging
import queue
import re
import socket
import sqlite3
import threading
import typing
import uuid
import weakref
from contextlib import closing
from types import SimpleNamespace
from unittest import mock

import attrs
import msgspec
import pydantic
import pytest

from afresh.core.canonical import digest, encode, render
from afresh.errors import UnkeyableArgument

T = typing.TypeVar("T")


# --- enums ---------------------------------------------------------------------------------------------------------
class Color(enum.Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1  # noqa: PIE796  # an alias is under test


class Shade(enum.Enum):
    RED = 1
    OPAQUE = object()


class Level(enum.IntEnum):
    RED = 1


class Word(enum.StrEnum):
    RED = "red"


class Perm(enum.Flag):
    R = 1
    W = 2


class Bits(enum.IntFlag):
    R = 1
    W = 2


def test_enum_members_are_their_class_and_name():
    members = [*Color, *Shade, *Level, *Word, *Perm, *Bits, Perm(0), Perm.R | Perm.W, ~Perm.R ^ Perm.R, Bits(0), Bits.R | Bits.W, Bits(8)]

    assert len({encode(member) for member in members}) == len(set(map(id, members))) == len(members) - 1
    assert encode(Perm.R | Perm.W) == encode(Perm.W | Perm.R)
    assert encode(Color.CRIMSON) == encode(Color.RED)
    assert {encode(1), encode("red")}.isdisjoint(map(encode, members))


def test_enums_of_one_name_made_at_run_time_are_told_apart_by_value():
    one, two = (enum.Enum("Made", {"A": value}) for value in (1, 2))

    assert encode(one.A) != encode(two.A)
    assert encode(one.A) == encode(enum.Enum("Made", {"A": 1}).A)


# --- declared fields -----------------------------------------------------------------------------------------------
@dataclasses.dataclass
class Point:
    x: float
    y: float = dataclasses.field(default=0, compare=False, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: float
    y: float = 0


@dataclasses.dataclass
class Special(Point):
    pass


class Undecorated(Point):
    __slots__ = ("z",)


@dataclasses.dataclass
class Late:
    a: int
    b: int = dataclasses.field(init=False)


@dataclasses.dataclass
class Generic(typing.Generic[T]):
    x: T


@attrs.define
class Attrs:
    x: float
    y: float = attrs.field(default=0, eq=False)


@attrs.frozen(slots=False)
class OldAttrs:
    x: float
    y: float = 0


class Struct(msgspec.Struct):
    x: float
    y: float = 0


class Named(typing.NamedTuple):
    x: float
    y: float = 0


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    x: typing.Any
    y: typing.Any = 0
    _hidden: int = pydantic.PrivateAttr(default=0)

    @property
    def double(self):
        return self.x * 2


@pydantic.dataclasses.dataclass
class Validated:
    x: typing.Any
    y: typing.Any = 0


FIELDED = [Point, Slotted, Special, Undecorated, Attrs, OldAttrs, Struct, Named, Model, Validated]


@pytest.mark.parametrize("cls", FIELDED)
def test_all_fields_count_and_typed(cls):
    made = [cls(x=x, y=y) for x in (1, 1.0, True, (1,), [1]) for y in (0, 1)]

    assert len(set(map(encode, made))) == len(made)
    assert encode(cls(x=[1, {"a"}], y=1)) == encode(cls(x=[1, {"a"}], y=1))


def test_classes_of_equal_fields_are_told_apart():
    made = [cls(x=1, y=2) for cls in FIELDED]

    assert len({*map(encode, made), encode((1, 2)), encode({"x": 1, "y": 2})}) == len(FIELDED) + 2


def test_a_subclass_adds_what_it_carries():
    plain, slot, attribute = Undecorated(1), Undecorated(1), Undecorated(1)
    slot.z = 3
    attribute.note = 3

    assert len(set(map(encode, (plain, slot, attribute)))) == 3


def test_a_field_without_a_value_is_left_out():
    filled = Late(1)
    filled.b = 2

    assert encode(Late(1)) != encode(filled)


def test_a_parametrized_generic_class_is_its_instances_class():
    assert encode(Generic[int](1)) == encode(Generic(1))


def test_pydantic_extras_private_attributes_and_set_fields_count():
    private = Model(x=1)
    private._hidden = 1
    models = [Model(x=1), Model(x=1, y=0), Model(x=1, z=2), Model(x=1, z=3), private, Model.model_construct(y=1)]

    assert len(set(map(encode, models))) == len(models)


def test_classes_made_in_a_function_differ_by_their_fields():
    def make(*fields):
        return dataclasses.make_dataclass("Row", fields)

    def make_named(*fields):
        return collections.namedtuple("Row", fields)  # noqa: PYI024  # as above

    assert encode(make("a")(1)) != encode(make("b")(1))
    assert encode(make_named("a")(1)) != encode(make_named("b")(1))
    assert encode(make("a")(1)) == encode(make("a")(1))


def test_a_path_leads_through_fields():
    with pytest.raises(UnkeyableArgument) as refused:
        render((Point(x=[{"lock": Named(object())}]),), ("user",))

    assert refused.value.argument == "user.x[0]['lock'][0]"


# --- subclasses of built-in classes --------------------------------------------------------------------------------
BUILT_IN = {
    int: 5, float: 1.5, complex: 1j, str: "a", bytes: b"a", bytearray: b"a", tuple: (1,), list: [1], set: {1}, frozenset: {1}, dict: {1: 2},
}  # fmt: skip


@pytest.mark.parametrize("base", BUILT_IN, ids=lambda base: base.__name__)
def test_a_subclass_of_a_built_in_class_is_its_class_content_and_attributes(base):
    one, two = (type(name, (base,), {"__len__": lambda _: 0, "__iter__": lambda _: iter(())}) for name in ("One", "Two"))
    content = BUILT_IN[base]
    noted = one(content)
    noted.note = [1]
    values = [base(content), one(content), one(), two(content), noted]

    assert len(set(map(encode, values))) == len(values)
    assert encode(one(content)) == encode(one(content))


def test_attributes_that_are_the_items_count_once():
    class Bunch(dict):
        def __init__(self, **items):
            super().__init__(items)
            self.__dict__ = self

    config = Bunch(port=1)
    for _ in range(60):
        config = Bunch(inner=config)

    assert len(digest(config)) == 16
    assert encode(Bunch(a=1)) != encode(Bunch(a=2))


@pytest.mark.parametrize(
    ("cls", "arguments", "others"),
    [
        (dt.datetime, (2024, 7, 1), (2024, 7, 2)),
        (decimal.Decimal, ("1.0",), ("1.00",)),
        (fractions.Fraction, (1, 2), (1, 3)),
        (uuid.UUID, ("0" * 32,), ("1" * 32,)),
        (collections.OrderedDict, ([(1, 2), (3, 4)],), ([(3, 4), (1, 2)],)),
        (collections.deque, ([1], 5), ([1], 6)),
        (SimpleNamespace, (), ()),
    ],
)
def test_a_subclass_of_a_library_class_is_its_class_content_and_attributes(cls, arguments, others):
    class Marked(cls):
        def __setattr__(self, name, value):
            object.__setattr__(self, name, value)

    marked, slotted = Marked(*arguments), type("Slotted", (cls,), {"__slots__": ("mark",)})(*arguments)
    marked.mark = 1
    distinct = {encode(cls(*arguments)), encode(Marked(*arguments)), encode(marked), encode(slotted)}

    assert len(distinct) == 4
    assert (encode(Marked(*arguments)) == encode(Marked(*others))) == (arguments == others)


def test_a_value_is_not_taken_for_its_content():
    class Basket(list):
        pass

    full = Basket([1, object()])
    with pytest.raises(UnkeyableArgument) as refused:
        render((full,), ("basket",))
    assert refused.value.argument == "basket[1]"

    full.pop()
    full.lock = threading.Lock()
    with pytest.raises(UnkeyableArgument) as refused:
        render((full,), ("basket",))
    assert refused.value.argument == "basket.__dict__['lock']"


def test_what_a_compiled_class_may_hide_is_refused():
    @dataclasses.dataclass
    class Failure(Exception):
        code: int

    class Crash(Failure):
        pass

    assert encode(Failure(1)) != encode(Failure(2))
    with pytest.raises(UnkeyableArgument, match="what the compiled Exception adds"):
        encode(Crash(1))


# --- __cache_key__ -------------------------------------------------------------------------------------------------
class Tenant:
    def __init__(self, name, connection=None):
        self.name = name
        self.connection = connection

    def __cache_key__(self):
        return self.name

    def __call__(self):
        return self.name


class Other(Tenant):
    pass


class Keyed(dict):
    def __cache_key__(self):
        return self["id"]


class ByClass:
    @classmethod
    def __cache_key__(cls):
        return "v2"


class Plain:
    pass


def test_a_cache_key_method_says_what_identifies_an_instance():
    assert encode(Tenant("a", object())) == encode(Tenant("a", object()))
    assert len({encode(Tenant("a")), encode(Tenant("b")), encode(Other("a")), encode(Tenant(["a"])), encode("a")}) == 5
    assert encode(Keyed(id=1, junk=object())) == encode(Keyed(id=1))


def test_a_cache_key_class_method_says_it_for_the_class_too():
    assert encode(ByClass()) == encode(ByClass())
    assert len({encode(ByClass), encode(ByClass()), encode("v2"), encode(Tenant)}) == 4
    assert b"v2" in encode(ByClass)


def test_a_cache_key_that_has_no_identity_is_named_in_the_path():
    with pytest.raises(UnkeyableArgument) as refused:
        render(([Tenant(["a", object()])],), ("tenants",))

    assert refused.value.argument == "tenants[0].__cache_key__()[1]"


def test_a_cache_key_that_is_no_method_is_refused_with_the_path():
    class Wrong:
        __cache_key__ = "v1"

    with pytest.raises(UnkeyableArgument, match=r"argument 'tenant\[0\]' of type .*Wrong .*: its __cache_key__ is no method"):
        render(([Wrong()],), ("tenant",))


# --- no identity ---------------------------------------------------------------------------------------------------
async def coroutine():
    pass


class ByValue:
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


class Abstract(abc.ABC):  # noqa: B024  # it needs none to be refused
    pass


UNKEYABLE = {
    "object": object,
    "plain instance": Plain,
    "own equality": ByValue,
    "instance of an abstract class": Abstract,
    "lock": threading.Lock,
    "thread": threading.Thread,
    "event": threading.Event,
    "queue": queue.Queue,
    "file": io.StringIO,
    "mock": mock.Mock,
    "magic mock": mock.MagicMock,
    "specified mock": lambda: mock.Mock(spec=Point),
    "mock of an enum": lambda: mock.Mock(spec=Color.RED),
    "generator": lambda: (x for x in ()),
    "iterator": lambda: iter([]),
    "map": lambda: map(str, ()),
    "dict view": lambda: {}.items(),
    "exception": lambda: ValueError(1),
    "logger": lambda: logging.getLogger("x"),
    "weak reference": lambda: weakref.ref(Plain),
    "super": lambda: super(Tenant, Other("a")),
    "sentinel": lambda: mock.sentinel.MISSING,
    "match": lambda: re.match("a", "a"),
}


@pytest.mark.parametrize("make", UNKEYABLE.values(), ids=UNKEYABLE)
def test_what_has_no_identity_is_refused(make):
    value = make()

    with pytest.raises(UnkeyableArgument) as refused:
        render((SimpleNamespace(inner=value),), ("service",))
    assert refused.value.argument == "service.__dict__['inner']"
    assert type(value).__qualname__ in refused.value.type_name


def test_resources_are_refused(tmp_path):
    with socket.socket() as plug, closing(sqlite3.connect(":memory:")) as database, (tmp_path / "f").open("w") as file:
        for value in (plug, database, database.cursor(), file):
            with pytest.raises(UnkeyableArgument):
                encode(value)


def test_what_reading_would_use_up_says_so():
    pending = coroutine()

    for value in (pending, (x for x in ()), zip((), strict=True)):
        with pytest.raises(UnkeyableArgument, match="use it up"):
            encode(value)
    pending.close()


def test_no_repr_is_asked_for():
    class Loud:
        def __repr__(self):
            raise AssertionError

        __str__ = __repr__

    with pytest.raises(UnkeyableArgument):
        render(({"a": Loud()},), ("x",))


def test_a_class_without_a_module_is_refused():
    odd = type("Odd", (int,), {"__module__": None})

    with pytest.raises(UnkeyableArgument, match="no module"):
        encode(odd(1))
