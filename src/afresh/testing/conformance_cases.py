"""The cases of `afresh.testing.conformance`: what each operation of `afresh.core.ops` must answer, as data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from afresh.core import ops
from afresh.testing.conformance_freshness import FRESHNESS_CASES
from afresh.testing.conformance_locks import LOCK_CASES
from afresh.testing.conformance_steps import (
    FOREIGN,
    FRESH,
    HOUR_MS,
    LONG,
    S1,
    S2,
    SHORT_MS,
    TOUCHED,
    UNTIL,
    A,
    B,
    Case,
    Passed,
    Refused,
    Step,
    claim,
    extend,
    fields,
    hash_at,
    incr,
    invalidate,
    is_there,
    leased,
    number,
    seized,
    stamped,
    start,
    swap,
    there,
    touch,
)
from afresh.testing.conformance_tags import TAG_CASES

__all__ = ["CASES"]

_CASES: Final[dict[str, Case]] = {
    # ---- commands
    "get-nothing": lambda n: [is_there(n, None)],
    "get-another-type": lambda n: [hash_at(n.value), is_there(n, Refused("WRONGTYPE"))],
    "get-any-bytes": lambda n: [there(n, bytes(range(256))), is_there(n, bytes(range(256)))],
    "get-the-empty-string": lambda n: [there(n, b""), is_there(n, b"")],
    "hashget-nothing": lambda n: [fields(n, max=None, g=None)],
    "hashget-another-type": lambda n: [there(n, A), Step(ops.HashGet(n.value, ("g",)), Refused("WRONGTYPE"))],
    "unlink-counts": lambda n: [there(n, A), seized(n), Step(ops.Unlink(n.value, (n.lease, n.stamp)), 2), is_there(n, None)],
    "scan-finds-names": lambda n: [there(n, A), Step(ops.Scan(0, n.value, 100_000), [b"0", [n.value.encode()]])],
    "scan-finds-no-others": lambda n: [there(n, A), Step(ops.Scan(0, n.lease + "*", 100_000), [b"0", []])],
    "seize-nothing": lambda n: [seized(n), leased(n, b"theirs")],
    "seize-from-its-holder": lambda n: [seized(n), seized(n, b"mine"), leased(n, b"mine")],
    "seize-another-type": lambda n: [hash_at(n.lease), seized(n), leased(n, b"theirs")],
    "seize-lapses": lambda n: [Step(ops.Seize(n.lease, SHORT_MS, b"m"), b"OK"), Step(Passed(SHORT_MS + 50)), leased(n, None)],
    # ---- announce
    "announce": lambda n: [Step(ops.Announce(n.stamp, HOUR_MS, S1), b"OK"), Step(ops.Get(n.stamp), S1)],
    "announce-renews": lambda n: [stamped(n), Step(ops.Announce(n.stamp, HOUR_MS, S2), b"OK"), Step(ops.Get(n.stamp), S2)],
    "announce-lapses": lambda n: [
        Step(ops.Announce(n.stamp, SHORT_MS, S1), b"OK"),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), None),
    ],
    # ---- claim
    "claim-nothing": lambda n: [claim(n, b"", [1]), leased(n, b"mine")],
    "claim-what-was-seen": lambda n: [there(n, A), claim(n, A[:40], [1])],
    "claim-what-came": lambda n: [there(n, A), claim(n, b"", [0, A]), leased(n, None)],
    "claim-what-changed": lambda n: [there(n, B), claim(n, A, [0, B])],
    "claim-what-went": lambda n: [claim(n, A, [0, b""])],
    "claim-held": lambda n: [seized(n), claim(n, b"", [2, b"theirs"]), leased(n, b"theirs")],
    "claim-changed-and-held": lambda n: [there(n, A), seized(n), claim(n, b"", [0, A])],
    "claim-over-foreign-bytes": lambda n: [there(n, FOREIGN), claim(n, FOREIGN, [1])],
    "claim-over-the-empty-string": lambda n: [there(n, b""), claim(n, b"", [1])],
    "claim-over-another-type": lambda n: [hash_at(n.value), claim(n, b"", [1])],
    "claim-seen-bytes-over-another-type": lambda n: [hash_at(n.value), claim(n, A, Refused("WRONGTYPE"))],
    "claim-with-another-type-as-lease": lambda n: [hash_at(n.lease), claim(n, b"", Refused("WRONGTYPE"))],
    "claim-lapses": lambda n: [
        Step(ops.Claim(n.value, n.lease, b"", b"mine", SHORT_MS), [1]),
        Step(Passed(SHORT_MS + 50)),
        claim(n, b"", [1], b"other"),
    ],
    # ---- commit, abandon
    "commit-ours": lambda n: [
        claim(n, b"", [1]),
        Step(ops.Commit(n.value, n.lease, b"mine", A, HOUR_MS), 1),
        is_there(n, A),
        leased(n, None),
    ],
    "commit-theirs": lambda n: [
        there(n, B),
        seized(n),
        Step(ops.Commit(n.value, n.lease, b"mine", A, HOUR_MS), 0),
        is_there(n, B),
        leased(n, b"theirs"),
    ],
    "commit-lapsed": lambda n: [Step(ops.Commit(n.value, n.lease, b"mine", A, HOUR_MS), 0), is_there(n, None)],
    "commit-over-another-type": lambda n: [
        hash_at(n.value),
        claim(n, b"", [1]),
        Step(ops.Commit(n.value, n.lease, b"mine", A, HOUR_MS), 1),
        is_there(n, A),
    ],
    "commit-for-a-time": lambda n: [
        claim(n, b"", [1]),
        Step(ops.Commit(n.value, n.lease, b"mine", A, SHORT_MS), 1),
        Step(Passed(SHORT_MS + 50)),
        is_there(n, None),
    ],
    "commit-for-ever": lambda n: [
        there(n, B, SHORT_MS),
        claim(n, B, [1]),
        Step(ops.Commit(n.value, n.lease, b"mine", A, 0), 1),
        Step(Passed(SHORT_MS + 50)),
        is_there(n, A),
    ],
    "abandon-ours": lambda n: [claim(n, b"", [1]), Step(ops.Abandon(n.lease, b"mine"), 1), leased(n, None)],
    "abandon-theirs": lambda n: [seized(n), Step(ops.Abandon(n.lease, b"mine"), 0), leased(n, b"theirs")],
    "abandon-nothing": lambda n: [Step(ops.Abandon(n.lease, b"mine"), 0)],
    "extend-ours": lambda n: [
        Step(ops.Claim(n.value, n.lease, b"", b"mine", SHORT_MS), [1]),
        Step(ops.Extend(n.lease, b"mine", HOUR_MS), 1),
        Step(Passed(SHORT_MS + 50)),
        leased(n, b"mine"),
    ],
    "extend-theirs": lambda n: [seized(n), Step(ops.Extend(n.lease, b"mine", SHORT_MS), 0), leased(n, b"theirs")],
    "extend-nothing": lambda n: [Step(ops.Extend(n.lease, b"mine", HOUR_MS), 0), leased(n, None)],
    # ---- put, swap
    "put-drops-the-lease": lambda n: [seized(n), there(n, A), leased(n, None)],
    "put-over-another-type": lambda n: [hash_at(n.value), there(n, A), is_there(n, A)],
    "put-for-a-time": lambda n: [there(n, A, 0), there(n, B, SHORT_MS), Step(Passed(SHORT_MS + 50)), is_there(n, None)],
    "put-for-ever": lambda n: [there(n, A, SHORT_MS), there(n, B, 0), Step(Passed(SHORT_MS + 50)), is_there(n, B)],
    "swap-nothing": lambda n: [seized(n), swap(n, b"", 0, 1), is_there(n, B), leased(n, None)],
    "swap-what-was-seen": lambda n: [there(n, A), seized(n), swap(n, A[:40], 0, 1), is_there(n, B), leased(n, None)],
    "swap-what-came": lambda n: [there(n, A), seized(n), swap(n, b"", 0, 0), is_there(n, A), leased(n, b"theirs")],
    "swap-what-changed": lambda n: [there(n, FOREIGN), swap(n, A, 0, 0), is_there(n, FOREIGN)],
    "swap-what-went": lambda n: [swap(n, A, 0, 0), is_there(n, None)],
    "swap-the-whole": lambda n: [there(n, A), swap(n, A, len(A), 1), is_there(n, B)],
    "swap-more-than-was-seen": lambda n: [there(n, A + b"0"), swap(n, A, len(A), 0), is_there(n, A + b"0")],
    "swap-over-the-empty-string": lambda n: [there(n, b""), swap(n, b"", 0, 1), is_there(n, B)],
    "swap-over-another-type": lambda n: [hash_at(n.value), swap(n, b"", 0, 1), is_there(n, B)],
    "swap-seen-bytes-over-another-type": lambda n: [hash_at(n.value), swap(n, A, 0, Refused("WRONGTYPE"))],
    # ---- incr
    "incr": lambda n: [there(n, number(b"41")), seized(n), incr(n, 1, [1, number(b"42")]), leased(n, None)],
    "incr-nothing": lambda n: [incr(n, 1, [-1]), is_there(n, None)],
    "incr-below-zero": lambda n: [there(n, number(b"1")), incr(n, -2, [1, number(b"-1")]), incr(n, 1, [1, number(b"0")])],
    "incr-by-nothing": lambda n: [there(n, number(b"-7")), incr(n, 0, [1, number(b"-7")])],
    "incr-behind-stamps": lambda n: [there(n, number(b"9", flags=3, tags=2)), incr(n, 1, [1, number(b"10", flags=3, tags=2)])],
    "incr-without-stamps": lambda n: [there(n, number(b"9", flags=0)), incr(n, 1, [1, number(b"10", flags=0)])],
    "incr-to-sixteen-digits": lambda n: [
        there(n, number(b"9" * 15)),
        incr(n, 10**15 - 1, [1, number(b"1" + b"9" * 14 + b"8")]),
        incr(n, 1, [0, number(b"1" + b"9" * 14 + b"8")]),
    ],
    "incr-by-sixteen-digits": lambda n: [there(n, number(b"1")), incr(n, 10**15, [0, number(b"1")])],
    "incr-fourteen-digits-below-zero": lambda n: [
        there(n, number(b"-" + b"9" * 14)),
        incr(n, -1, [1, number(b"-1" + b"0" * 14)]),
        incr(n, 1, [0, number(b"-1" + b"0" * 14)]),
    ],
    "incr-no-integer": lambda n: [there(n, A), seized(n), incr(n, 1, [0, A]), leased(n, b"theirs")],
    "incr-no-digits": lambda n: [there(n, number(b"1.5")), incr(n, 1, [0, number(b"1.5")])],
    "incr-no-payload": lambda n: [there(n, number(b"")), incr(n, 1, [0, number(b"")])],
    "incr-compressed": lambda n: [there(n, number(b"1", flags=5)), incr(n, 1, [0, number(b"1", flags=5)])],
    "incr-foreign-bytes": lambda n: [there(n, FOREIGN), incr(n, 1, [0, FOREIGN])],
    "incr-cut-short": lambda n: [there(n, number(b"1", tags=9)[:50]), incr(n, 1, [0, number(b"1", tags=9)[:50]])],
    "incr-another-type": lambda n: [hash_at(n.value), incr(n, 1, Refused("WRONGTYPE"))],
    "incr-keeps-the-lifetime": lambda n: [
        there(n, number(b"1"), SHORT_MS),
        incr(n, 1, [1, number(b"2")]),
        Step(Passed(SHORT_MS + 50)),
        is_there(n, None),
    ],
    # ---- touch
    "touch": lambda n: [there(n, FRESH), seized(n), touch(n, TOUCHED), is_there(n, TOUCHED), leased(n, None)],
    "touch-nothing": lambda n: [seized(n), touch(n, None), is_there(n, None), leased(n, b"theirs")],
    "touch-foreign-bytes": lambda n: [there(n, FOREIGN), touch(n, None), is_there(n, FOREIGN)],
    "touch-a-stale-one": lambda n: [there(n, A), seized(n), touch(n, None), is_there(n, A), leased(n, b"theirs")],
    "touch-cut-short": lambda n: [there(n, A[:31]), touch(n, None), is_there(n, A[:31])],
    "touch-another-type": lambda n: [hash_at(n.value), touch(n, Refused("WRONGTYPE"))],
    "touch-returns-the-beginning": lambda n: [
        there(n, LONG),
        touch(n, (LONG[:16] + UNTIL + LONG[24:])[:4128]),
    ],
    "touch-lives-longer": lambda n: [there(n, FRESH, SHORT_MS), touch(n, TOUCHED), Step(Passed(SHORT_MS + 50)), is_there(n, TOUCHED)],
    "touch-lives-shorter": lambda n: [there(n, FRESH), touch(n, TOUCHED, SHORT_MS), Step(Passed(SHORT_MS + 50)), is_there(n, None)],
    "touch-for-ever": lambda n: [there(n, FRESH, SHORT_MS), touch(n, TOUCHED, 0), Step(Passed(SHORT_MS + 50)), is_there(n, TOUCHED)],
    # ---- invalidate
    "invalidate": lambda n: [there(n, A), seized(n), invalidate(n, [1, 1]), is_there(n, None), leased(n, None)],
    "invalidate-nothing": lambda n: [invalidate(n, [0, 1]), Step(ops.Get(n.stamp), S2)],
    "invalidate-renews-the-stamp": lambda n: [stamped(n), invalidate(n, [0, 1]), Step(ops.Get(n.stamp), S2)],
    "invalidate-other-types": lambda n: [hash_at(n.value), hash_at(n.lease), hash_at(n.stamp), invalidate(n, [1, 1])],
    "invalidate-stamps-for-a-time": lambda n: [
        stamped(n, S1, 0),
        invalidate(n, [0, 1], SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), None),
    ],
    # ---- memo tables
    "table-start": lambda n: [start(n, b"", b"g1", 5, b"x", b"y", reply=b"g1"), fields(n, r5=b"x", r6=b"y", max=b"6", g=b"g1", r7=None)],
    "table-start-anew": lambda n: [
        start(n, b"", b"g1", 0, b"x", b"y", reply=b"g1"),
        start(n, b"g1", b"g2", 0, b"z", reply=b"g2"),
        fields(n, r0=b"z", r1=None, max=b"0", g=b"g2"),
    ],
    "table-start-overtaken": lambda n: [
        start(n, b"", b"g1", 0, b"x", reply=b"g1"),
        start(n, b"", b"g2", 0, b"y", reply=b"g1"),
        start(n, b"g0", b"g2", 0, b"y", reply=b"g1"),
        fields(n, r0=b"x", g=b"g1"),
    ],
    "table-start-what-went": lambda n: [start(n, b"g0", b"g1", 0, b"x", reply=b"g1"), fields(n, r0=b"x")],
    "table-start-over-another-type": lambda n: [
        Step(ops.Put(n.table, n.lease, A, HOUR_MS), 1),
        start(n, b"", b"g1", 0, b"x", reply=b"g1"),
        fields(n, r0=b"x"),
    ],
    "table-extend": lambda n: [
        start(n, b"", b"g", 0, b"x", reply=b"g"),
        extend(n, b"g", 1, b"y", b"z", reply=1),
        fields(n, r0=b"x", r1=b"y", r2=b"z", max=b"2", g=b"g"),
    ],
    "table-extend-what-is-known-in-part": lambda n: [
        start(n, b"", b"g", 0, b"x", b"y", reply=b"g"),
        extend(n, b"g", 0, b"-", b"-", b"z", reply=1),
        fields(n, r0=b"x", r1=b"y", r2=b"z", max=b"2"),
    ],
    "table-extend-what-is-known": lambda n: [
        start(n, b"", b"g", 0, b"x", b"y", reply=b"g"),
        extend(n, b"g", 1, b"-", reply=1),
        fields(n, r1=b"y", max=b"1"),
    ],
    "table-extend-with-a-gap": lambda n: [
        start(n, b"", b"g", 0, b"x", reply=b"g"),
        extend(n, b"g", 2, b"z", reply=0),
        fields(n, r2=None, max=b"0"),
    ],
    "table-extend-another-table": lambda n: [start(n, b"", b"g1", 0, b"x", reply=b"g1"), extend(n, b"g0", 1, b"y", reply=0)],
    "table-extend-nothing": lambda n: [extend(n, b"g", 0, b"x", reply=0)],
    "table-extend-another-type": lambda n: [
        Step(ops.Put(n.table, n.lease, A, HOUR_MS), 1),
        Step(ops.TableExtend(n.table, b"g", HOUR_MS, 0, 1, 0, (b"x",)), Refused("WRONGTYPE")),
    ],
    "table-extend-with-a-bound": lambda n: [
        start(n, b"", b"g", 0, b"xxxx", reply=b"g"),
        extend(n, b"g", 1, b"1111", b"2222", b"3333", reply=1, bound=8),
        fields(n, r1=None, r2=b"2222", r3=b"3333", max=b"3", min=b"2", bytes=b"8"),
        extend(n, b"g", 4, b"4" * 20, reply=1, bound=8),
        fields(n, r3=None, r4=b"4" * 20, max=b"4", min=b"4", bytes=b"20"),
    ],
    "table-lapses": lambda n: [
        Step(ops.TableStart(n.table, b"", b"g", SHORT_MS, 0, (b"x",)), b"g"),
        Step(Passed(SHORT_MS + 50)),
        extend(n, b"g", 1, b"y", reply=0),
    ],
    "table-extend-lives-longer": lambda n: [
        Step(ops.TableStart(n.table, b"", b"g", SHORT_MS, 0, (b"x",)), b"g"),
        extend(n, b"g", 1, b"y", reply=1),
        Step(Passed(SHORT_MS + 50)),
        fields(n, r1=b"y"),
    ],
}

# By name: what makes the steps, given the names to take them on.
CASES: Final[Mapping[str, Case]] = MappingProxyType(_CASES | TAG_CASES | FRESHNESS_CASES | LOCK_CASES)
