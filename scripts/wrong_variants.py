"""Run the protocol wrong in every way that the step tests know, and print which test catches it after how many orders of events.

``python -m scripts.wrong_variants`` (``make variants``). Fails if one is not caught. `tests/unit/scripts` holds the list to the variants
that the design names.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

_CAUGHT = re.compile(r"^(.+): caught after ([\d,]+) schedules", re.MULTILINE)


class _Table:
    """Notes what the tests of wrong variants print."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        place = report.nodeid.split("[")[0]
        said = _CAUGHT.findall(report.capstdout) or [(report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " "), "all")]
        self.rows += [(name, place, schedules) for name, schedules in said]


def main(*args: Any) -> int:
    """Run, print, and return the exit code."""
    table = _Table()
    code = pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", "-k", "caught or needed", "tests/flows", *args], plugins=[table])
    print("\n| wrong on purpose | caught by | after so many orders of events |\n|---|---|--:|")
    for name, place, schedules in table.rows:
        print(f"| {name} | `{place}` | {schedules} |")
    print(f"\n{len(table.rows)} wrong variants are caught.")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
