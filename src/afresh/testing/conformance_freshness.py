"""The cases of `afresh.testing.conformance` about freshness: entries made stale, and the records of failed computes."""

from __future__ import annotations

from typing import Final

from afresh.core import ops
from afresh.core.failures import MARK_BYTES
from afresh.testing.conformance_steps import (
    FOREIGN,
    HOUR_MS,
    S1,
    S2,
    SHORT_MS,
    TOUCHED,
    A,
    Case,
    Names,
    Passed,
    Refused,
    Step,
    claim,
    hash_at,
    is_there,
    leased,
    seized,
    stamped,
    there,
)

__all__ = ["FRESHNESS_CASES"]

_DIGEST: Final = b"digest-1"
_RECORD: Final = b"F:" + _DIGEST + b"builtins.OSError"
# As long as a mark, however it begins.
_MARK: Final = b"F:digest-1+2"
assert len(_MARK) == MARK_BYTES
# `A` is fresh until 2, `TOUCHED` for ever.
_EARLIER: Final = (1).to_bytes(8, "little")
_LATER: Final = (256).to_bytes(8, "little")


def _expire(names: Names, until: bytes, reply: object) -> Step:
    return Step(ops.Expire(names.value, names.lease, names.stamp, until, S2, HOUR_MS), reply)


def _until(raw: bytes, until: bytes) -> bytes:
    return raw[:16] + until + raw[24:]


def _claim(names: Names, digest: bytes, reply: object) -> Step:
    return Step(ops.Claim(names.value, names.lease, b"", b"mine", HOUR_MS, digest), reply)


def _failed(names: Names, reply: int = 1, ttl_ms: int = HOUR_MS) -> Step:
    return Step(ops.Fail(names.lease, b"mine", _RECORD, ttl_ms), reply)


FRESHNESS_CASES: Final[dict[str, Case]] = {
    # ---- expire
    "expire-nothing": lambda n: [_expire(n, _EARLIER, 0), is_there(n, None), Step(ops.Get(n.stamp), S2)],
    "expire-a-fresh-one": lambda n: [there(n, TOUCHED), _expire(n, _LATER, 1), is_there(n, _until(TOUCHED, _LATER))],
    "expire-a-stale-one": lambda n: [there(n, A), _expire(n, _LATER, 1), is_there(n, A)],
    "expire-twice": lambda n: [there(n, TOUCHED), _expire(n, _LATER, 1), _expire(n, _EARLIER, 1), is_there(n, _until(A, _EARLIER))],
    "expire-fences": lambda n: [there(n, A), seized(n), _expire(n, _EARLIER, 1), leased(n, None)],
    "expire-renews-the-stamp": lambda n: [stamped(n, S1), _expire(n, _EARLIER, 0), Step(ops.Get(n.stamp), S2)],
    "expire-foreign-bytes": lambda n: [there(n, FOREIGN), _expire(n, _EARLIER, 0), is_there(n, FOREIGN)],
    "expire-another-type": lambda n: [hash_at(n.value), _expire(n, _EARLIER, Refused("WRONGTYPE"))],
    "expire-keeps-the-lifetime": lambda n: [
        there(n, TOUCHED, SHORT_MS),
        _expire(n, _LATER, 1),
        Step(Passed(SHORT_MS + 50)),
        is_there(n, None),
    ],
    # ---- fail
    "fail-ours": lambda n: [claim(n, b"", [1]), _failed(n), leased(n, _RECORD)],
    "fail-theirs": lambda n: [seized(n), _failed(n, 0), leased(n, b"theirs")],
    "fail-nothing": lambda n: [_failed(n, 0), leased(n, None)],
    "fail-lapses": lambda n: [claim(n, b"", [1]), _failed(n, ttl_ms=SHORT_MS), Step(Passed(SHORT_MS + 50)), claim(n, b"", [1])],
    "fail-another-type": lambda n: [hash_at(n.lease), Step(ops.Fail(n.lease, b"mine", _RECORD, HOUR_MS), Refused("WRONGTYPE"))],
    "claim-under-the-stamps-that-failed": lambda n: [seized(n, _RECORD), _claim(n, _DIGEST, [2, _RECORD]), leased(n, _RECORD)],
    "claim-under-other-stamps": lambda n: [seized(n, _RECORD), _claim(n, b"digest-2", [1]), leased(n, b"mine")],
    "claim-under-unknown-stamps": lambda n: [seized(n, _RECORD), _claim(n, b"", [1]), leased(n, b"mine")],
    "claim-held-by-a-mark-like-a-record": lambda n: [seized(n, _MARK), _claim(n, b"digest-2", [2, _MARK]), leased(n, _MARK)],
}
