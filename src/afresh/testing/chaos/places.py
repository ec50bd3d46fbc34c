"""What a run's clients read and invalidate: few entries, so that they meet, each reached by every kind of invalidation.

Entries are numbered: each function has one for each argument. The same argument of all functions shares a tag. A *scope* is what one
invalidation covers, numbered too.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Final

__all__ = ["ARGUMENTS", "ENTRIES", "FUNCTIONS", "Way", "companions", "entry_of", "scope", "scopes_of", "shown"]

FUNCTIONS: Final = ("plain", "aging", "given", "batch")
ARGUMENTS: Final = 6
ENTRIES: Final = len(FUNCTIONS) * ARGUMENTS
_TARGETS: Final = 1000


class Way(IntEnum):
    """How to invalidate: by the entry's key, by the tag of an argument, by a function, or the whole namespace."""

    KEY = 0
    TAG = 1
    FUNCTION = 2
    NAMESPACE = 3


def entry_of(function: str, argument: int) -> int:
    """Return an entry's number."""
    return FUNCTIONS.index(function) * ARGUMENTS + argument


def scope(way: Way, target: int = 0) -> int:
    """Return a scope's number. The target is an entry, an argument or the index of a function."""
    return way * _TARGETS + target


@cache
def scopes_of(entry: int) -> tuple[int, ...]:
    """Return the scopes that cover an entry. Entries of `get_or_compute` have no function."""
    function, argument = divmod(entry, ARGUMENTS)
    scopes = [scope(Way.KEY, entry), scope(Way.TAG, argument), scope(Way.NAMESPACE)]
    if FUNCTIONS[function] != "given":
        scopes.append(scope(Way.FUNCTION, function))
    return tuple(scopes)


@cache
def companions(entry: int) -> tuple[int, ...]:
    """Return the entries whose computes a caller of this one may have to wait for: itself, and those of its batch."""
    function = entry // ARGUMENTS
    if FUNCTIONS[function] != "batch":
        return (entry,)
    return tuple(range(function * ARGUMENTS, (function + 1) * ARGUMENTS))


def shown(number: int) -> str:
    """Say in words what a scope covers."""
    way, target = divmod(number, _TARGETS)
    if way == Way.KEY:
        return f"{FUNCTIONS[target // ARGUMENTS]}({target % ARGUMENTS})"
    return {Way.TAG: f"tag of:{target}", Way.FUNCTION: f"function {FUNCTIONS[target % len(FUNCTIONS)]}"}.get(Way(way), "namespace")
