"""Users' classes by name: how a payload refers to one, and how a reader finds it again without importing anything.

An instance is ``[OBJECT, class, *parts]``. At its first appearance the class is ``[name, fingerprint]``, after that its number
in the order of appearance. The name is ``module:qualname``; the fingerprint covers the fields as they were written.

A reader looks among the classes that the return annotation reaches (which finds local ones), then in modules that are loaded.
A class that is missing, of no known kind, or of another fingerprint (it was changed since) makes the payload undecodable: a miss.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple
from zlib import crc32

from afresh.codec.annotations import annotations_of, as_written
from afresh.codec.refusal import Refused, reason_for
from afresh.codec.shapes import shape_of
from afresh.errors import SchemaChanged, UndecodablePayload

__all__ = ["Classes", "Layout"]


class Layout(NamedTuple):
    """How instances of one class are stored.

    Attributes:
        name: ``module:qualname``.
        fingerprint: 32 bits over the fields as they were written.
        take: takes an instance apart. Raises ``Refused``.
        build: puts one together; whatever it raises, the payload is undecodable.
    """

    name: str
    fingerprint: int
    take: Callable[[Any], list[Any]]
    build: Callable[[list[Any]], object]


class Classes:
    """The users' classes that one codec may meet.

    Args:
        types: classes to look among first. Iterated once, when a class is first looked for.
    """

    def __init__(self, types: Iterable[type] = ()) -> None:
        self._types = types
        self._layouts: dict[type, Layout] = {}

    def layout_of(self, value: object) -> Layout:
        """Return the layout of a value's class, having made sure that a reader like us finds the class.

        Raises:
            Refused: if the class is of no known kind, or its name leads elsewhere.
        """
        layout = self._layout(type(value))
        if layout is None:
            raise Refused(value, reason_for(type(value)))
        if self._find(layout.name) is not type(value):
            raise Refused(value, "a reader could not find its class: annotate the return type, or define it at module level")
        return layout

    def named(self, name: str, fingerprint: int) -> Layout:
        """Return the layout of a class that a payload names.

        Raises:
            UndecodablePayload: if there is no such class here.
            SchemaChanged: if there is one whose fields are others.
        """
        cls = self._find(name)
        layout = None if cls is None else self._layout(cls)
        if layout is None:
            raise UndecodablePayload("the payload names a class that is not loaded here")
        if layout.fingerprint != fingerprint:
            raise SchemaChanged(f"the fields of {layout.name} were others when the payload was written")
        return layout

    @cached_property
    def _annotated(self) -> dict[str, type]:
        return {_name_of(cls): cls for cls in self._types}

    def _find(self, name: str) -> type | None:
        return self._annotated.get(name) or _find_in_modules(name)

    def _layout(self, cls: type) -> Layout | None:
        layout = self._layouts.get(cls)
        if layout is None:
            shape = shape_of(cls)
            if shape is None:
                return None
            written = annotations_of(cls)
            fields = [f"{name}:{as_written(written[name])}" if name in written else name for name in shape.fields()]
            fingerprint = crc32("\0".join([shape.title, *fields]).encode("utf-8", "surrogatepass"))
            layout = self._layouts[cls] = Layout(_name_of(cls), fingerprint, shape.take, shape.build)
        return layout


def _name_of(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _find_in_modules(name: str) -> type | None:
    module, _, qualname = name.partition(":")
    try:
        # Past __getattr__ and lazy loaders: a payload must not make us import.
        scope = object.__getattribute__(sys.modules[module], "__dict__")
    except (KeyError, AttributeError):
        return None
    whole = scope.get(qualname)  # pydantic keeps Box[int] under that very name
    if isinstance(whole, type):
        return whole
    found: type | None = None
    for part in qualname.split("."):
        found = scope.get(part)
        if not isinstance(found, type):
            return None
        scope = vars(found)
    return found
