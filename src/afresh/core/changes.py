"""Changes: how they are sent, so that no near tier keeps what was there before, and the stamps that new entries are written under."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afresh.core.flows import new_stamps
from afresh.core.ops import Announce, Op
from afresh.core.policy import KEY_STAMP_MS, tag_ttl_ms
from afresh.core.ports import Ports
from afresh.core.reads import Request, alike
from afresh.core.stamps import STAMP_BYTES, Needs
from afresh.errors import StoreError

__all__ = ["change", "ensured", "guess_of", "sent", "vector_now", "vectors_now", "write"]


def ensured(replies: Sequence[Any]) -> Sequence[Any]:
    """Return the replies; raise the first refusal among them."""
    for reply in replies:
        if isinstance(reply, StoreError):
            raise reply
    return replies


async def write(ports: Ports, requests: Sequence[Request], ops: Sequence[Op]) -> Sequence[Any]:
    """Write the entries of these requests, and have all near tiers forget what they were."""
    functions = [request for request in requests if request.needs.function is not None]  # of whose entries only the own stamps are pushed
    announcing = [Announce(each.names.stamp, KEY_STAMP_MS, ports.token(STAMP_BYTES)) for each in functions]
    replies = await change(ports, [request.names.value for request in requests], [*ops, *announcing])
    return replies[: len(ops)]


async def change(ports: Ports, names: Sequence[str], ops: Sequence[Op]) -> Sequence[Any]:
    """Write, and have the near tiers of this process forget these names before the caller goes on, whatever came of it.

    Not before writing: what is read meanwhile is as old as what was there, and can no longer be filled after this.
    """
    return ensured(await sent(ports, names, ops))


async def sent(ports: Ports, names: Sequence[str], ops: Sequence[Op]) -> Sequence[Any]:
    """Do what `change` does, and return the refusals among the replies."""
    try:
        return await ports.store.flight(ops)
    finally:
        ports.changed(names)


async def vectors_now(
    ports: Ports, requests: Sequence[Request], ttl_ms: int | None, first: Sequence[Op] = ()
) -> tuple[dict[int, bytes | None], Sequence[Any]]:
    """Write what is given, and return the stamps that the requests need as they are now, by the needs' identity, and the writes' replies.

    No vector while a transaction keeps a tag dirty. With something to write, implicit stamps are read and not created: there is no vector
    if one is missing. Cost: 1 round trip; none where there is nothing to do.
    """
    px_ms = tag_ttl_ms(ttl_ms, requests[0].policy.kept_ms)
    needs = alike(requests)
    stamping: dict[str, Op] = {}
    for each in needs.values():
        if not first or len(each.tags) > each.implicit:
            stamping |= {op.key: op for op in each.stamping(new_stamps(ports, each), px_ms)}
        if first:
            stamping |= {get.key: get for get in each.reads[: each.implicit]}
    ops = (*first, *stamping.values())
    replies = await write(ports, requests if first else (), ops) if ops else ()
    stamps = dict(zip(stamping, replies[len(first) :], strict=True))
    ports.remembered.learn(stamps)
    vectors = {at: each.vector([stamps[tag.key] for tag in each.tags]) if each.is_storable else None for at, each in needs.items()}
    return vectors, replies[: len(first)]


async def vector_now(ports: Ports, request: Request, ttl_ms: int | None) -> bytes | None:
    """Return the stamps of a request as they are now. Cost: 1 round trip; none where it needs none."""
    vectors, _ = await vectors_now(ports, [request], ttl_ms)
    return vectors[id(request.needs)]


def guess_of(ports: Ports, needs: Needs) -> bytes | None:
    """Return the vector to write under before it is known; None if there is nothing to guess by."""
    return ports.remembered.vector(needs) if needs.is_storable else None
