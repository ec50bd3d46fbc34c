"""The table of failures is complete."""

from __future__ import annotations

from scripts.failures import CALLS, FAILURES, PAGE


def test_every_failure_and_call_is_in_the_table() -> None:
    page = PAGE.read_text()

    for call in CALLS:
        assert f"| {call} |" in page, "run: make failures"
    for name, failure in FAILURES.items():
        assert page.count(f"\n| **{name}** |") == 3, "run: make failures"
        assert failure.what in page, "run: make failures"


def test_no_read_raises() -> None:
    reads = list(CALLS).index("get"), list(CALLS).index("memoized call")
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| **") and line.count("|") > len(CALLS)]

    assert rows
    assert not [row for row in rows for read in reads if "raises" in row[1 + read]]
