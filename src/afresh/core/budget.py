"""The budget of a call: what all its flights together may take.

The first flight of a call has the whole budget, and costs nothing to bound. Who needs another says what the earlier ones took. What a
compute takes, and waiting for somebody else's, does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from afresh.core.ops import Op
from afresh.core.ports import Clock, Ports, Store
from afresh.errors import StoreError

__all__ = ["allowance_s", "is_told", "one_call", "spent_us", "told"]

# What every flight gets, as a part of the budget, even when the budget is spent: many times what a server needs that is well. The time
# that is gone may have gone to our own threads or tasks, which all wanted to run.
_LEAST: Final = 1 / 16


def allowance_s(budget_s: float, spent_s: float) -> float:
    """Return how long a flight may take, after so much of its call's budget."""
    return max(budget_s - spent_s, budget_s * _LEAST)


class _Answer(NamedTuple):
    """What was asked before the flow began, and what the server said."""

    batch: tuple[Op, ...]
    replies: list[Any] | StoreError


class _CallStore:
    """A store as one call sees it: each flight has what the earlier ones have left."""

    __slots__ = ("answer", "clock", "spent_us", "store")

    def __init__(self, store: Store, clock: Clock, spent_us: int, answer: _Answer | None = None) -> None:
        self.store = store
        self.clock = clock
        self.spent_us = spent_us
        self.answer = answer

    async def flight(self, batch: Sequence[Op], /, spent_us: int = 0) -> list[Any]:  # noqa: ARG002  a call's own account is complete
        answer, self.answer = self.answer, None
        if answer is not None and answer.batch == batch:
            if isinstance(answer.replies, StoreError):
                raise answer.replies
            return answer.replies
        started_us = self.clock.ticks_us()
        try:
            return await self.store.flight(batch, self.spent_us)
        finally:
            self.spent_us += self.clock.ticks_us() - started_us


def one_call(ports: Ports, spent_us: int = 0) -> Ports:
    """Return ports whose flights share one budget, of which so much is spent. What they spend is no concern of `ports`."""
    store = ports.store
    return ports.but(store=_CallStore(store.store if isinstance(store, _CallStore) else store, ports.clock, spent_us))


def told(ports: Ports, batch: tuple[Op, ...], replies: list[Any] | StoreError, spent_us: int) -> Ports:
    """Return the ports of a call that has flown its first flight, which took so long: whoever flies it now gets these replies."""
    return ports.but(store=_CallStore(ports.store, ports.clock, max(1, spent_us), _Answer(batch, replies)))


def is_told(found: object) -> bool:
    """Say whether these are ports that have been `told`, and not asked yet."""
    return isinstance(found, Ports) and isinstance(found.store, _CallStore) and found.store.answer is not None


def spent_us(ports: Ports) -> int:
    """Return what a call's ports have spent so far."""
    return ports.store.spent_us if isinstance(ports.store, _CallStore) else 0
