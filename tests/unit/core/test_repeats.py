"""What is sent again when a reply was lost."""

from __future__ import annotations

import os

import pytest

from afresh.core import ops
from afresh.core.repeats import may_repeat, repeated


def test_a_stamp_is_another_one_each_time_and_all_else_is_the_same() -> None:
    batch = [ops.Get("v"), ops.Stamp("t", "o", b"12345678", 0), ops.Commit("v", "l", b"mark", b"envelope", 9)]

    again = repeated(batch, os.urandom)

    assert [again[0], again[2]] == [batch[0], batch[2]]
    assert again[1].fresh != batch[1].fresh
    assert again[1]._replace(fresh=b"12345678") == batch[1]
    assert len(again[1].fresh) == 8


@pytest.mark.parametrize(
    "op",
    [
        ops.Incr("v", "l", 1),
        ops.Swap("v", "l", b"", 0, b"envelope", 9),
        ops.Claim("v", "l", b"", b"mark", 9),
        ops.Seize("l", 9, b"mark"),
    ],
)
def test_what_must_not_run_twice_is_not_sent_again(op: ops.Op) -> None:
    assert not may_repeat([ops.Get("v"), op])


def test_reads_commits_and_invalidations_are_sent_again() -> None:
    assert may_repeat([ops.Get("v"), ops.Commit("v", "l", b"mark", b"envelope", 9), ops.Bump("t", "o", b"12345678")])
