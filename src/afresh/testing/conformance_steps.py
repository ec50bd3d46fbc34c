"""What the cases of `afresh.testing.conformance` are made of: operations, and the replies that they must get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from afresh.core import ops
from afresh.core.envelope import FOR_EVER, Flag, pack_prefix

__all__ = [
    "COMPUTED_AT_5",
    "FOREIGN",
    "FRESH",
    "HOUR_MS",
    "LONG",
    "S1",
    "S2",
    "SET_AT_5",
    "SHORT_MS",
    "TOUCHED",
    "UNTIL",
    "A",
    "B",
    "Case",
    "Fence",
    "Marked",
    "Names",
    "Passed",
    "Refused",
    "Step",
    "claim",
    "ended",
    "entry",
    "extend",
    "fields",
    "hash_at",
    "incr",
    "invalidate",
    "is_there",
    "leased",
    "marked",
    "number",
    "seized",
    "stamped",
    "start",
    "swap",
    "there",
    "touch",
]

HOUR_MS: Final = 3_600_000
# Short enough to wait for, long enough to ask a server within it.
SHORT_MS: Final = 200


class Refused(NamedTuple):
    """The reply must be a refusal with this code."""

    code: str


class Marked(NamedTuple):
    """The reply must be a mark, whatever its deadline."""


class Fence(NamedTuple):
    """The reply must be a fence higher than all before; or, if it is not new, the last one."""

    is_new: bool = True


class Passed(NamedTuple):
    """So much time passes."""

    duration_ms: int


class Step(NamedTuple):
    """An operation, or time that passes, and what must come back."""

    op: ops.Op | Passed
    reply: object = None


class Names(NamedTuple):
    """The names that a case may use."""

    value: str
    lease: str
    stamp: str
    table: str
    writers: str
    holder: str
    queue: str
    waiters: str


Case: TypeAlias = Callable[[Names], Sequence[Step]]


def entry(payload: bytes = b"payload", *, codec: int = 2, flags: int = Flag.NAMESPACE, tags: int = 0) -> bytes:
    """Return an envelope of the simplest kind, with stamps of zeros."""
    vector = bytes(8 * (flags & 1) + 4 * (flags & 2) + 16 * tags)
    prefix = pack_prefix(vector, flags=flags, codec=codec, tags=tags, created_ms=1, fresh_until_ms=2, cost_us=3, schema=4)
    return prefix + payload


def number(digits: bytes, **header: int) -> bytes:
    """Return the envelope of an integer."""
    return entry(digits, codec=1, **header)


A: Final = entry(b"a")
B: Final = entry(b"b")
UNTIL: Final = FOR_EVER.to_bytes(8, "little")
# Not stale yet, for a very long time.
FRESH: Final = A[:16] + (FOR_EVER - 1).to_bytes(8, "little") + A[24:]
TOUCHED: Final = A[:16] + UNTIL + A[24:]
FOREIGN: Final = b"no envelope"
LONG: Final = FRESH[:-1] + bytes(10_000)
# Created at 5 ms: by a compute, which took some time, and by a `set`.
COMPUTED_AT_5: Final = A[:8] + (5).to_bytes(8, "little") + A[16:]
SET_AT_5: Final = COMPUTED_AT_5[:24] + bytes(4) + COMPUTED_AT_5[28:]
S1: Final = b"stamp--1"
S2: Final = b"stamp--2"


def there(names: Names, raw: bytes, ttl_ms: int = HOUR_MS) -> Step:
    """Put these bytes where the entry is."""
    return Step(ops.Put(names.value, names.lease, raw, ttl_ms), 1)


def is_there(names: Names, raw: object) -> Step:
    """Find these bytes there."""
    return Step(ops.Get(names.value), raw)


def leased(names: Names, mark: bytes | None) -> Step:
    """Find this mark as the lease."""
    return Step(ops.Get(names.lease), mark)


def seized(names: Names, mark: bytes = b"theirs") -> Step:
    """Have somebody hold the lease."""
    return Step(ops.Seize(names.lease, HOUR_MS, mark), b"OK")


def stamped(names: Names, stamp: bytes = S1, ttl_ms: int = HOUR_MS) -> Step:
    """Create the stamp."""
    return Step(ops.Stamp(names.stamp, names.writers, stamp, ttl_ms), stamp)


def hash_at(key: str) -> Step:
    """Put something else than a string under a name."""
    return Step(ops.TableStart(key, b"", b"fence", HOUR_MS, 0, (b"row",)), b"fence")


def claim(names: Names, seen: bytes, reply: object, mark: bytes = b"mine") -> Step:
    """Claim, and be told this."""
    return Step(ops.Claim(names.value, names.lease, seen, mark, HOUR_MS), reply)


def swap(names: Names, seen: bytes, size: int, reply: object) -> Step:
    """Swap, and be told this."""
    return Step(ops.Swap(names.value, names.lease, seen, size, B, HOUR_MS), reply)


def incr(names: Names, by: int, reply: object) -> Step:
    """Add, and be told this."""
    return Step(ops.Incr(names.value, names.lease, by), reply)


def touch(names: Names, reply: object, ttl_ms: int = HOUR_MS) -> Step:
    """Touch, and be told this."""
    return Step(ops.Touch(names.value, names.lease, UNTIL, ttl_ms), reply)


def invalidate(names: Names, reply: object, ttl_ms: int = HOUR_MS, since_ms: int = 0) -> Step:
    """Invalidate, and be told this."""
    return Step(ops.Invalidate(names.value, names.lease, names.stamp, S2, ttl_ms, since_ms), reply)


def marked(names: Names, transaction: bytes = b"one", *, live_ms: int = HOUR_MS, is_new: int = 1) -> Step:
    """Begin, or renew, a transaction under the tag."""
    return Step(ops.Mark(names.stamp, names.writers, transaction, live_ms, HOUR_MS), is_new)


def ended(names: Names, was_there: int, transaction: bytes = b"one") -> Step:
    """End a transaction under the tag."""
    return Step(ops.End(names.stamp, names.writers, transaction, S2, HOUR_MS), was_there)


def start(names: Names, seen: bytes, fence: bytes, first: int, *rows: bytes, reply: bytes) -> Step:
    """Begin a memo table."""
    return Step(ops.TableStart(names.table, seen, fence, HOUR_MS, first, rows), reply)


def extend(names: Names, fence: bytes, first: int, *rows: bytes, reply: int, bound: int = 0) -> Step:
    """Write rows to the memo table."""
    return Step(ops.TableExtend(names.table, fence, HOUR_MS, bound, 1, first, rows), reply)


def fields(names: Names, **fields: bytes | None) -> Step:
    """Find these fields in the memo table; `r7` is row 7."""
    named = {name.removeprefix("r"): value for name, value in fields.items()}
    return Step(ops.HashGet(names.table, tuple(named)), list(named.values()))
