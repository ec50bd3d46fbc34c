"""The near tiers of this process. What one of its caches changes, with a near tier or without, those of all the others drop at once.

They would hear of it from the server anyway, a moment later: but what a process did it sees at once. A tier is told of names that something
in it may depend on. Two servers may have the same names, which costs a miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from weakref import ref

if TYPE_CHECKING:
    from afresh.near.tier import NearTier

__all__ = ["TIERS", "drop_in_others", "join", "leave"]

# Those that keep anything, by identity. Each change or reading of it is one step of the interpreter: no lock that a fork could leave held.
TIERS: Final[dict[int, ref[NearTier]]] = {}


def join(tier: NearTier) -> None:
    """Let a tier be told from now on, as long as it lives. To be called before it keeps anything."""
    number = id(tier)
    TIERS[number] = ref(tier, lambda _: TIERS.pop(number, None))


def leave(tier: NearTier) -> None:
    """Tell a tier no more: it keeps nothing."""
    TIERS.pop(id(tier), None)


def drop_in_others(own: NearTier | None, names: Sequence[str]) -> None:
    """Have all tiers but one's own drop what depends on these names of the server."""
    if TIERS:  # else there is nothing to call for
        for each in tuple(TIERS.values()):
            tier = each()
            if tier is not None and tier is not own and (concerned := [name for name in names if name.startswith(tier.heads)]):
                tier.generation.pushed(*concerned)
