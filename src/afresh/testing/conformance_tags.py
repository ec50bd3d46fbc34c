"""The cases of `afresh.testing.conformance` about tags: their stamps, and the transactions that keep them dirty."""

from __future__ import annotations

from typing import Final

from afresh.core import ops
from afresh.testing.conformance_steps import HOUR_MS, S1, S2, SHORT_MS, Case, Marked, Passed, Refused, Step, ended, hash_at, marked, stamped

__all__ = ["TAG_CASES"]

TAG_CASES: Final[dict[str, Case]] = {
    # ---- stamp
    "stamp-absent": lambda n: [stamped(n), Step(ops.Get(n.stamp), S1)],
    "stamp-present": lambda n: [stamped(n), Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), S1)],
    "stamp-marked": lambda n: [marked(n), Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), Marked())],
    "stamp-marked-and-evicted": lambda n: [
        marked(n),
        Step(ops.Unlink(n.stamp), 1),
        Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), Marked()),
    ],
    "stamp-marked-and-the-writers-evicted": lambda n: [
        marked(n),
        Step(ops.Unlink(n.writers), 1),
        Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), Marked()),
    ],
    "stamp-marked-and-lapsed": lambda n: [
        stamped(n),
        marked(n, live_ms=SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        stamped(n, S2),
        Step(ops.Get(n.stamp), S2),
    ],
    "stamp-in-place-of-what-is-no-stamp": lambda n: [stamped(n, b"D:mark"), stamped(n, S2)],
    "stamp-another-type": lambda n: [hash_at(n.stamp), Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), Refused("WRONGTYPE"))],
    "stamp-lapses": lambda n: [stamped(n, S1, SHORT_MS), Step(Passed(2 * SHORT_MS + 50)), stamped(n, S2)],
    "stamp-lives-longer": lambda n: [
        stamped(n, S1, SHORT_MS),
        Step(ops.Stamp(n.stamp, n.writers, S2, HOUR_MS), S1),
        Step(Passed(2 * SHORT_MS + 50)),
        Step(ops.Get(n.stamp), S1),
    ],
    "stamp-never-lives-shorter": lambda n: [
        stamped(n),
        Step(ops.Stamp(n.stamp, n.writers, S2, SHORT_MS), S1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), S1),
    ],
    "stamp-for-ever": lambda n: [
        stamped(n, S1, 0),
        Step(ops.Stamp(n.stamp, n.writers, S2, SHORT_MS), S1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), S1),
    ],
    "stamp-from-now-on-for-ever": lambda n: [
        stamped(n, S1, SHORT_MS),
        Step(ops.Stamp(n.stamp, n.writers, S2, 0), S1),
        Step(Passed(2 * SHORT_MS + 50)),
        Step(ops.Get(n.stamp), S1),
    ],
    # ---- bump
    "bump": lambda n: [stamped(n), Step(ops.Bump(n.stamp, n.writers, S2), 1), Step(ops.Get(n.stamp), S2)],
    "bump-nothing": lambda n: [Step(ops.Bump(n.stamp, n.writers, S2), 1), Step(ops.Get(n.stamp), None)],
    "bump-marked": lambda n: [marked(n), Step(ops.Bump(n.stamp, n.writers, S2), 1), Step(ops.Get(n.stamp), Marked())],
    "bump-marked-and-evicted": lambda n: [
        marked(n),
        Step(ops.Unlink(n.stamp), 1),
        Step(ops.Bump(n.stamp, n.writers, S2), 1),
        Step(ops.Get(n.stamp), None),
    ],
    "bump-marked-and-lapsed": lambda n: [
        marked(n, live_ms=SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Bump(n.stamp, n.writers, S2), 1),
        Step(ops.Get(n.stamp), S2),
    ],
    "bump-another-type": lambda n: [hash_at(n.stamp), Step(ops.Bump(n.stamp, n.writers, S2), Refused("WRONGTYPE"))],
    "bump-keeps-the-lifetime": lambda n: [
        stamped(n, S1, SHORT_MS),
        Step(ops.Bump(n.stamp, n.writers, S2), 1),
        Step(Passed(2 * SHORT_MS + 50)),
        Step(ops.Get(n.stamp), None),
    ],
    # ---- mark, end
    "mark": lambda n: [stamped(n), marked(n), Step(ops.Get(n.stamp), Marked())],
    "mark-again-renews": lambda n: [
        marked(n, live_ms=SHORT_MS),
        marked(n, is_new=0),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
    ],
    "mark-never-shortens-anothers": lambda n: [
        marked(n),
        marked(n, b"two", live_ms=SHORT_MS),
        Step(ops.Unlink(n.writers), 1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
    ],
    "mark-another-type": lambda n: [
        hash_at(n.writers),
        Step(ops.Mark(n.stamp, n.writers, b"one", HOUR_MS, HOUR_MS), Refused("WRONGTYPE")),
    ],
    "end": lambda n: [stamped(n), marked(n), ended(n, 1), Step(ops.Get(n.stamp), S2), stamped(n, S2)],
    "end-while-another-writes": lambda n: [
        marked(n),
        marked(n, b"two"),
        ended(n, 1),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
        ended(n, 1, b"two"),
        stamped(n, S2),
    ],
    "end-twice": lambda n: [marked(n), ended(n, 1), ended(n, 0), Step(ops.Get(n.stamp), S2)],
    "end-lapsed": lambda n: [
        marked(n, live_ms=SHORT_MS),
        Step(Passed(SHORT_MS + 50)),
        stamped(n),
        ended(n, 0),
        Step(ops.Get(n.stamp), S2),
    ],
    "end-with-the-stamp-evicted": lambda n: [marked(n), Step(ops.Unlink(n.stamp), 1), ended(n, 1), Step(ops.Get(n.stamp), S2)],
    "end-with-the-writers-evicted-stays-dirty": lambda n: [
        marked(n),
        marked(n, b"two"),
        Step(ops.Unlink(n.writers), 1),
        ended(n, 0),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
    ],
    "end-renewed-after-the-writers-were-evicted-stays-dirty": lambda n: [
        marked(n),
        marked(n, b"two"),
        Step(ops.Unlink(n.writers), 1),
        marked(n),
        ended(n, 1),
        Step(ops.Stamp(n.stamp, n.writers, S1, HOUR_MS), Marked()),
    ],
    "end-lapses-with-the-time": lambda n: [
        marked(n),
        Step(ops.End(n.stamp, n.writers, b"one", S2, SHORT_MS), 1),
        Step(Passed(SHORT_MS + 50)),
        Step(ops.Get(n.stamp), None),
    ],
}
