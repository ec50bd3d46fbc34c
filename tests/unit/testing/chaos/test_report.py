"""What a chaos run says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from afresh.testing.chaos.__main__ import main
from afresh.testing.chaos.checker import Terms, check
from afresh.testing.chaos.fleet import Result
from afresh.testing.chaos.history import Compute, Fault, History, Invalidation, Outcome, Read
from afresh.testing.chaos.places import Way, entry_of, scope
from afresh.testing.chaos.report import rendered

S = 1_000_000_000
PLAIN = entry_of("plain", 1)


def result(computed_ns: int) -> Result:
    history = History(
        [Read(1, PLAIN, 3 * S, 3 * S + 1, 7, computed_ns)],
        [Invalidation(2, 1, scope(Way.KEY, PLAIN), S, 2 * S, Outcome.APPLIED)],
        computes={7: Compute(1, PLAIN, 7, computed_ns, computed_ns + 1)},
        faults=[Fault("reset", 3 * S, 3 * S, 2), Fault("reset", 3 * S, 3 * S, 0)],
    )
    return Result(history, check(history, Terms()), ["client 4 does not end"])


def test_a_broken_clause_is_shown_with_the_operations_that_broke_it() -> None:
    said = rendered(result(S - 1))

    assert "stale reads         1" in said
    assert "clause 1: no stale read of the Redis tier: BROKEN 1 times" in said
    assert "! plain(1) read 1000.0 ms after plain(1) was invalidated" in said
    assert "Invalidation(process=2, number=1" in said
    assert "Compute(process=1, entry=1, number=7" in said
    assert "FAILED: client 4 does not end" in said


def test_what_was_kept_is_shown_with_the_faults_that_it_was_kept_under() -> None:
    said = rendered(result(S + 1))

    assert "hit ratio           100.0%" in said
    assert "invalidations       1: 1 applied" in said
    assert "faults              reset 1/2" in said
    assert "clause 1: no stale read of the Redis tier: kept, 1 operations\n    under reset 1" in said
    assert "clause 2: the near tier within max_stale, its own process at once: not tried" in said


def test_a_server_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no server program .*nowhere.*--server valkey, redis"):
        main(["--server", str(tmp_path / "nowhere")])
