"""What callers get back besides values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar, final

if TYPE_CHECKING:
    from afresh.core.locks import Holding

__all__ = ["Entry", "Explanation", "Lease", "Receipt"]

R = TypeVar("R")


class Receipt(NamedTuple):
    """What an invalidation did.

    Attributes:
        applied: the server has it: no read that starts now returns what was computed before. False if the server could not be reached,
            or refused. Then it is repeated until the server has it; until then this process neither serves nor stores what it is about,
            and others may serve what was to be forgotten. `Cache.pending` counts those.
        at: when, by the server's clock: seconds since the epoch.
    """

    applied: bool
    at: float


class Entry(NamedTuple, Generic[R]):
    """What is stored for a call, as `peek` shows it.

    Attributes:
        value: a copy of its own.
        state: ``fresh``, ``refresh-due`` or ``stale``.
        age_s: since it was computed.
    """

    value: R
    state: Literal["fresh", "refresh-due", "stale"]
    age_s: float


@final
class Lease:
    """What a holder of `Cache.lock` gets."""

    __slots__ = ("_holding",)

    def __init__(self, holding: Holding) -> None:
        self._holding = holding

    def __repr__(self) -> str:
        return f"<Lease fence={self.fence}{' lost' * self.is_lost}>"

    @property
    def fence(self) -> int:
        """Rises with every holder of the lock. Send it along, and have what the lock protects refuse any lower than it has seen."""
        return self._holding.fence

    @property
    def is_lost(self) -> bool:
        """Whether somebody else may hold the lock by now: ask before what cannot be undone. Once lost, it is for good. No I/O."""
        return self._holding.is_lost


class Explanation(NamedTuple):
    """What `Cache.explain` says about a key, which this version does not have yet."""
