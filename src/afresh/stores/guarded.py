"""A store that is not asked while it hangs: calls then miss at once instead of each spending its budget."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from afresh.core.breaker import Breaker
from afresh.core.ops import Bump, End, Get, Invalidate, Op, Release
from afresh.core.ports import Store
from afresh.errors import StoreError, StoreUnavailable
from afresh.stores.server_time import ServerTime

if TYPE_CHECKING:
    from afresh.stores.aio import AsyncStore
    from afresh.stores.sync import SyncStore

__all__ = ["GuardedStore"]

# The end of a transaction or a lock is always tried: what it costs is less than what it is worth. So is an invalidation, until it is plain
# that the server hangs: then it is repeated behind the caller's back.
_ALWAYS = frozenset((End, Release))
_UNTIL_IT_HANGS = frozenset((Bump, End, Invalidate, Release))


S = TypeVar("S", bound=Store)


class GuardedStore(Generic[S]):
    """A store behind a breaker, which the stores for threads and for tasks share.

    Args:
        store: does the work.
        breaker: knows whether it answers.
        budget_s: how long all flights of a call may take.
    """

    def __init__(self, store: S, breaker: Breaker, budget_s: float) -> None:
        self._store = store
        self._breaker = breaker
        self._half_us = budget_s * 500_000

    async def flight(self, batch: Sequence[Op], /, spent_us: int = 0) -> list[Any]:
        """Run the operations, unless the server is known to hang."""
        breaker = self._breaker
        if not breaker.is_closed and not breaker.admits(ServerTime.ticks_ms()) and not self._is_urgent(batch):
            msg = "the server was not asked: it has not answered in time lately. Is the server running? It is tried again within a second."
            raise StoreUnavailable(msg)
        try:
            replies = await self._store.flight(batch, spent_us)
        except BaseException as error:
            self._note(error, spent_us)
            raise
        if not breaker.is_closed:
            breaker.answered()
        return replies

    def ask(self: GuardedStore[SyncStore], first: Op, reads: tuple[Get, ...], /) -> list[Any] | None:
        """See `afresh.core.asking.Ask`. Whether to ask a server that hangs is a flight's business."""
        if not self._breaker.is_closed:
            return None
        try:
            return self._store.ask(first, reads)
        except BaseException as error:
            self._note(error, 0)
            raise

    def tell(self: GuardedStore[SyncStore], writes: tuple[Op, ...], reads: tuple[Get, ...], /) -> list[Any] | None:
        """See `afresh.core.asking.Tells`. As `ask`."""
        if not self._breaker.is_closed:
            return None
        try:
            return self._store.tell(writes, reads)
        except BaseException as error:
            self._note(error, 0)
            raise

    def ask_soon(self: GuardedStore[AsyncStore], first: Op, reads: tuple[Get, ...], /) -> Awaitable[list[Any]] | None:
        """See `afresh.core.asking.AskSoon`."""
        return self._store.ask_soon(first, reads) if self._breaker.is_closed else None

    def failed(self: GuardedStore[AsyncStore], error: OSError, /) -> StoreError | None:
        """See `afresh.core.asking.AskSoon`."""
        failure = self._store.failed(error)
        if failure is not None:
            self._note(failure, 0)
        return failure

    def _note(self, error: BaseException, spent_us: int) -> None:
        """Draw conclusions from how a flight ended, that began after so much of its call's budget."""
        breaker = self._breaker
        if not isinstance(error, StoreUnavailable):
            breaker.gave_up()
        elif not error.is_timeout:
            breaker.answered()
        elif spent_us > self._half_us:
            breaker.gave_up()  # it had but little time, which says little
        else:
            breaker.timed_out(ServerTime.ticks_ms())

    def _is_urgent(self, batch: Sequence[Op]) -> bool:
        return not (_UNTIL_IT_HANGS if self._breaker.is_doubtful else _ALWAYS).isdisjoint(map(type, batch))
