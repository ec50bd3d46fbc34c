"""What is measured: ``python -m benchmarks`` runs every module of this folder that has ``rows()``.

A row compares two costs that were measured in the same run, since only their ratio holds from machine to machine.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One comparison.

    Attributes:
        work: what was done.
        ours_ms: what it cost with afresh, the median in milliseconds.
        against: what it is compared with.
        theirs_ms: what that cost, likewise.
        most: the greatest ratio of the two that we accept.
    """

    work: str
    ours_ms: float
    against: str
    theirs_ms: float
    most: float

    @property
    def ratio(self) -> float:
        """How many times the other's cost ours is."""
        return self.ours_ms / self.theirs_ms

    @property
    def holds(self) -> bool:
        """Whether it is within what we accept."""
        return self.ratio <= self.most
