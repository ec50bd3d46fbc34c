"""The classes that an annotation reaches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ForwardRef, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union

import pydantic
import pytest
from typing_extensions import TypeAliasType, TypedDict

from afresh.codec.annotations import AnnotatedTypes, as_written
from afresh.codec.msgpack import codec_for
from tests.unit.codec.models import Box, Item, Point, Shelf

T = TypeVar("T")


@pytest.fixture
def local() -> type:
    @dataclass
    class Local:
        x: int

    return Local


def found(annotation: Any, function: Callable[..., object] | None = None) -> set[type]:
    return set(AnnotatedTypes(annotation, function))


SPELLINGS = {
    "itself": lambda cls: cls,
    "list": lambda cls: list[cls],
    "dict": lambda cls: dict[str, cls],
    "tuple": lambda cls: tuple[cls, ...],
    "nested": lambda cls: dict[str, list[tuple[int, cls]]],
    "optional": lambda cls: Optional[cls],  # noqa: UP045  # the old spellings are written, too
    "union": lambda cls: Union[int, cls],  # noqa: UP007  # as above
    "new union": lambda cls: int | cls | None,
    "annotated": lambda cls: Annotated[cls, "a note", object()],
    "new type": lambda cls: NewType("New", cls),
    "bound": lambda cls: TypeVar("B", bound=cls),
    "constraints": lambda cls: TypeVar("C", int, cls),
    "generic": lambda cls: Box[cls],
    "pydantic generic": lambda cls: Shelf[cls],
    "callable": lambda cls: Callable[[int], cls],
    "type": lambda cls: type[cls],
    "list of a string": lambda cls: list["cls"],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_class_is_found_however_it_is_spelled(local: type, spelling: str) -> None:
    def make() -> Any:
        return cls

    cls = local

    assert local in found(SPELLINGS[spelling](local), make)


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if name != "list of a string"])
def test_values_of_a_local_class_round_trip_by_annotation(local: Any, spelling: str) -> None:
    codec = codec_for(SPELLINGS[spelling](local))

    assert codec.decode(codec.encode([local(1)])) == [local(1)]


def test_strings_mean_what_they_mean_in_the_function(local: type) -> None:
    Captured = local  # noqa: N806  # a class

    def make() -> list[Captured]:
        return [Captured(1)]

    assert local in found(make.__annotations__["return"], make)
    assert Point in found("dict[str, Point]", make)
    assert found("Captured") == set()


def test_names_may_be_defined_after_the_function() -> None:
    def make() -> Later:
        return Later(1)

    codec = codec_for(make.__annotations__["return"], make)

    @dataclass
    class Later:
        x: int

    assert codec.decode(codec.encode(make())) == make()


def test_what_does_not_resolve_is_ignored() -> None:
    assert found("NoSuchName | Point", test_names_may_be_defined_after_the_function) == set()
    assert found(dict[ForwardRef("NoSuchName"), Point]) >= {Point}
    assert found("1 +") == found(None) == found(...) == found(5) == found(ForwardRef("x")) == set()
    assert found("'itself'") == set()


def test_fields_are_followed() -> None:
    @dataclass
    class Street:
        name: str

    class Kind(Enum):
        OFFICE = 1

    class Address(NamedTuple):
        street: Street
        kind: Kind

    class Extra(TypedDict, total=False):
        address: Address

    class Person(pydantic.BaseModel):
        extra: Extra
        friends: list[Person] = []

    def make() -> Person:
        return Person, Street, Kind, Address, Extra

    assert found("Person", make) >= {Person, Extra, Address, Street, Kind}


def test_base_classes_and_type_arguments_are_followed() -> None:
    @dataclass
    class Low:
        x: int

    @dataclass
    class Middle(Box[Low]):
        pass

    @dataclass
    class Own(Generic[T]):
        inner: T

    assert found(Middle) >= {Middle, Low}
    assert found(Own[Low]) >= {Own, Low}


def test_literals_reach_enums_and_evaluate_nothing() -> None:
    class Kind(Enum):
        OFFICE = 1

    assert found(Literal[Kind.OFFICE, "1/0"]) == {Kind}


def test_recursive_classes_end() -> None:
    @dataclass
    class Tree:
        children: list[Tree]

    def make() -> Tree:
        return Tree([])

    assert Tree in found("Tree", make)


TYPE_STATEMENTS = "type Locals = list[local]\ntype Tree = dict[str, Tree]\ntype Broken = Missing\ntype Pairs[T] = tuple[T, local]"


def aliases(local: type) -> dict[str, Any]:
    names: dict[str, Any] = {"local": local}
    if sys.version_info >= (3, 12):
        exec(TYPE_STATEMENTS, names)
        return names
    pairs = TypeAliasType("Pairs", tuple[T, local], type_params=(T,))
    tree = TypeAliasType("Tree", dict[str, ForwardRef("Tree")])
    return {
        "Locals": TypeAliasType("Locals", list[local]),
        "Tree": tree,
        "Broken": TypeAliasType("Broken", ForwardRef("Missing")),
        "Pairs": pairs,
    }


def test_type_aliases_are_followed(local: type) -> None:
    names = aliases(local)

    assert local in found(names["Locals"])
    assert local in found(names["Pairs"][int])
    assert found(names["Tree"]) >= {dict}
    assert found(names["Broken"]) == set()


def test_one_annotation_has_one_codec(local: type) -> None:
    assert codec_for(list[local]) is codec_for(list[local])
    assert codec_for(list[local]) is not codec_for(local)
    assert codec_for(Annotated[int, []]) is not None


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        ("list[X]", "list[X]"),
        (int, "builtins.int[]"),
        (list[int], "builtins.list[builtins.int[]]"),
        (Annotated[int, []], "builtins.int[]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (ForwardRef("X"), "X"),
        (Item, "tests.unit.codec.models.Item[]"),
    ],
    ids=str,
)
def test_annotations_have_a_text_without_addresses(annotation: object, text: str) -> None:
    assert as_written(annotation) == text


@pytest.mark.parametrize("annotation", [Any, None, ..., int | None, Optional[int], T, NewType("N", int), Callable[[int], str], object()])  # noqa: UP045  # an old spelling
def test_every_annotation_has_a_text(annotation: object) -> None:
    assert as_written(annotation)
    assert " at 0x" not in as_written(annotation)
