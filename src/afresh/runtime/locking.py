"""Blocks of code that one holder at a time is in: `cache.lock(...)`, for threads and for tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from afresh.core.locks import Holding, Turns, Wanted, acquire, release
from afresh.core.ports import Ports
from afresh.core.results import Lease
from afresh.errors import LockLost
from afresh.runtime.computing import closing_ports
from afresh.runtime.engine import Engine
from afresh.runtime.run_now import run_now
from afresh.runtime.turns import AsyncTurns, SyncTurns

__all__ = ["locked", "locked_task"]


@contextmanager
def locked(engine: Engine, wanted: Wanted) -> Iterator[Lease]:
    """Hold the lock while the block runs. See `afresh.core.locks`."""
    turns = SyncTurns(engine.turns)
    holding = run_now(acquire(engine.sync_ports(), turns, wanted))
    was_held = False
    try:
        engine.renewals.start(holding)
        yield Lease(holding)
    finally:
        was_held = run_now(_ended(engine, engine.sync_ports(), turns, holding))
    if not was_held:
        raise LockLost(wanted.name)


@asynccontextmanager
async def locked_task(engine: Engine, wanted: Wanted) -> AsyncIterator[Lease]:
    """Hold the lock while a task's block runs."""
    turns = AsyncTurns(engine.turns)
    holding = await acquire(engine.async_ports(), turns, wanted)
    ending: BaseException | None = None
    was_held = False
    try:
        engine.renewals.start_for_task(holding)
        yield Lease(holding)
    except BaseException as error:
        ending = error
        raise
    finally:
        was_held = await _ended(engine, closing_ports(engine, ending), turns, holding)
    if not was_held:
        raise LockLost(wanted.name)


async def _ended(engine: Engine, ports: Ports, turns: Turns, holding: Holding) -> bool:
    """Release the lock; in a forked child, which does not hold it, leave it to the parent."""
    return engine.renewals.stop(holding) and await release(ports, turns, holding)
