"""What callers get back besides values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

__all__ = ["Entry", "Explanation", "Lease", "Receipt"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an invalidation did.

    Attributes:
        applied: the server has it: no read that starts now returns what was computed before. False if the server could not be reached,
            or refused; this version does not replay it.
        at: when, by the server's clock: seconds since the epoch.
    """

    applied: bool
    at: float


@dataclass(frozen=True, slots=True)
class Entry(Generic[R]):
    """What is stored for a call, as `peek` shows it.

    Attributes:
        value: a copy of its own.
        state: ``fresh``, ``refresh-due`` or ``stale``.
        age_s: since it was computed.
    """

    value: R
    state: Literal["fresh", "refresh-due", "stale"]
    age_s: float


@dataclass(frozen=True, slots=True)
class Lease:
    """What a holder of `Cache.lock` gets, which this version does not have yet.

    Attributes:
        fence: rises with every holder of the lock: what the lock protects can refuse the work of one that has lost it.
    """

    fence: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `Cache.explain` says about a key, which this version does not have yet."""
