"""Where the time of a candidate goes, by function: with it RESULTS.md says why a row is missed."""

from __future__ import annotations

import cProfile
import pstats
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from benchmarks import Timed

_LINES = 12
_SAMPLE_S = 0.2
_OURS = Path(__file__).parent.parent


def profiled(candidate: Timed) -> Iterator[str]:
    """Yield a table of the functions with the most time of their own. The profiler charges each call: small functions look dearer."""
    times = max(1, round(_SAMPLE_S / max(candidate(1), 1e-7)))
    profiler = cProfile.Profile()
    profiler.runcall(candidate, times)
    stats = pstats.Stats(profiler)
    costs: list[tuple[float, float, str]] = []
    total_s = 0.0
    for (file, line, name), (_, calls, own_s, _, _) in stats.stats.items():  # type: ignore[attr-defined]  # its stub leaves it out
        total_s += own_s
        costs.append((own_s, calls / times, _shown(file, line, name)))
    calls_each = sum(calls for _, calls, _ in costs)
    yield f"{calls_each:,.0f} calls of functions in one operation."
    yield ""
    yield "| own time | calls | function |"
    yield "|---:|---:|---|"
    for own_s, calls, shown in sorted(costs, reverse=True)[:_LINES]:
        yield f"| {own_s / total_s:.0%} | {calls:,.1f} | {shown} |"


def _shown(file: str, line: int, name: str) -> str:
    if file == "~":
        return f"`{name.strip('<>')}`"
    path = Path(file)
    for root in (_OURS, Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("stdlib"))):
        if path.is_relative_to(root):
            return f"`{path.relative_to(root).as_posix().removeprefix('src/')}:{line} {name}`"
    return f"`{path.name}:{line} {name}`"
