"""Results as text: a table per comparison, under what they were measured with."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import Comparison

HEADING = """\
# Results

Written by `make bench`. Times differ from machine to machine; what holds is the **ratio to the first line** of a table, measured in
the same run, in turn: the median over the rounds, and the interval that it lies in 95 times of a hundred. Spread is from the 10th to the
90th percentile. Nothing here is asserted. Values are checked; who is not installed is left out (`pip install --group bench`).
"""


def setting(command: str, server: str, rounds: int) -> Iterator[str]:
    """Yield what the numbers depend on, a line each."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("afresh", "redis", "hiredis", "ormsgpack"))
    yield f"- **Command:** `{command}`, {rounds} rounds, {datetime.now(UTC):%Y-%m-%d}"
    load = f", load average {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    yield f"- **Machine:** {_processor()}, {os.cpu_count()} CPUs{load}, {platform.system()} {platform.release()}"
    yield f"- **Versions:** Python {platform.python_version()}, {packages}, {server}"
    pinned = "client and server pinned to one CPU" if hasattr(os, "sched_setaffinity") else "not pinned to a CPU"
    yield f"- **Setting:** server on the same machine, loopback TCP, {pinned}, no persistence, garbage collector off"


def table(comparison: Comparison) -> Iterator[str]:
    """Yield a comparison's lines."""
    first = next(iter(comparison.samples))
    yield f"## {comparison.work[0].upper()}{comparison.work[1:]}"
    yield ""
    yield f"| {'':<44} | {comparison.unit:>8} | {'spread':>17} | {'ratio':>7} | {'95 %':>13} | {'aim':>6} |"
    yield f"|{'-' * 46}|{'-' * 9}:|{'-' * 18}:|{'-' * 8}:|{'-' * 14}:|{'-' * 7}:|"
    for candidate in comparison.samples:
        low, high = comparison.spread_us(candidate)
        ratio = "1" if candidate == first else f"{comparison.ratio(candidate):.2f}"
        interval = "" if candidate == first else "{:.2f}–{:.2f}".format(*comparison.ratio_interval(candidate))
        aim = f"≤ {comparison.aims[candidate]}" if candidate in comparison.aims else ""
        median, spread = _shown(comparison.median_us(candidate)), f"{_shown(low)}–{_shown(high)}"
        yield f"| {candidate:<44} | {median:>8} | {spread:>17} | {ratio:>7} | {interval:>13} | {aim:>6} |"
    yield ""


def _shown(us: float) -> str:
    return f"{us:,.0f}" if us >= 1000 else f"{us:.1f}" if us >= 10 else f"{us:.2f}"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
