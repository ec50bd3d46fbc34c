"""What an annotation says: the classes that it reaches, and how it was written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Annotated, Any, ForwardRef, Literal, get_args, get_origin

__all__ = ["AnnotatedTypes", "annotations_of", "as_written"]

# Where the parts of an annotation are: generics, unions and Annotated; TypeVar; NewType; `type X = …`.
_INNER = ("__origin__", "__args__", "__bound__", "__constraints__", "__supertype__", "__value__")

# What marks a class whose fields are annotated: dataclass, attrs, pydantic, msgspec, NamedTuple, TypedDict.
_FIELDS = ("__dataclass_fields__", "__attrs_attrs__", "__pydantic_fields__", "__struct_fields__", "_fields", "__total__")


class AnnotatedTypes:
    """The classes that an annotation reaches, by itself and through the annotations of their fields.

    Each iteration looks them up anew, so that names defined after the function are found. What does not resolve is left out.

    Args:
        annotation: what stands after ``->``; may be a string, or hold some.
        function: whose globals and closure give names in strings their meaning.
    """

    def __init__(self, annotation: object, function: Callable[..., object] | None = None) -> None:
        self._annotation = annotation
        self._function = function

    def __iter__(self) -> Iterator[type]:
        return _reach(self._annotation, _names_seen_by(self._function), {})


def annotations_of(cls: type) -> dict[str, object]:
    """Return the annotations of a class and its bases, as they were written."""
    merged: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        merged |= getattr(base, "__annotations__", {})
    return merged


def as_written(annotation: object) -> str:
    """Return a text of an annotation that is the same in every process: no addresses, nobody's ``repr``."""
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return as_written(inner[0])
    if origin is Literal:
        return f"Literal{[value.name if isinstance(value, Enum) else value for value in inner]}"
    named = origin or annotation
    name = getattr(named, "__qualname__", None) or getattr(named, "__name__", None) or type(named).__qualname__
    return f"{getattr(named, '__module__', '')}.{name}[{','.join(map(as_written, inner))}]"


def _reach(annotation: Any, names: dict[str, object], seen: dict[int, object]) -> Iterator[type]:
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        annotation = _evaluate(annotation, names)
    if isinstance(annotation, str) or id(annotation) in seen:
        return
    seen[id(annotation)] = annotation  # held, so that no other object gets its id
    if isinstance(annotation, type) and get_origin(annotation) is None:
        yield annotation
        names = {**names, **_names_in_module(annotation.__module__)}
        inner = _written_in(annotation) if any(hasattr(annotation, mark) for mark in _FIELDS) else []
    else:
        inner = _inside(annotation)
    for part in inner:
        yield from _reach(part, names, seen)


def _inside(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return [type(value) for value in get_args(annotation) if isinstance(value, Enum)]
    inner: list[Any] = []
    for name in _INNER:
        part = _read(annotation, name)
        inner.extend(part if isinstance(part, tuple) else (part,))
    return inner


def _written_in(cls: Any) -> list[Any]:
    generic = getattr(cls, "__pydantic_generic_metadata__", {"args": ()})
    return [*annotations_of(cls).values(), *vars(cls).get("__orig_bases__", ()), *generic["args"]]


def _read(annotation: Any, name: str) -> Any:
    try:
        return getattr(annotation, name, None)
    except Exception:  # noqa: BLE001  # `type X = …` runs its right side here, which may name what does not exist
        return None


def _evaluate(text: str, names: dict[str, object]) -> object:
    try:
        return eval(text, {}, names)  # noqa: S307  # the program's own source, as typing.get_type_hints evaluates it
    except Exception:  # noqa: BLE001  # a name for type checkers only, say: it tells nothing
        return None


def _names_in_module(name: str) -> dict[str, object]:
    return getattr(sys.modules.get(name), "__dict__", {})


def _names_seen_by(function: Any) -> dict[str, object]:
    names = dict(getattr(function, "__globals__", {}))
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=True):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return names
