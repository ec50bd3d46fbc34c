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

    def renewed(self, replies: Sequence[object], sent_us: int, /) -> None:
        """Take note of the replies to that, asked for at `sent_us`. Not called if the server failed."""
        ...


async def renew(ports: Ports, held: Sequence[Renewable]) -> None:
    """Renew all of these, where they are still ours. Cost: 1 round trip. Never raises for the server."""
    batches = [each.renewal() for each in held]
    sent_us = ports.clock.ticks_us()
    try:
        replies = await ports.store.flight([op for batch in batches for op in batch])
    except StoreError as error:
        ports.events.suppressed("renew", error)
        return
    for each, batch in zip(held, batches, strict=True):
        own, replies = replies[: len(batch)], replies[len(batch) :]
        for reply in own:
            if isinstance(reply, StoreError):
                ports.events.suppressed("renew", reply)
        each.renewed(own, sent_us)
