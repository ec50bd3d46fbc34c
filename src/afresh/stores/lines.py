"""The lines of those who wait for a lock, as acquire.lua keeps them: for the store inside the process.

A queue maps tokens to the order in which they came; `waiters`, to the time until when each keeps its place.
"""

from __future__ import annotations

from afresh.core.ops import Acquire

__all__ = ["comes_next", "place_of", "take_places"]


def take_places(op: Acquire, queue: dict[bytes, int], waiters: dict[bytes, bytes], now_ms: int) -> None:
    """Have the token and the others of its process wait in line, where they do not yet."""
    if op.patience_ms <= 0:
        return
    last = max(now_ms * 1000, *queue.values(), 0)
    for at, token in enumerate((op.token, *op.others), 1):
        queue.setdefault(token, last + at)
        waiters[token] = b"%d" % (now_ms + op.patience_ms)


def place_of(token: bytes, queue: dict[bytes, int]) -> int:
    """Return its place in the line, from 1; 0 if it has none."""
    return 1 + sorted(queue, key=queue.__getitem__).index(token) if token in queue else 0


def comes_next(token: bytes, queue: dict[bytes, int], waiters: dict[bytes, bytes], now_ms: int) -> bool:
    """Drop those who do not wait any more from the head of the line, and say whether nobody is in front of this token."""
    for first in sorted(queue, key=queue.__getitem__):
        if first == token:
            return True
        if int(waiters.get(first, 0)) > now_ms:
            return False
        del queue[first]
        waiters.pop(first, None)
    return True
