"""What the listener of the near tier needs from the connection that it listens on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from afresh.errors import StoreRefused

__all__ = ["Beat", "Line", "Pushed"]


class Pushed(NamedTuple):
    """The server says that these names have changed; None: any may have."""

    names: Sequence[str] | None


class Beat(NamedTuple):
    """The server answers a beat: done, or refused."""

    refusal: StoreRefused | None


class Line(Protocol):
    """A connection on which the server pushes what changes. Used by one thread, but for `wake`.

    Raises:
        StoreError: once it is lost.
    """

    def beat(self) -> None:
        """Send a heartbeat."""
        ...

    def hear(self, timeout_s: float, /) -> Sequence[Pushed | Beat]:
        """Return what the server has said, in its order; nothing after that time."""
        ...

    def wake(self) -> None:
        """End the connection from any thread: who hears is told that it is lost."""
        ...

    def close(self) -> None:
        """Close it."""
        ...

    def leave(self) -> None:
        """Close a forked child's copy, without a word to the server."""
        ...
