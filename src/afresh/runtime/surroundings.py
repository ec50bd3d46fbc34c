"""What surrounds a call: the compute that it is part of, and a bypass.

One variable holds both, and nothing where there is neither. Each near hit asks, and asking twice would be a tenth of what it costs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple
from weakref import ref

from afresh.core.stamps import Captured

__all__ = ["DISABLED", "ENVIRONMENT", "SURROUNDINGS", "bypassed", "bypassing", "captured", "end_capture_into", "start_capture_into"]

# Each call asks. What is behind `os.environ` says in a tenth of the time that a variable is not there: os.environ.get raises and catches.
ENVIRONMENT = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
DISABLED, _NO, _ZERO = map(os.environ.encodekey, ("AFRESH_DISABLED", "", "0"))
_NOT_DISABLING = {_NO, _ZERO}


class Surroundings(NamedTuple):
    """Where a thread or task is, and the tasks that it starts. Threads that it starts are not.

    Attributes:
        compute: what the innermost compute has read, as long as its claim lives: who is torn from a compute before it begins has no way to
            say so, and a task may outlive the compute that started it.
        is_bypassed: whether calls compute without reading or storing.
        outer: where the compute began.
    """

    compute: ref[Captured] | None = None
    is_bypassed: bool = False
    outer: Surroundings | None = None


_NOTHING = Surroundings()
SURROUNDINGS: ContextVar[Surroundings | None] = ContextVar("afresh_surroundings", default=None)


def captured() -> Captured | None:
    """Return what the innermost compute of this thread or task has read; None outside of computes."""
    around = SURROUNDINGS.get()
    while around is not None and around.compute is not None:
        captured = around.compute()
        if captured is not None:
            return captured
        around = _surround(_outside(around))
    return None


def start_capture_into(captured: Captured) -> None:
    """Have what is read from now on noted there, as long as that lives."""
    around = SURROUNDINGS.get() or _NOTHING
    _surround(Surroundings(ref(captured), around.is_bypassed, around))


def end_capture_into(own: Captured) -> None:
    """Have it noted where it was before; not where a coroutine is closed from elsewhere."""
    if captured() is own:
        _surround(_outside(SURROUNDINGS.get() or _NOTHING))


@contextmanager
def bypassing() -> Iterator[None]:
    """Compute in this context, and the tasks it starts, without reading or storing."""
    before = SURROUNDINGS.get() or _NOTHING
    _surround(before._replace(is_bypassed=True))
    try:
        yield
    finally:  # a compute may have begun or ended meanwhile
        _surround((SURROUNDINGS.get() or _NOTHING)._replace(is_bypassed=before.is_bypassed))


def _outside(around: Surroundings) -> Surroundings:
    """Return the surroundings of the compute, bypassed or not as it is now."""
    outer = around.outer or _NOTHING
    return Surroundings(outer.compute, around.is_bypassed, outer.outer)


def _surround(around: Surroundings) -> Surroundings | None:
    found = around if around.compute is not None or around.is_bypassed else None
    SURROUNDINGS.set(found)
    return found


def bypassed() -> bool:
    """Say whether calls are to compute without reading or storing."""
    around = SURROUNDINGS.get()
    return (around is not None and around.is_bypassed) or ENVIRONMENT.get(DISABLED, _NO) not in _NOT_DISABLING
