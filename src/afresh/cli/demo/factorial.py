"""The tutorial's factorial: without a cache, the tutorial's way, and from a memo table."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

from afresh.cache import Cache
from afresh.cli.demo.by_hand import tutorial_factorial
from afresh.cli.demo.findings import Claim, Figure, Findings
from afresh.cli.demo.place import NAMESPACE, Place, open_cache
from afresh.recurrence import Recurrence

__all__ = ["ROWS", "TITLE", "factorial_of", "judge", "measure"]

ROWS = 1000
TITLE = f"A factorial, from a table of {ROWS:,} rows"

_NAIVE_N = 900  # Python's recursion ends not far above
_ROUNDS = 15
_CALLS = 20  # of a row in a round: it is too fast to be timed alone
_TIMES_FASTER = 20


def factorial_of(cache: Cache) -> Recurrence[int]:
    """Return the factorial that keeps its values in the demo's table."""

    @cache.recurrence(base={0: 1}, name="factorial")
    def factorial(n: int, previous: int) -> int:
        return n * previous

    return factorial


def measure(place: Place, tell: Callable[[str], None]) -> Findings:
    """Fill both tables, then take one's way and the other's in turn."""
    key = f"{NAMESPACE}:tutorial"
    with open_cache(place.url) as cache:
        factorial = factorial_of(cache)
        tell(f"computing {ROWS:,} rows, both ways")
        began = time.perf_counter()
        right = factorial(ROWS) == tutorial_factorial(place.redis, key, ROWS) == math.factorial(ROWS)
        elapsed_ms = (time.perf_counter() - began) * 1000
        naive_ms, tutorial_ms, table_ms = [], [], []
        for at in range(_ROUNDS):
            tell(f"calling each way, round {at + 1} of {_ROUNDS}")
            naive_ms.append(_ms(lambda: naive(_NAIVE_N)))
            tutorial_ms.append(_ms(lambda: tutorial_factorial(place.redis, key, ROWS)))
            table_ms.append(_ms(lambda: factorial(ROWS), _CALLS))
    return judge(elapsed_ms, *map(statistics.median, (naive_ms, tutorial_ms, table_ms)), right=right)


def judge(filling_ms: float, naive_ms: float, tutorial_ms: float, table_ms: float, *, right: bool) -> Findings:
    """Return what these medians say."""
    ratio = tutorial_ms / table_ms
    return Findings(
        [
            Figure("both tables are filled, once, in", {"ms": filling_ms}),
            Figure(f"no cache: {_NAIVE_N} nested calls", {"ms": naive_ms}),
            Figure("the tutorial: load the table, store the table", {"ms": tutorial_ms}),
            Figure("afresh: read one row", {"ms": table_ms}),
        ],
        [
            Claim(f"at least {_TIMES_FASTER} times faster than the tutorial's way", f"{ratio:.0f} times", ratio >= _TIMES_FASTER),
            Claim("both ways give the factorial", "they do" if right else "they do not", right),
        ],
    )


def naive(n: int) -> int:
    """Return n!, from nothing."""
    return n * naive(n - 1) if n else 1


def _ms(call: Callable[[], object], times: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) * 1000 / times
