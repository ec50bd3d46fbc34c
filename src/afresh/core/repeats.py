"""What to send again when the reply to a flight was lost with its connection: the server may have run it, and may yet run it.

The first copy can arrive at any time, also after the second: a network that was half-open brings what it held. So nothing that is sent
twice may do harm by being run twice, in whichever order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from afresh.core.ops import Bump, Claim, End, Incr, Invalidate, Op, Replace, Seize, Stamp, Swap

__all__ = ["may_repeat", "repeated"]

# The second would add twice, or find what the first did. And a claim that comes once more, after an invalidation has ended the first, would
# give the lease back to a compute that began before it: what it commits would be stored.
_ONCE = frozenset((Claim, Incr, Seize, Swap))
# A stamp never returns. If the first copy's were brought twice, the second would bring back what somebody invalidated in between.
_STAMPING = (Bump, End, Invalidate, Replace, Stamp)


def may_repeat(batch: Sequence[Op]) -> bool:
    """Say whether a flight may be sent again."""
    return _ONCE.isdisjoint(map(type, batch))


def repeated(batch: Sequence[Op], token: Callable[[int], bytes]) -> list[Op]:
    """Return what to send in the place of a flight whose reply was lost, and which may be sent again.

    Args:
        batch: the flight.
        token: returns so many random bytes.
    """
    return [op._replace(fresh=token(len(op.fresh))) if isinstance(op, _STAMPING) else op for op in batch]
