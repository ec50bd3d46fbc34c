"""From any value down to what msgpack has words for. ``kinds`` and ``classes`` say what the result looks like."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, Final

from ormsgpack import Ext

from afresh.codec.classes import Classes, Layout
from afresh.codec.kinds import DICT, KINDS, LARGE_INT, OBJECT, SURROGATE_STR, kind_of
from afresh.codec.refusal import Refused

__all__ = ["AS_IS", "MAX_DEPTH", "WITH_CARE", "lower"]

# ormsgpack packs no deeper.
MAX_DEPTH: Final = 255

# Exact types that msgpack holds as they are …
AS_IS: Final = frozenset({NoneType, bool, bytes, float, int, str})
# … and those of which it holds every value: an integer may be too large, text may have lone surrogates.
WITH_CARE: Final = AS_IS - {int, str}

_HEADS = {code: Ext(code, b"") for code in (DICT, LARGE_INT, SURROGATE_STR, OBJECT, *(kind.code for kind in KINDS))}
_LONGEST_LABEL = 40

_by_position = "[{}]".format
_by_attribute = ".{}".format


def _by_key(key: object) -> str:
    # Names of fields and numbers only: other keys may be what must not stand in a log.
    if type(key) is int or (type(key) is str and key.isidentifier() and len(key) <= _LONGEST_LABEL):
        return f"[{key!r}]"
    return "[…]"


def _unlabelled(_name: object) -> str:
    return ""


def lower(value: object, classes: Classes, plain: frozenset[type]) -> Any:
    """Return a value that msgpack holds: the very same one, or what stands for it. The value is not changed.

    Args:
        value: any.
        classes: users' classes that a reader finds.
        plain: ``AS_IS``, or ``WITH_CARE`` if msgpack refused what that gave.

    Raises:
        Refused: if the value would not come back equal and of the same type.
    """
    return _Lowering(classes, plain).lower(value)


class _Lowering:
    __slots__ = ("_classes", "_open", "_plain", "_seen")

    def __init__(self, classes: Classes, plain: frozenset[type]) -> None:
        self._classes = classes
        self._plain = plain
        self._open: set[int] = set()
        self._seen: dict[type, tuple[int, Layout]] = {}

    def lower(self, node: Any) -> Any:
        cls = type(node)
        if cls in self._plain:
            return node
        if id(node) in self._open:
            raise Refused(node, "it contains itself")
        if len(self._open) == MAX_DEPTH:
            raise Refused(node, f"it is nested deeper than {MAX_DEPTH} levels")
        self._open.add(id(node))
        if cls is list:
            lowered = self._items(node)
        elif cls is dict:
            lowered = self._dict(node)
        elif cls is str:
            lowered = _str(node)
        elif cls is int:
            lowered = _int(node)
        elif cls not in self._seen and (kind := kind_of(cls)):
            lowered = [_HEADS[kind.code], *self._items(kind.dump(node), _by_position if kind.dump is list else _unlabelled)]
        else:
            lowered = self._object(node, cls)
        self._open.discard(id(node))
        return lowered

    def _items(self, items: list[Any], label: Callable[[Any], str] = _by_position) -> list[Any]:
        plain = self._plain
        if plain.issuperset(map(type, items)):
            return items
        lowered = items.copy()
        for position, item in enumerate(lowered):
            if type(item) not in plain:
                try:
                    lowered[position] = self.lower(item)
                except Refused as refused:
                    raise refused.inside(label(position)) from None
        return lowered

    def _dict(self, node: dict[Any, Any], label: Callable[[Any], str] = _by_key) -> Any:
        plain = self._plain
        if not plain.issuperset(map(type, node)):
            return self._dict_of_any_keys(node, label)
        if plain.issuperset(map(type, node.values())):
            return node
        lowered = node.copy()
        for key, item in lowered.items():
            if type(item) not in plain:
                try:
                    lowered[key] = self.lower(item)
                except Refused as refused:
                    raise refused.inside(label(key)) from None
        return lowered

    def _dict_of_any_keys(self, node: dict[Any, Any], label: Callable[[Any], str]) -> Any:
        flat: list[Any] = []
        for key, item in node.copy().items():
            try:
                flat += self.lower(key), self.lower(item)
            except Refused as refused:
                raise refused.inside(label(key)) from None
        keys, items = flat[::2], flat[1::2]
        return dict(zip(keys, items, strict=True)) if AS_IS.issuperset(map(type, keys)) else [_HEADS[DICT], *flat]

    def _object(self, node: Any, cls: type) -> list[Any]:
        reference: Any
        if cls in self._seen:
            reference, layout = self._seen[cls]
        else:
            layout = self._classes.layout_of(node)
            self._seen[cls] = len(self._seen), layout
            reference = [layout.name, layout.fingerprint]
        parts = layout.take(node)
        if isinstance(node, tuple):
            return [_HEADS[OBJECT], reference, *self._items(parts)]
        return [_HEADS[OBJECT], reference, *(self._dict(p, _by_attribute) if type(p) is dict else self.lower(p) for p in parts)]


def _str(text: str) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError:
        return [_HEADS[SURROGATE_STR], text.encode("utf-8", "surrogatepass")]
    return text


def _int(number: int) -> Any:
    if -(2**63) <= number < 2**64:
        return number
    return [_HEADS[LARGE_INT], number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)]
