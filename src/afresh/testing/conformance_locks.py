"""The cases of `afresh.testing.conformance` about locks: who holds them, who waits in line, and fences that rise."""

from __future__ import annotations

from typing import Final

from afresh.core import ops
from afresh.testing.conformance_steps import HOUR_MS, SHORT_MS, Case, Fence, Names, Passed, Refused, Step, hash_at

__all__ = ["LOCK_CASES"]


def _acquire(names: Names, token: bytes, reply: object, *others: bytes, ttl_ms: int = HOUR_MS, patience_ms: int = HOUR_MS) -> Step:
    return Step(ops.Acquire(names.holder, names.queue, names.waiters, token, ttl_ms, patience_ms, others), reply)


def _release(names: Names, token: bytes, reply: int) -> Step:
    return Step(ops.Release(names.holder, names.queue, names.waiters, token), reply)


LOCK_CASES: Final[dict[str, Case]] = {
    "acquire": lambda n: [_acquire(n, b"one", Fence()), _acquire(n, b"two", -1), Step(ops.Get(n.holder), b"one")],
    "acquire-without-a-place": lambda n: [
        _acquire(n, b"one", Fence()),
        _acquire(n, b"two", 0, patience_ms=0),
        _release(n, b"one", 1),
        _acquire(n, b"three", Fence()),
    ],
    "acquire-again": lambda n: [_acquire(n, b"one", Fence()), _acquire(n, b"one", Fence(is_new=False)), _release(n, b"one", 1)],
    "acquire-again-with-the-fence-evicted": lambda n: [
        _acquire(n, b"one", Fence()),
        Step(ops.Unlink(n.waiters), 1),
        Step(Passed(1)),
        _acquire(n, b"one", Fence()),
    ],
    "acquire-in-turn": lambda n: [
        _acquire(n, b"one", Fence()),
        _acquire(n, b"two", -1),
        _acquire(n, b"three", -2),
        _release(n, b"one", 1),
        _acquire(n, b"three", -2),
        _acquire(n, b"two", Fence()),
        _release(n, b"two", 1),
        _acquire(n, b"three", Fence()),
    ],
    "acquire-for-others-in-turn": lambda n: [
        _acquire(n, b"one", Fence()),
        _acquire(n, b"two", -1, b"three", b"four"),
        _acquire(n, b"five", -4),
        _release(n, b"one", 1),
        _acquire(n, b"two", Fence()),
        _release(n, b"two", 1),
        _acquire(n, b"five", -3),
        _acquire(n, b"four", -2),
        _acquire(n, b"three", Fence()),
    ],
    "acquire-in-front-of-none": lambda n: [
        _acquire(n, b"one", Fence()),
        _acquire(n, b"two", -1),
        _release(n, b"one", 1),
        _acquire(n, b"three", 0, patience_ms=0),
    ],
    "acquire-past-who-waits-no-more": lambda n: [
        _acquire(n, b"one", Fence()),
        _acquire(n, b"two", -1, patience_ms=SHORT_MS),
        _release(n, b"one", 1),
        Step(Passed(SHORT_MS + 50)),
        _acquire(n, b"three", Fence()),
    ],
    "acquire-with-the-queue-evicted": lambda n: [
        _acquire(n, b"one", Fence()),
        _acquire(n, b"two", -1),
        Step(ops.Unlink(n.queue), 1),
        _release(n, b"one", 1),
        _acquire(n, b"three", Fence()),
    ],
    "acquire-lapses": lambda n: [
        _acquire(n, b"one", Fence(), ttl_ms=SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        _acquire(n, b"two", Fence()),
        _release(n, b"one", 0),
        Step(ops.Get(n.holder), b"two"),
    ],
    "acquire-another-type": lambda n: [hash_at(n.holder), _acquire(n, b"one", Refused("WRONGTYPE"))],
    "release-theirs": lambda n: [_acquire(n, b"one", Fence()), _release(n, b"two", 0), Step(ops.Get(n.holder), b"one")],
    "release-nothing": lambda n: [_release(n, b"one", 0)],
    "release-twice": lambda n: [_acquire(n, b"one", Fence()), _release(n, b"one", 1), _release(n, b"one", 0)],
    "release-a-place": lambda n: [
        _acquire(n, b"one", Fence()),
        _acquire(n, b"two", -1),
        _release(n, b"two", 0),
        _release(n, b"one", 1),
        _acquire(n, b"three", Fence()),
    ],
    "renew-a-lock": lambda n: [
        _acquire(n, b"one", Fence(), ttl_ms=SHORT_MS),
        Step(ops.Extend(n.holder, b"one", HOUR_MS), 1),
        Step(ops.Extend(n.holder, b"two", HOUR_MS), 0),
        Step(Passed(SHORT_MS + 50)),
        _acquire(n, b"two", -1),
    ],
    "fence-rises-over-evictions": lambda n: [
        _acquire(n, b"one", Fence()),
        Step(ops.Unlink(n.holder, (n.waiters,)), 2),
        Step(Passed(1)),
        _acquire(n, b"two", Fence()),
        _release(n, b"two", 1),
        _acquire(n, b"three", Fence()),
    ],
}
