"""What a child process must forget: connections and computations belong to its parent."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["forget_after_fork"]


class _Forgetful(Protocol):
    def forget(self) -> None: ...


_KNOWN: WeakSet[_Forgetful] = WeakSet()


def forget_after_fork(something: _Forgetful) -> None:
    """Have `something.forget()` called in every child process, as long as it lives."""
    _KNOWN.add(something)


def _forget() -> None:
    for something in list(_KNOWN):
        something.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
