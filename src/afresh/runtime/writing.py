"""Blocks of code that write to the database under tags: `cache.writing(...)`, for threads and for tasks.

An integration with hooks of its own does what these do, at its own times: `new_transaction`; `Renewals.start` and `apart.enter`; `mark`
before the first write and once more right before COMMIT; then `apart.leave`, `Renewals.stop`, and `end` if that says that the
transaction was ours: in a forked child it is the parent's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from afresh.core.keys import Tag
from afresh.core.transactions import begin, end, new_transaction
from afresh.runtime import apart
from afresh.runtime.computing import closing_ports
from afresh.runtime.engine import Engine
from afresh.runtime.run_now import run_now

__all__ = ["writing", "writing_task"]


@contextmanager
def writing(engine: Engine, tags: Sequence[Tag]) -> Iterator[None]:
    """Keep the tags dirty while the block runs. See `afresh.core.transactions`."""
    transaction = new_transaction(engine.sync_ports())
    engine.renewals.start(transaction)
    try:
        run_now(begin(engine.sync_ports(), transaction, tags))
        apart.enter(transaction)
        yield
    finally:
        apart.leave(transaction)
        if engine.renewals.stop(transaction) and transaction.is_open:
            run_now(end(engine.sync_ports(), transaction))


@asynccontextmanager
async def writing_task(engine: Engine, tags: Sequence[Tag]) -> AsyncIterator[None]:
    """Keep the tags dirty while a task's block runs."""
    transaction = new_transaction(engine.async_ports())
    engine.renewals.start_for_task(transaction)
    ending: BaseException | None = None
    try:
        await begin(engine.async_ports(), transaction, tags)
        apart.enter(transaction)
        yield
    except BaseException as error:
        ending = error
        raise
    finally:
        apart.leave(transaction)
        if engine.renewals.stop(transaction) and transaction.is_open:
            await end(closing_ports(engine, ending), transaction)
