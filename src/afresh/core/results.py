"""What callers get back besides values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

__all__ = ["Entry", "Receipt"]

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
