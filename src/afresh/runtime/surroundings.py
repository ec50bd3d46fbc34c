"""What surrounds a call: the compute that it is part of, and a bypass.

One variable holds both, and nothing where there is neither. Each near hit asks, and asking twice would be a tenth of what it costs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from afresh.core.stamps import Captured

__all__ = ["DISABLED", "ENVIRONMENT", "SURROUNDINGS", "bypassed", "bypassing", "capture_into", "captured"]

# Each call asks. What is behind `os.environ` says in a tenth of the time that a variable is not there: os.environ.get raises and catches.
ENVIRONMENT = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
DISABLED, _NO, _ZERO = map(os.environ.encodekey, ("AFRESH_DISABLED", "", "0"))
_NOT_DISABLING = {_NO, _ZERO}


class Surroundings(NamedTuple):
    """Where a thread or task is, and the tasks that it starts. Threads that it starts are not.

    Attributes:
        captured: what the innermost compute has read.
        is_bypassed: whether calls compute without reading or storing.
    """

    captured: Captured | None = None
    is_bypassed: bool = False


_NOTHING = Surroundings()
SURROUNDINGS: ContextVar[Surroundings | None] = ContextVar("afresh_surroundings", default=None)


def captured() -> Captured | None:
    """Return what the innermost compute of this thread or task has read; None outside of computes."""
    around = SURROUNDINGS.get()
    return None if around is None else around.captured


def capture_into(captured: Captured | None) -> None:
    """Have what is read from now on noted there."""
    around = SURROUNDINGS.get() or _NOTHING
    _surround(Surroundings(captured, around.is_bypassed))


@contextmanager
def bypassing() -> Iterator[None]:
    """Compute in this context, and the tasks it starts, without reading or storing."""
    before = SURROUNDINGS.get() or _NOTHING
    _surround(Surroundings(before.captured, is_bypassed=True))
    try:
        yield
    finally:  # a compute may have begun or ended meanwhile
        _surround(Surroundings(captured(), before.is_bypassed))


def _surround(around: Surroundings) -> None:
    SURROUNDINGS.set(None if around == _NOTHING else around)


def bypassed() -> bool:
    """Say whether calls are to compute without reading or storing."""
    around = SURROUNDINGS.get()
    return (around is not None and around.is_bypassed) or ENVIRONMENT.get(DISABLED, _NO) not in _NOT_DISABLING
