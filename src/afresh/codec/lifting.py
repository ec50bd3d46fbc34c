"""From what msgpack has words for back up to the value: the reverse of ``lowering``, over bytes that may be hostile."""

from __future__ import annotations

from typing import Any, Final

from afresh.codec.classes import Classes, Layout
from afresh.codec.kinds import DICT, KINDS_BY_CODE, LARGE_INT, OBJECT, SURROGATE_STR, class_of

__all__ = ["Extension", "lift"]

# What the parser makes of an extension: its type and bytes as .start and .stop. A class in C, which nothing can interrupt: the
# parser swallows what a hook raises, a KeyboardInterrupt between two lines of Python included. It makes no other slices.
Extension: Final = slice


def lift(node: Any, classes: Classes) -> Any:
    """Return the value that a parsed payload stands for; lists and dicts of the payload become part of it.

    Raises:
        Exception: anything, for a payload that no encoder made.
    """
    return _Lifting(classes).lift(node)


class _Lifting:
    __slots__ = ("_classes", "_seen")

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._seen: list[Layout] = []

    def lift(self, node: Any) -> Any:
        cls = type(node)
        if cls is dict:
            for key, item in node.items():
                if type(item) in _NODES:
                    node[key] = self.lift(item)  # a key that is there: the dict does not change its size
            return node
        if cls is list:
            return self._build(node[0].start, node) if node and type(node[0]) is Extension else self._items(node)
        if cls is Extension:
            msg = "an extension that heads nothing"
            raise ValueError(msg)
        return node

    def _items(self, items: list[Any]) -> list[Any]:
        for position, item in enumerate(items):
            if type(item) in _NODES:
                items[position] = self.lift(item)
        return items

    def _build(self, code: int, node: list[Any]) -> Any:
        if code == OBJECT:
            layout = self._layout(node[1])  # before the parts, which may refer to it
            return layout.build(self._items(node[2:]))
        parts = self._items(node[1:])
        if code == DICT:
            return dict(zip(parts[::2], parts[1::2], strict=True))
        if code == LARGE_INT:
            return int.from_bytes(memoryview(parts[0]), "little", signed=True)
        if code == SURROGATE_STR:
            return str(parts[0], "utf-8", "surrogatepass")
        kind = KINDS_BY_CODE[code]
        return kind.load(class_of(kind), parts)

    def _layout(self, reference: Any) -> Layout:
        if type(reference) is int:
            return self._seen[reference]
        layout = self._classes.named(*reference)
        self._seen.append(layout)
        return layout


_NODES = frozenset({dict, list, Extension})
