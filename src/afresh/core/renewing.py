"""What a process keeps alive on the server while it is at work: leases, transactions' marks, locks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from afresh.core.ops import Op
from afresh.core.ports import Ports
from afresh.errors import StoreError

__all__ = ["Renewable", "renew"]


class Renewable(Protocol):
    """Something that lapses unless its holder renews it."""

    @property
    def renewed_every_ms(self) -> int:
        """How often."""
        ...

    @property
    def renewed_for_ms(self) -> int | None:
        """For how long at most; None: as long as it is held."""
        ...

    def renewal(self) -> Sequence[Op]:
        """Return what renews it."""
        ...

    def renewed(self, ports: Ports, replies: Sequence[object], sent_ms: int, /) -> Sequence[Op]:
        """Take note of the replies to that, and return what takes it back if its holder let go meanwhile.

        Not called if the server failed. `sent_ms` is when it was asked, by the server's time.
        """
        ...


async def renew(ports: Ports, held: Sequence[Renewable]) -> None:
    """Renew all of these, where they are still ours. Cost: 1 round trip, 2 if one was let go meanwhile. Never raises for the server."""
    batches = [each.renewal() for each in held]
    sent_ms = ports.clock.now_ms()
    replies = await _told(ports, [op for batch in batches for op in batch])
    undoing: list[Op] = []
    for each, batch in zip(held, batches, strict=True):
        own, replies = replies[: len(batch)], replies[len(batch) :]
        if len(own) == len(batch):
            undoing += each.renewed(ports, own, sent_ms)
    if undoing:
        await _told(ports, undoing)


async def _told(ports: Ports, ops: Sequence[Op]) -> Sequence[object]:
    """Return the replies; none if the server failed."""
    replies: Sequence[object]
    try:
        replies = await ports.store.flight(ops)
    except StoreError as error:
        ports.events.suppressed("renew", error)
        return ()
    for reply in replies:
        if isinstance(reply, StoreError):
            ports.events.suppressed("renew", reply)
    return replies
