"""Results as text: a table per comparison, under what they were measured with."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import Comparison

HEADING = """\
# Results

Written by `make bench`. Times differ from machine to machine; what holds is the **ratio to the first line** of a table, measured in
the same run, in turn: the median over the rounds, and the interval that it lies in 95 times of a hundred. Spread is from the 10th to the
90th percentile. An aim holds if the interval's upper end is within it; what misses its aim is listed at the end, with its profile. Values
are checked, and by the server's counters that hits are hits; who is not installed is left out (`pip install --group bench`).
"""

MISSED = """\
## What does not hold

Rows whose interval's upper end is beyond the aim, and where their time goes: the functions with the most time of their own, from a run
under cProfile, which charges each call and so makes small functions look dearer. `python -m benchmarks --profile ROW` makes one of any row.
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
    missed = set(comparison.missed())
    yield f"## {comparison.work[0].upper()}{comparison.work[1:]}"
    yield ""
    yield f"| {'':<44} | {comparison.unit:>8} | {'spread':>17} | {'ratio':>7} | {'95 %':>13} | {'aim':>8} | {'holds':>6} |"
    yield f"|{'-' * 46}|{'-' * 9}:|{'-' * 18}:|{'-' * 8}:|{'-' * 14}:|{'-' * 9}:|{'-' * 7}:|"
    for candidate in comparison.samples:
        low, high = comparison.spread_us(candidate)
        first = candidate == comparison.first
        ratio = "1" if first else _shown(comparison.ratio(candidate))
        interval = "" if first else "–".join(map(_shown, comparison.ratio_interval(candidate)))
        aim = f"≤ {comparison.aims[candidate]:.3g}" if candidate in comparison.aims else ""
        holds = "**no**" if candidate in missed else "yes" if aim else ""
        median, spread = _shown(comparison.median_us(candidate)), f"{_shown(low)}–{_shown(high)}"
        yield f"| {candidate:<44} | {median:>8} | {spread:>17} | {ratio:>7} | {interval:>13} | {aim:>8} | {holds:>6} |"
    yield ""
    if comparison.note:
        yield comparison.note
        yield ""


def profiles(comparison: Comparison, candidates: Iterable[str]) -> Iterator[str]:
    """Yield where the time of candidates goes."""
    for candidate in candidates:
        yield f"### {comparison.work[0].upper()}{comparison.work[1:]}: {candidate}"
        yield ""
        if candidate in comparison.aims:
            low, high = comparison.ratio_interval(candidate)
            yield f"Aim ≤ {comparison.aims[candidate]:.3g}, measured {_shown(comparison.ratio(candidate))} ({_shown(low)}–{_shown(high)})."
            yield ""
        if candidate in comparison.profiles:
            yield from comparison.profiles[candidate]()
            yield ""


def _shown(number: float) -> str:
    if number >= 1000:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}" if number >= 0.1 else f"{number:.2g}"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
