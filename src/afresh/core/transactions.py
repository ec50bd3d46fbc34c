"""Transactions that write to the database what entries were computed from: nothing computed before COMMIT is served after it.

A transaction *marks* the tags that it writes under before COMMIT, and *ends* the marks after COMMIT or ROLLBACK. While a tag is marked
nothing under it is served or stored; the last transaction out renews the tag's stamp, so that whatever was computed before is different
for ever. A writer that dies leaves its marks, which lapse by the server's time; only then may entries be stored again, under a new stamp.

Rules, each with the race that it closes:

1. The mark comes before COMMIT, and a transaction that cannot set it must not commit: a writer may die right after COMMIT.
2. The mark is in two names, and either keeps the tag dirty: eviction may take one of them.
3. While it is open, a transaction sets its mark again and again: a long one does not lapse, and what was evicted comes back.
4. An invalidation of a dirty tag leaves it dirty: it says nothing of the other transactions.
5. Each mark has its own transaction's id, and only the last one out renews the stamp: two may write under one tag.
6. If the transactions' names were evicted while a mark lived, nobody knows who else is in: the tag stays dirty until the last deadline.

For a framework with hooks: `mark` the tags before the first write or before COMMIT, `mark` again right before COMMIT, `end` after COMMIT
or ROLLBACK; see `afresh.runtime.writing` for what to do besides.

Accepted: both names of a tag lost, and the writer dead before it has set them again; a process that stands still for longer than a mark
lives, unless it marks again right before COMMIT.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from afresh.core.budget import one_call
from afresh.core.keys import Tag
from afresh.core.ops import End, Mark, Op
from afresh.core.policy import MARK_KEEP_MS, MARK_MS, MARK_RENEWAL_MS
from afresh.core.ports import Ports
from afresh.core.stamps import STAMP_BYTES
from afresh.core.writes import Target
from afresh.errors import StoreError, StoreRefused

__all__ = ["Transaction", "begin", "end", "mark", "new_transaction"]

_ID_BYTES = 8


class Transaction:
    """Writes that are under way.

    Attributes:
        tags: what is, or may be, marked on the server.
        is_open: whether it has not ended.
    """

    renewed_every_ms: ClassVar[int] = MARK_RENEWAL_MS
    renewed_for_ms: ClassVar[None] = None

    __slots__ = ("__weakref__", "id", "is_open", "tags")

    def __init__(self, identity: bytes) -> None:
        self.id = identity
        self.tags: tuple[Tag, ...] = ()
        self.is_open = True

    def renewal(self) -> Sequence[Mark]:
        """Return what sets all its marks again."""
        return [Mark(tag.key, tag.writers, self.id, MARK_MS, MARK_KEEP_MS) for tag in self.tags]

    def ending(self, ports: Ports) -> Sequence[Op]:
        """Return what ends all its marks."""
        return [End(tag.key, tag.writers, self.id, ports.token(STAMP_BYTES), MARK_KEEP_MS) for tag in self.tags]

    def renewed(self, ports: Ports, replies: Sequence[object], sent_ms: int, /) -> Sequence[Op]:  # noqa: ARG002  see Renewable
        """End the marks again if a renewal has overtaken their end: they would keep the tags dirty until they lapse."""
        return () if self.is_open else self.ending(ports)


def new_transaction(ports: Ports) -> Transaction:
    """Return a transaction that has not marked anything."""
    return Transaction(ports.token(_ID_BYTES))


async def begin(ports: Ports, transaction: Transaction, tags: Sequence[Tag]) -> None:
    """Mark these tags, or end what was marked of them.

    Cost: 1 round trip; 1 more if it fails.

    Raises:
        StoreError: as `mark`. The transaction has ended then.
    """
    ports = one_call(ports)
    try:
        await mark(ports, transaction, tags)
    except StoreError:
        await _unmark(ports, transaction)
        raise


async def mark(ports: Ports, transaction: Transaction, tags: Sequence[Tag] = ()) -> None:
    """Keep these tags, and those marked before, dirty from now on. The same again renews, and asserts all of it right before COMMIT.

    Cost: 1 round trip, whatever the number of tags.

    Raises:
        StoreError: if a mark may not have been set: the transaction must not commit then. Call `end` all the same.
    """
    # First of all: what may be on the server is to be ended.
    transaction.tags = tuple(dict.fromkeys((*transaction.tags, *tags)))
    _drop_near(ports, transaction)
    for reply in await ports.store.flight(transaction.renewal()) if transaction.tags else ():
        if isinstance(reply, StoreRefused):
            raise reply
    _drop_near(ports, transaction)


async def end(ports: Ports, transaction: Transaction) -> None:
    """End the marks, after COMMIT or ROLLBACK. Never raises for the server: marks that it did not end lapse.

    Where the server failed, marks may have lapsed before COMMIT, as nobody renewed them: then the tags are invalidated, however late.

    Cost: 1 round trip, whatever the number of tags.
    """
    called_ms = ports.clock.now_ms()
    error = await _unmark(ports, transaction)
    if ports.invalidations is not None and transaction.tags:
        targets = [Target(None, tag.key) for tag in transaction.tags]
        if error is None:
            ports.invalidations.applied(targets, called_ms)
        else:
            ports.invalidations.failed(targets, called_ms, error)


async def _unmark(ports: Ports, transaction: Transaction) -> StoreError | None:
    """End the marks. Returns why one could not be ended."""
    transaction.is_open = False
    replies: Sequence[object]
    try:
        replies = await ports.store.flight(transaction.ending(ports)) if transaction.tags else ()
    except StoreError as error:
        replies = [error]
    failures = [reply for reply in replies if isinstance(reply, StoreError)]
    for failure in failures:
        ports.events.suppressed("end", failure)
    _drop_near(ports, transaction)
    return failures[0] if failures else None


def _drop_near(ports: Ports, transaction: Transaction) -> None:
    """Serve nothing that this process holds under the tags: it need not wait to hear of its own marks."""
    ports.changed([tag.key for tag in transaction.tags])
