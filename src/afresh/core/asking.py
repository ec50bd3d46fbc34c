"""What a store can do besides flights: the plainest of reads and puts, without a coroutine. See `afresh.runtime.hits`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from afresh.core.ops import Get, Op
from afresh.errors import StoreError

__all__ = ["Ask", "AskSoon", "Tells"]

# Runs a read, and GETs besides, in one write and without a coroutine; None if that is a flight's business, since all is not well.
Ask: TypeAlias = Callable[[Op, tuple[Get, ...]], list[Any] | None]


@runtime_checkable
class Tells(Protocol):
    """What a store for threads can do besides: it is `Ask` for writes."""

    def tell(self, writes: tuple[Op, ...], reads: tuple[Get, ...], /) -> list[Any] | None:
        """Run writes, which are no scripts and may be sent twice, and GETs after them; None if that is a flight's business.

        Raises:
            StoreError: what a flight would have raised.
        """
        ...


@runtime_checkable
class AskSoon(Protocol):
    """What a store for tasks can do besides: it is `Ask` in two parts, since what is awaited is best awaited by the caller itself."""

    def ask_soon(self, first: Op, reads: tuple[Get, ...], /) -> Awaitable[list[Any]] | None:
        """Send a read, and GETs besides; None if that is a flight's business, since all is not well.

        Raises:
            OSError: where it is awaited, if there was no reply. What that means is to be asked of `failed`.
        """
        ...

    def failed(self, error: OSError, /) -> StoreError | None:
        """Return what a flight would have raised, and draw its conclusions; None if one would ask again, on a new connection."""
        ...
