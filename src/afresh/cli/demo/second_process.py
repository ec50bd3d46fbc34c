"""A memo table belongs to all processes: the next one goes on where it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from afresh.cli.demo.elsewhere import Working, run_elsewhere
from afresh.cli.demo.factorial import ROWS, factorial_of
from afresh.cli.demo.findings import Claim, Figure, Findings
from afresh.cli.demo.place import Place, open_cache

__all__ = ["TITLE", "judge", "measure"]

MORE_ROWS = ROWS + 200
TITLE = f"A second process asks for the factorial of {MORE_ROWS:,}"


def measure(place: Place, tell: Callable[[str], None]) -> Findings:
    """Let another process ask for more rows than the table has."""
    tell("starting it")
    return judge(**run_elsewhere(continue_table, tell, url=place.url))


def continue_table(url: str) -> Working:
    """Ask for a row beyond the table's end, and say how many were computed."""
    with open_cache(url) as cache:
        factorial = factorial_of(cache)
        known = factorial.known()
        yield f"computing {MORE_ROWS - known:,} rows"
        began = time.perf_counter()
        right = factorial(MORE_ROWS) == math.factorial(MORE_ROWS)
        elapsed_ms = (time.perf_counter() - began) * 1000
        return {"known": known, "computed": factorial.stats().computes, "elapsed_ms": elapsed_ms, "right": right}


def judge(*, known: int, computed: int, elapsed_ms: float, right: bool) -> Findings:
    """Return what these counts say."""
    expected = MORE_ROWS - ROWS
    return Findings(
        [
            Figure("rows that it finds in the table", {"rows": known}),
            Figure("rows that it computes", {"rows": computed, "ms": elapsed_ms}),
        ],
        [
            Claim(f"it computes the {expected} new rows alone", f"{computed}", known == ROWS and computed == expected),
            Claim("its value is the factorial", "it is" if right else "it is not", right),
        ],
    )
