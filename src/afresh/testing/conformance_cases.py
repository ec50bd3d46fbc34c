"""The cases of `afresh.testing.conformance`: what each operation of `afresh.core.ops` must answer, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from afresh.core import ops
from afresh.core.envelope import FOR_EVER, Flag, pack_prefix

__all__ = ["CASES", "Marked", "Names", "Passed", "Refused", "Step", "entry", "number"]

HOUR_MS: Final = 3_600_000
# Short enough to wait for, long enough to ask a server within it.
SHORT_MS: Final = 200


class Refused(NamedTuple):
    """The reply must be a refusal with this code."""

    code: str


class Marked(NamedTuple):
    """The reply must be a mark, whatever its deadline."""


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
TOUCHED: Final = A[:16] + UNTIL + A[24:]
FOREIGN: Final = b"no envelope"
LONG: Final = entry(bytes(10_000))
S1: Final = b"stamp--1"
S2: Final = b"stamp--2"


def _there(names: Names, raw: bytes, ttl_ms: int = HOUR_MS) -> Step:
    return Step(ops.Put(names.value, names.lease, raw, ttl_ms), 1)


def _is_there(names: Names, raw: object) -> Step:
    return Step(ops.Get(names.value), raw)


def _leased(names: Names, mark: bytes | None) -> Step:
    return Step(ops.Get(names.lease), mark)


def _seized(names: Names, mark: bytes = b"theirs") -> Step:
    return Step(ops.Seize(names.lease, HOUR_MS, mark), b"OK")


def _stamped(names: Names, stamp: bytes = S1, ttl_ms: int = HOUR_MS) -> Step:
    return Step(ops.Stamp(names.stamp, names.writers, stamp, ttl_ms), stamp)


def _hash_at(key: str) -> Step:
    return Step(ops.TableStart(key, b"", b"fence", HOUR_MS, 0, (b"row",)), b"fence")


def _claim(names: Names, seen: bytes, reply: object, mark: bytes = b"mine") -> Step:
    return Step(ops.Claim(names.value, names.lease, seen, mark, HOUR_MS), reply)


def _swap(names: Names, seen: bytes, size: int, reply: object) -> Step:
    return Step(ops.Swap(names.value, names.lease, seen, size, B, HOUR_MS), reply)


def _incr(names: Names, by: int, reply: object) -> Step:
    return Step(ops.Incr(names.value, names.lease, by), reply)


def _touch(names: Names, reply: object, ttl_ms: int = HOUR_MS) -> Step:
    return Step(ops.Touch(names.value, names.lease, UNTIL, ttl_ms), reply)


def _invalidate(names: Names, reply: object, ttl_ms: int = HOUR_MS) -> Step:
    return Step(ops.Invalidate(names.value, names.lease, names.stamp, S2, ttl_ms), reply)


def _marked(names: Names, transaction: bytes = b"one", *, live_ms: int = HOUR_MS, is_new: int = 1) -> Step:
    return Step(ops.Mark(names.stamp, names.writers, transaction, live_ms, HOUR_MS), is_new)


def _ended(names: Names, was_there: int, transaction: bytes = b"one") -> Step:
    return Step(ops.End(names.stamp, names.writers, transaction, S2, HOUR_MS), was_there)


def _start(names: Names, seen: bytes, fence: bytes, first: int, *rows: bytes, reply: bytes) -> Step:
    return Step(ops.TableStart(names.table, seen, fence, HOUR_MS, first, rows), reply)


def _extend(names: Names, fence: bytes, first: int, *rows: bytes, reply: int, bound: int = 0) -> Step:
    return Step(ops.TableExtend(names.table, fence, HOUR_MS, bound, 1, first, rows), reply)


def _fields(names: Names, **fields: bytes | None) -> Step:
    named = {name.removeprefix("r"): value for name, value in fields.items()}
    return Step(ops.HashGet(names.table, tuple(named)), list(named.values()))


_CASES: Final[dict[str, Case]] = {
    # ---- commands
    "get-nothing": lambda n: [_is_there(n, None)],
    "get-another-type": lambda n: [_hash_at(n.value), _is_there(n, Refused("WRONGTYPE"))],
    "get-any-bytes": lambda n: [_there(n, bytes(range(256))), _is_there(n, bytes(range(256)))],
    "get-the-empty-string": lambda n: [_there(n, b""), _is_there(n, b"")],
    "hashget-nothing": lambda n: [_fields(n, max=None, g=None)],
    "hashget-another-type": lambda n: [_there(n, A), Step(ops.HashGet(n.value, ("g",)), Refused("WRONGTYPE"))],
    "unlink-counts": lambda n: [_there(n, A), _seized(n), Step(ops.Unlink(n.value, (n.lease, n.stamp)), 2), _is_there(n, None)],
    "scan-finds-names": lambda n: [_there(n, A), Step(ops.Scan(0, n.value, 100_000), [b"0", [n.value.encode()]])],
    "scan-finds-no-others": lambda n: [_there(n, A), Step(ops.Scan(0, n.lease + "*", 100_000), [b"0", []])],
    "seize-nothing": lambda n: [_seized(n), _leased(n, b"theirs")],
    "seize-from-its-holder": lambda n: [_seized(n), _seized(n, b"mine"), _leased(n, b"mine")],
    "seize-another-type": lambda n: [_hash_at(n.lease), _seized(n), _leased(n, b"theirs")],
    "seize-lapses": lambda n: [Step(ops.Seize(n.lease, SHORT_MS, b"m"), b"OK"), Step(Passed(SHORT_MS + 50)), _leased(n, None)],
    # ---- claim
    "claim-nothing": lambda n: [_claim(n, b"", [1]), _leased(n, b"mine")],
    "claim-what-was-seen": lambda n: [_there(n, A), _claim(n, A[:40], [1])],
    "claim-what-came": lambda n: [_there(n, A), _claim(n, b"", [0, A]), _leased(n, None)],
    "claim-what-changed": lambda n: [_there(n, B), _claim(n, A, [0, B])],
    "claim-what-went": lambda n: [_claim(n, A, [0, b""])],
    "claim-held": lambda n: [_seized(n), _claim(n, b"", [2, b"theirs"]), _leased(n, b"theirs")],
    "claim-changed-and-held": lambda n: [_there(n, A), _seized(n), _claim(n, b"", [0, A])],
    "claim-over-foreign-bytes": lambda n: [_there(n, FOREIGN), _claim(n, FOREIGN, [1])],
    "claim-over-the-empty-string": lambda n: [_there(n, b""), _claim(n, b"", [1])],
    "claim-over-another-type": lambda n: [_hash_at(n.value), _claim(n, b"", [1])],
    "claim-seen-bytes-over-another-type": lambda n: [_hash_at(n.value), _claim(n, A, Refused("WRONGTYPE"))],
    "claim-with-another-type-as-lease": lambda n: [_hash_at(n.lease), _claim(n, b"", Refused("WRONGTYPE"))],
    "claim-lapses": lambda n: [
        Step(ops.Claim(n.value, n.lease, b"", b"mine", SHORT_MS), [1]),
        Step(Passed(SHORT_MS + 50)),
        _claim(n, b"", [1], b"other"),
    ],
    # ---- stamp
    "stamp-absent": lambda n: [_stamped(n), Step(ops.Get(n.stamp), S1)],
    "stamp-present": lambda n: [_stamped(n), Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), S1)],
    "stamp-marked": lambda n: [_marked(n), Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), Marked())],
    "stamp-marked-and-evicted": lambda n: [
        _marked(n),
        Step(ops.Unlink(n.stamp), 1),
        Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), Marked()),
    ],
    "stamp-marked-and-the-writers-evicted": lambda n: [
        _marked(n),
        Step(ops.Unlink(n.writers), 1),
        Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), Marked()),
    ],
    "stamp-marked-and-lapsed": lambda n: [
        _stamped(n),
        _marked(n, live_ms=SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        _stamped(n, S2),
        Step(ops.Get(n.stamp), S2),
    ],
    "stamp-in-place-of-what-is-no-stamp": lambda n: [_stamped(n, b"D:mark"), _stamped(n, S2)],
    "stamp-another-type": lambda n: [_hash_at(n.stamp), Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), Refused("WRONGTYPE"))],
    "stamp-lapses": lambda n: [_stamped(n, S1, SHORT_MS), Step(Passed(SHORT_MS + 50)), _stamped(n, S2)],
    "stamp-lives-longer": lambda n: [
        _stamped(n, S1, SHORT_MS),
        Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), S1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), S1),
    ],
    "stamp-never-lives-shorter": lambda n: [
        _stamped(n),
        Step(ops.Stamp(n.stamp, n.writers, S2, SHORT_MS), S1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), S1),
    ],
    "stamp-for-ever": lambda n: [
        _stamped(n, S1, 0),
        Step(ops.Stamp(n.stamp, n.writers, S2, SHORT_MS), S1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), S1),
    ],
    "stamp-from-now-on-for-ever": lambda n: [
        _stamped(n, S1, SHORT_MS),
        Step(ops.Stamp(n.stamp, n.writers, S2, 0), S1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), S1),
    ],
    # ---- commit, abandon
    "commit-ours": lambda n: [
        _claim(n, b"", [1]),
        Step(ops.Commit(n.value, n.lease, b"mine", A, HOUR_MS), 1),
        _is_there(n, A),
        _leased(n, None),
    ],
    "commit-theirs": lambda n: [
        _there(n, B),
        _seized(n),
        Step(ops.Commit(n.value, n.lease, b"mine", A, HOUR_MS), 0),
        _is_there(n, B),
        _leased(n, b"theirs"),
    ],
    "commit-lapsed": lambda n: [Step(ops.Commit(n.value, n.lease, b"mine", A, HOUR_MS), 0), _is_there(n, None)],
    "commit-over-another-type": lambda n: [
        _hash_at(n.value),
        _claim(n, b"", [1]),
        Step(ops.Commit(n.value, n.lease, b"mine", A, HOUR_MS), 1),
        _is_there(n, A),
    ],
    "commit-for-a-time": lambda n: [
        _claim(n, b"", [1]),
        Step(ops.Commit(n.value, n.lease, b"mine", A, SHORT_MS), 1),
        Step(Passed(SHORT_MS + 50)),
        _is_there(n, None),
    ],
    "commit-for-ever": lambda n: [
        _there(n, B, SHORT_MS),
        _claim(n, B, [1]),
        Step(ops.Commit(n.value, n.lease, b"mine", A, 0), 1),
        Step(Passed(SHORT_MS + 50)),
        _is_there(n, A),
    ],
    "abandon-ours": lambda n: [_claim(n, b"", [1]), Step(ops.Abandon(n.lease, b"mine"), 1), _leased(n, None)],
    "abandon-theirs": lambda n: [_seized(n), Step(ops.Abandon(n.lease, b"mine"), 0), _leased(n, b"theirs")],
    "abandon-nothing": lambda n: [Step(ops.Abandon(n.lease, b"mine"), 0)],
    "extend-ours": lambda n: [
        Step(ops.Claim(n.value, n.lease, b"", b"mine", SHORT_MS), [1]),
        Step(ops.Extend(n.lease, b"mine", HOUR_MS), 1),
        Step(Passed(SHORT_MS + 50)),
        _leased(n, b"mine"),
    ],
    "extend-theirs": lambda n: [_seized(n), Step(ops.Extend(n.lease, b"mine", SHORT_MS), 0), _leased(n, b"theirs")],
    "extend-nothing": lambda n: [Step(ops.Extend(n.lease, b"mine", HOUR_MS), 0), _leased(n, None)],
    # ---- put, swap
    "put-drops-the-lease": lambda n: [_seized(n), _there(n, A), _leased(n, None)],
    "put-over-another-type": lambda n: [_hash_at(n.value), _there(n, A), _is_there(n, A)],
    "put-for-a-time": lambda n: [_there(n, A, 0), _there(n, B, SHORT_MS), Step(Passed(SHORT_MS + 50)), _is_there(n, None)],
    "put-for-ever": lambda n: [_there(n, A, SHORT_MS), _there(n, B, 0), Step(Passed(SHORT_MS + 50)), _is_there(n, B)],
    "swap-nothing": lambda n: [_seized(n), _swap(n, b"", 0, 1), _is_there(n, B), _leased(n, None)],
    "swap-what-was-seen": lambda n: [_there(n, A), _seized(n), _swap(n, A[:40], 0, 1), _is_there(n, B), _leased(n, None)],
    "swap-what-came": lambda n: [_there(n, A), _seized(n), _swap(n, b"", 0, 0), _is_there(n, A), _leased(n, b"theirs")],
    "swap-what-changed": lambda n: [_there(n, FOREIGN), _swap(n, A, 0, 0), _is_there(n, FOREIGN)],
    "swap-what-went": lambda n: [_swap(n, A, 0, 0), _is_there(n, None)],
    "swap-the-whole": lambda n: [_there(n, A), _swap(n, A, len(A), 1), _is_there(n, B)],
    "swap-more-than-was-seen": lambda n: [_there(n, A + b"0"), _swap(n, A, len(A), 0), _is_there(n, A + b"0")],
    "swap-over-the-empty-string": lambda n: [_there(n, b""), _swap(n, b"", 0, 1), _is_there(n, B)],
    "swap-over-another-type": lambda n: [_hash_at(n.value), _swap(n, b"", 0, 1), _is_there(n, B)],
    "swap-seen-bytes-over-another-type": lambda n: [_hash_at(n.value), _swap(n, A, 0, Refused("WRONGTYPE"))],
    # ---- incr
    "incr": lambda n: [_there(n, number(b"41")), _seized(n), _incr(n, 1, [1, number(b"42")]), _leased(n, None)],
    "incr-nothing": lambda n: [_incr(n, 1, [-1]), _is_there(n, None)],
    "incr-below-zero": lambda n: [_there(n, number(b"1")), _incr(n, -2, [1, number(b"-1")]), _incr(n, 1, [1, number(b"0")])],
    "incr-by-nothing": lambda n: [_there(n, number(b"-7")), _incr(n, 0, [1, number(b"-7")])],
    "incr-behind-stamps": lambda n: [_there(n, number(b"9", flags=3, tags=2)), _incr(n, 1, [1, number(b"10", flags=3, tags=2)])],
    "incr-without-stamps": lambda n: [_there(n, number(b"9", flags=0)), _incr(n, 1, [1, number(b"10", flags=0)])],
    "incr-to-sixteen-digits": lambda n: [
        _there(n, number(b"9" * 15)),
        _incr(n, 10**15 - 1, [1, number(b"1" + b"9" * 14 + b"8")]),
        _incr(n, 1, [0, number(b"1" + b"9" * 14 + b"8")]),
    ],
    "incr-by-sixteen-digits": lambda n: [_there(n, number(b"1")), _incr(n, 10**15, [0, number(b"1")])],
    "incr-fourteen-digits-below-zero": lambda n: [
        _there(n, number(b"-" + b"9" * 14)),
        _incr(n, -1, [1, number(b"-1" + b"0" * 14)]),
        _incr(n, 1, [0, number(b"-1" + b"0" * 14)]),
    ],
    "incr-no-integer": lambda n: [_there(n, A), _seized(n), _incr(n, 1, [0, A]), _leased(n, b"theirs")],
    "incr-no-digits": lambda n: [_there(n, number(b"1.5")), _incr(n, 1, [0, number(b"1.5")])],
    "incr-no-payload": lambda n: [_there(n, number(b"")), _incr(n, 1, [0, number(b"")])],
    "incr-compressed": lambda n: [_there(n, number(b"1", flags=5)), _incr(n, 1, [0, number(b"1", flags=5)])],
    "incr-foreign-bytes": lambda n: [_there(n, FOREIGN), _incr(n, 1, [0, FOREIGN])],
    "incr-cut-short": lambda n: [_there(n, number(b"1", tags=9)[:50]), _incr(n, 1, [0, number(b"1", tags=9)[:50]])],
    "incr-another-type": lambda n: [_hash_at(n.value), _incr(n, 1, Refused("WRONGTYPE"))],
    "incr-keeps-the-lifetime": lambda n: [
        _there(n, number(b"1"), SHORT_MS),
        _incr(n, 1, [1, number(b"2")]),
        Step(Passed(SHORT_MS + 50)),
        _is_there(n, None),
    ],
    # ---- touch
    "touch": lambda n: [_there(n, A), _seized(n), _touch(n, TOUCHED), _is_there(n, TOUCHED), _leased(n, None)],
    "touch-nothing": lambda n: [_seized(n), _touch(n, None), _is_there(n, None), _leased(n, b"theirs")],
    "touch-foreign-bytes": lambda n: [_there(n, FOREIGN), _touch(n, None), _is_there(n, FOREIGN)],
    "touch-cut-short": lambda n: [_there(n, A[:31]), _touch(n, None), _is_there(n, A[:31])],
    "touch-another-type": lambda n: [_hash_at(n.value), _touch(n, Refused("WRONGTYPE"))],
    "touch-returns-the-beginning": lambda n: [_there(n, LONG), _touch(n, (LONG[:16] + UNTIL + LONG[24:])[:4128])],
    "touch-lives-longer": lambda n: [_there(n, A, SHORT_MS), _touch(n, TOUCHED), Step(Passed(SHORT_MS + 50)), _is_there(n, TOUCHED)],
    "touch-lives-shorter": lambda n: [_there(n, A), _touch(n, TOUCHED, SHORT_MS), Step(Passed(SHORT_MS + 50)), _is_there(n, None)],
    "touch-for-ever": lambda n: [_there(n, A, SHORT_MS), _touch(n, TOUCHED, 0), Step(Passed(SHORT_MS + 50)), _is_there(n, TOUCHED)],
    # ---- invalidate, bump
    "invalidate": lambda n: [_there(n, A), _seized(n), _invalidate(n, [1, 1]), _is_there(n, None), _leased(n, None)],
    "invalidate-nothing": lambda n: [_invalidate(n, [0, 1]), Step(ops.Get(n.stamp), S2)],
    "invalidate-renews-the-stamp": lambda n: [_stamped(n), _invalidate(n, [0, 1]), Step(ops.Get(n.stamp), S2)],
    "invalidate-other-types": lambda n: [_hash_at(n.value), _hash_at(n.lease), _hash_at(n.stamp), _invalidate(n, [1, 1])],
    "invalidate-stamps-for-a-time": lambda n: [
        _stamped(n, S1, 0),
        _invalidate(n, [0, 1], SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), None),
    ],
    "bump": lambda n: [_stamped(n), Step(ops.Bump(n.stamp, n.writers, S2), 1), Step(ops.Get(n.stamp), S2)],
    "bump-nothing": lambda n: [Step(ops.Bump(n.stamp, n.writers, S2), 1), Step(ops.Get(n.stamp), None)],
    "bump-marked": lambda n: [_marked(n), Step(ops.Bump(n.stamp, n.writers, S2), 1), Step(ops.Get(n.stamp), Marked())],
    "bump-marked-and-evicted": lambda n: [
        _marked(n),
        Step(ops.Unlink(n.stamp), 1),
        Step(ops.Bump(n.stamp, n.writers, S2), 1),
        Step(ops.Get(n.stamp), None),
    ],
    "bump-marked-and-lapsed": lambda n: [
        _marked(n, live_ms=SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Bump(n.stamp, n.writers, S2), 1),
        Step(ops.Get(n.stamp), S2),
    ],
    "bump-another-type": lambda n: [_hash_at(n.stamp), Step(ops.Bump(n.stamp, n.writers, S2), Refused("WRONGTYPE"))],
    "bump-keeps-the-lifetime": lambda n: [
        _stamped(n, S1, SHORT_MS),
        Step(ops.Bump(n.stamp, n.writers, S2), 1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), None),
    ],
    # ---- mark, end
    "mark": lambda n: [_stamped(n), _marked(n), Step(ops.Get(n.stamp), Marked())],
    "mark-again-renews": lambda n: [
        _marked(n, live_ms=SHORT_MS),
        _marked(n, is_new=0),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
    ],
    "mark-never-shortens-anothers": lambda n: [
        _marked(n),
        _marked(n, b"two", live_ms=SHORT_MS),
        Step(ops.Unlink(n.writers), 1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
    ],
    "mark-another-type": lambda n: [
        _hash_at(n.writers),
        Step(ops.Mark(n.stamp, n.writers, b"one", HOUR_MS, HOUR_MS), Refused("WRONGTYPE")),
    ],
    "end": lambda n: [_stamped(n), _marked(n), _ended(n, 1), Step(ops.Get(n.stamp), S2), _stamped(n, S2)],
    "end-while-another-writes": lambda n: [
        _marked(n),
        _marked(n, b"two"),
        _ended(n, 1),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
        _ended(n, 1, b"two"),
        _stamped(n, S2),
    ],
    "end-twice": lambda n: [_marked(n), _ended(n, 1), _ended(n, 0), Step(ops.Get(n.stamp), S2)],
    "end-lapsed": lambda n: [
        _marked(n, live_ms=SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        _stamped(n),
        _ended(n, 0),
        Step(ops.Get(n.stamp), S2),
    ],
    "end-with-the-stamp-evicted": lambda n: [_marked(n), Step(ops.Unlink(n.stamp), 1), _ended(n, 1), Step(ops.Get(n.stamp), S2)],
    "end-with-the-writers-evicted-stays-dirty": lambda n: [
        _marked(n),
        _marked(n, b"two"),
        Step(ops.Unlink(n.writers), 1),
        _ended(n, 0),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
    ],
    "end-renewed-after-the-writers-were-evicted-stays-dirty": lambda n: [
        _marked(n),
        _marked(n, b"two"),
        Step(ops.Unlink(n.writers), 1),
        _marked(n),
        _ended(n, 1),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
    ],
    "end-lapses-with-the-time": lambda n: [
        _marked(n),
        Step(ops.End(n.stamp, n.writers, b"one", S2, SHORT_MS), 1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), None),
    ],
    # ---- memo tables
    "table-start": lambda n: [_start(n, b"", b"g1", 5, b"x", b"y", reply=b"g1"), _fields(n, r5=b"x", r6=b"y", max=b"6", g=b"g1", r7=None)],
    "table-start-anew": lambda n: [
        _start(n, b"", b"g1", 0, b"x", b"y", reply=b"g1"),
        _start(n, b"g1", b"g2", 0, b"z", reply=b"g2"),
        _fields(n, r0=b"z", r1=None, max=b"0", g=b"g2"),
    ],
    "table-start-overtaken": lambda n: [
        _start(n, b"", b"g1", 0, b"x", reply=b"g1"),
        _start(n, b"", b"g2", 0, b"y", reply=b"g1"),
        _start(n, b"g0", b"g2", 0, b"y", reply=b"g1"),
        _fields(n, r0=b"x", g=b"g1"),
    ],
    "table-start-what-went": lambda n: [_start(n, b"g0", b"g1", 0, b"x", reply=b"g1"), _fields(n, r0=b"x")],
    "table-start-over-another-type": lambda n: [
        Step(ops.Put(n.table, n.lease, A, HOUR_MS), 1),
        _start(n, b"", b"g1", 0, b"x", reply=b"g1"),
        _fields(n, r0=b"x"),
    ],
    "table-extend": lambda n: [
        _start(n, b"", b"g", 0, b"x", reply=b"g"),
        _extend(n, b"g", 1, b"y", b"z", reply=1),
        _fields(n, r0=b"x", r1=b"y", r2=b"z", max=b"2", g=b"g"),
    ],
    "table-extend-what-is-known-in-part": lambda n: [
        _start(n, b"", b"g", 0, b"x", b"y", reply=b"g"),
        _extend(n, b"g", 0, b"-", b"-", b"z", reply=1),
        _fields(n, r0=b"x", r1=b"y", r2=b"z", max=b"2"),
    ],
    "table-extend-what-is-known": lambda n: [
        _start(n, b"", b"g", 0, b"x", b"y", reply=b"g"),
        _extend(n, b"g", 1, b"-", reply=1),
        _fields(n, r1=b"y", max=b"1"),
    ],
    "table-extend-with-a-gap": lambda n: [
        _start(n, b"", b"g", 0, b"x", reply=b"g"),
        _extend(n, b"g", 2, b"z", reply=0),
        _fields(n, r2=None, max=b"0"),
    ],
    "table-extend-another-table": lambda n: [_start(n, b"", b"g1", 0, b"x", reply=b"g1"), _extend(n, b"g0", 1, b"y", reply=0)],
    "table-extend-nothing": lambda n: [_extend(n, b"g", 0, b"x", reply=0)],
    "table-extend-another-type": lambda n: [
        Step(ops.Put(n.table, n.lease, A, HOUR_MS), 1),
        Step(ops.TableExtend(n.table, b"g", HOUR_MS, 0, 1, 0, (b"x",)), Refused("WRONGTYPE")),
    ],
    "table-extend-with-a-bound": lambda n: [
        _start(n, b"", b"g", 0, b"xxxx", reply=b"g"),
        _extend(n, b"g", 1, b"1111", b"2222", b"3333", reply=1, bound=8),
        _fields(n, r1=None, r2=b"2222", r3=b"3333", max=b"3", min=b"2", bytes=b"8"),
        _extend(n, b"g", 4, b"4" * 20, reply=1, bound=8),
        _fields(n, r3=None, r4=b"4" * 20, max=b"4", min=b"4", bytes=b"20"),
    ],
    "table-lapses": lambda n: [
        Step(ops.TableStart(n.table, b"", b"g", SHORT_MS, 0, (b"x",)), b"g"),
        Step(Passed(SHORT_MS + 50)),
        _extend(n, b"g", 1, b"y", reply=0),
    ],
    "table-extend-lives-longer": lambda n: [
        Step(ops.TableStart(n.table, b"", b"g", SHORT_MS, 0, (b"x",)), b"g"),
        _extend(n, b"g", 1, b"y", reply=1),
        Step(Passed(SHORT_MS + 50)),
        _fields(n, r1=b"y"),
    ],
}

# By name: what makes the steps, given the names to take them on.
CASES: Final[Mapping[str, Case]] = MappingProxyType(_CASES)
