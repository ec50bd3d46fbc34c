"""The near tiers of this process. What one of its caches changes, with a near tier or without, those of all the others drop at once.

They would hear of it from the server anyway, a moment later: but what a process did it sees at once. Names on the server tell caches apart;
on two servers they may be the same, which costs a miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from weakref import ref

if TYPE_CHECKING:
    from afresh.near.tier import NearTier

__all__ = ["drop_in_others", "join"]

# By identity. Each change and each reading of it is one step of the interpreter: no lock that a fork could leave held.
_TIERS: Final[dict[int, ref[NearTier]]] = {}


def join(tier: NearTier) -> None:
    """Let a tier be told, as long as it lives."""
    number = id(tier)
    _TIERS[number] = ref(tier, lambda _: _TIERS.pop(number, None))


def drop_in_others(own: NearTier | None, names: Sequence[str]) -> None:
    """Have all tiers but one's own drop what depends on these names of the server."""
    for each in tuple(_TIERS.values()):
        tier = each()
        if tier is not None and tier is not own:
            tier.generation.pushed(*names)
