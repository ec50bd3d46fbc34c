"""How many look for a key at once, each for itself.

A few do, since an answer of one's own comes sooner than one that begins when another has ended. They are counted without a lock, since
every hit is: the count may be wrong, which costs somebody a command, or a seat. One that has become too high is counted anew, when
somebody waits for another because of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["LOOKING_ALONE", "Looking"]

# How many look for one key at once before others wait for one of them.
LOOKING_ALONE: Final = 4


class Looking:
    """How many look for each key, each for itself. Not exactly: nobody takes a lock to look.

    Args:
        most: how many may do so at once.
        flights: who computes, by key; one joins them instead.
        looks: who looks for others, too.
    """

    def __init__(self, most: int, flights: Mapping[str, object], looks: Mapping[str, object]) -> None:
        self._most = most
        self._flights = flights
        self._looks = looks
        self._looking: dict[str, int] = {}

    def start(self, key: str) -> bool:
        """Say whether one more may."""
        looking = self._looking.get(key, 0)
        if looking >= self._most or self.is_joined(key):
            return False
        self._looking[key] = looking + 1
        return True

    def is_joined(self, key: str) -> bool:
        """Say whether somebody computes, or looks for others."""
        return key in self._flights or key in self._looks

    def stop(self, key: str) -> None:
        """Note that one has looked."""
        looking = self._looking.get(key, 0)
        if looking > 1:
            self._looking[key] = looking - 1
        else:
            self._looking.pop(key, None)

    def stop_all(self, key: str) -> None:
        """Begin to count anew."""
        self._looking.pop(key, None)

    def forget(self) -> None:
        """Begin anew after a fork."""
        self._looking.clear()
