"""Near hits by a call's arguments, for what cannot afford to make a key of them.

A generated function looks here first, and serves what it finds under rule 5 of `afresh.near.generation`: **the bound, then the entry, then
the clock**. It takes no lock. An entry that is dropped is marked before it is taken out of here, and whoever puts one in looks for the mark
afterwards: so one of both sees the other, and nothing that was dropped stays.

Only calls whose arguments say all about their key can be found so: plain values whose equality is identity of meaning. Floats are none
(-0.0 equals 0.0), nor is anything that can change. 1, 1.0 and True are equal, so classes are compared as well: a single argument is its own
key and the entry knows its class; several are a tuple with their classes. What a method is bound to may say itself, at every call, what it
is, by a ``__cache_key__`` of plain values.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from math import inf
from typing import Any, NamedTuple

from afresh.near.generation import Generation, Kept

__all__ = ["Call", "Calls", "call_of", "identity", "method_call_of"]

_PLAIN: set[type] = {str, int, bool, bytes, type(None)}
_EQUALITIES = (object.__eq__, str.__eq__, int.__eq__)
_HASHES = (Enum.__hash__, str.__hash__, int.__hash__)


class Call(NamedTuple):
    """What a call is found by, and the class of its argument, if it has just one."""

    key: Any
    kind: type | None


def call_of(values: Sequence[Any]) -> Call | None:
    """Return what a call with these arguments is found by; None if it cannot be."""
    kinds = [*map(type, values)]
    if not all(map(_is_plain, kinds)):
        return None
    return Call(values[0], kinds[0]) if len(kinds) == 1 else Call((*values, *kinds), None)


def method_call_of(values: Sequence[Any]) -> Call | None:
    """Return what a call of a method is found by, whose first argument is what it is bound to; None if it cannot be."""
    me, *rest = values
    kinds = [*map(type, rest)]
    if not hasattr(type(me), "__cache_key__") or not all(map(_is_plain, kinds)):
        return None
    own = identity(me)
    return Call((own, *rest, *kinds), None) if all(map(_is_plain, own[2:])) else None


def identity(me: Any) -> tuple[Any, ...]:
    """Return what an object with a ``__cache_key__`` is, with the classes of what that returned."""
    key = me.__cache_key__()
    return (type(me), key, *map(type, key)) if type(key) is tuple else (type(me), key, type(key))


def _is_plain(kind: type) -> bool:
    return kind in _PLAIN or _is_plain_enum(kind)


def _is_plain_enum(kind: type) -> bool:
    return issubclass(kind, Enum) and kind.__eq__ in _EQUALITIES and kind.__hash__ in _HASHES and not hasattr(kind, "__cache_key__")


class Calls:
    """What the near tier holds of one function's calls.

    Attributes:
        entries: by the calls' keys, whether they may be served or not. To look there needs no lock.
    """

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[Any, Kept] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def remember(self, call: Call, kept: Kept, generation: Generation) -> None:
        """Have a call find an entry of this generation from now on, until it is dropped."""
        kept.generation, kept.kind = generation, call.kind
        kept.calls[id(self)] = self, call.key
        self.entries[call.key] = kept
        if kept.until_s == -inf:
            self.forget(call.key, kept)

    def forget(self, key: Any, kept: Kept) -> None:
        """Have the call find this entry no more."""
        if self.entries.get(key) is kept:
            self.entries.pop(key, None)
