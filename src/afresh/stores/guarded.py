"""A store that is not asked while it hangs: calls then miss at once instead of each spending its budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from afresh.core.breaker import Breaker
from afresh.core.ops import Bump, End, Invalidate, Op
from afresh.core.ports import Store
from afresh.errors import StoreUnavailable

__all__ = ["GuardedStore"]

# An invalidation, or the end of a transaction, is always tried: what it costs is less than what it is worth.
_ALWAYS = frozenset((Bump, End, Invalidate))


class GuardedStore:
    """A store behind a breaker, which the stores for threads and for tasks share.

    Args:
        store: does the work.
        breaker: knows whether it answers.
        ticks_ms: a monotonic reading.
    """

    def __init__(self, store: Store, breaker: Breaker, ticks_ms: Callable[[], int]) -> None:
        self._store = store
        self._breaker = breaker
        self._ticks_ms = ticks_ms

    async def flight(self, batch: Sequence[Op], /) -> list[Any]:
        """Run the operations, unless the server is known to hang."""
        breaker = self._breaker
        if not breaker.is_closed and not breaker.admits(self._ticks_ms()) and _ALWAYS.isdisjoint(map(type, batch)):
            msg = "the server was not asked: it has not answered in time lately. Is the server running? It is tried again within a second."
            raise StoreUnavailable(msg)
        try:
            replies = await self._store.flight(batch)
        except StoreUnavailable as error:
            if error.is_timeout:
                breaker.timed_out(self._ticks_ms())
            else:
                breaker.answered()
            raise
        except BaseException:
            breaker.gave_up()
            raise
        if not breaker.is_closed:
            breaker.answered()
        return replies
