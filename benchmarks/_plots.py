"""The plots of the documentation, from the comparisons of a whole run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import Comparison
from benchmarks._svg import Mark, Panel, Row, dots, lines

__all__ = ["FOLDER", "drawn"]

FOLDER = Path(__file__).parent.parent / "docs/explanation/performance"
_OURS, _OTHERS = "afresh", "others"
# Waits, rather than work: their ratios are to the time that is allowed.
_WAITS = ("stampede", "get: the server hangs")


def drawn(comparisons: Sequence[Comparison]) -> Iterator[tuple[str, str]]:
    """Yield each plot's name and its SVG."""
    yield (
        "ratios",
        dots("What work costs, in the unit of each table's first line", "ratio, logarithmic", list(_ratios(comparisons)), logarithmic=True),
    )
    yield (
        "latency",
        dots("Single reads while another thread writes and invalidates", "µs, logarithmic", _mixed(comparisons), logarithmic=True),
    )
    yield "misses", dots("Misses of a near tier of 500 entries", "misses per 100 reads", _misses(comparisons), logarithmic=False)
    yield "throughput", lines("Reads on one CPU", "thousands per second", _throughput(comparisons))
    yield "growth", lines("As a cache grows", "µs", _growth(comparisons))


def _ratios(comparisons: Sequence[Comparison]) -> Iterator[Row]:
    for comparison in comparisons:
        if comparison.work.startswith(_WAITS):
            continue
        rivals = [
            name for name in comparison.samples if not name.startswith(("afresh", "floor", "import", "from")) and name != comparison.first
        ]
        others = [_mark(comparison, name, _OTHERS) for name in rivals]
        for at, (candidate, aim) in enumerate(comparison.aims.items()):
            what = re.sub(r"^afresh: ", "", candidate)
            label = f"{_short(comparison.work)}: {what}" if len(comparison.aims) > 1 else _short(comparison.work)
            yield Row(label, [_mark(comparison, candidate, _OURS), *(others if at == 0 else [])], aim)


def _short(work: str) -> str:
    for long, short in (
        (r": a dict of \d+ B.*", ""),
        (r"processor time of: ", ""),
        (r" through Django's handler, a hit", ""),
        (r" of an entry,.*", ""),
    ):
        work = re.sub(long, short, work)
    return work.removesuffix(", a hit")


def _mark(comparison: Comparison, candidate: str, series: str) -> Mark:
    return Mark(series, comparison.ratio(candidate), *comparison.ratio_interval(candidate))


def _mixed(comparisons: Sequence[Comparison]) -> list[Row]:
    return [
        Row(found.work.partition(", ")[2].partition(" of")[0], [_measured(found, name) for name in found.samples])
        for found in comparisons
        if found.work.startswith("mixed load")
    ]


def _misses(comparisons: Sequence[Comparison]) -> list[Row]:
    rows = []
    for found in comparisons:
        if found.work.startswith("misses of"):
            load = found.work.partition(": ")[2].removesuffix(" keys that never come again")
            rows.append(
                Row(
                    load.replace("and in every 2,000 reads a scan of 1,000", "half of them in scans"),
                    [_measured(found, name) for name in found.samples],
                )
            )
    return rows


def _measured(comparison: Comparison, candidate: str) -> Mark:
    return Mark(candidate, comparison.median_us(candidate), *comparison.spread_us(candidate))


def _throughput(comparisons: Sequence[Comparison]) -> list[Panel]:
    def thousands(us: float) -> float:
        return 1000 / us

    return [
        _panel(comparisons, "get, by threads", "threads", thousands),
        _panel(comparisons, "get, asyncio, by tasks", "tasks", thousands),
    ]


def _growth(comparisons: Sequence[Comparison]) -> list[Panel]:
    return [
        _panel(comparisons, "by entries on the server", "entries on the server", float),
        _panel(comparisons, "memoize, by tags", "tags of an entry", float),
    ]


def _panel(comparisons: Sequence[Comparison], work: str, axis: str, shown: Callable[[float], float]) -> Panel:
    """Return a line for each candidate whose name ends in how many there are."""
    found = next(comparison for comparison in comparisons if comparison.work == work)
    series: dict[str, list[tuple[float, float]]] = {}
    for candidate in found.samples:
        if match := re.fullmatch(r"(afresh|redis).*?(: .*?)?, ([\d,]+) \w+", candidate):
            name = "redis-py by hand" if match[1] == "redis" else candidate.rpartition(", ")[0].replace("cache.aio.get", "cache.get")
            series.setdefault(name, []).append((float(match[3].replace(",", "")), shown(found.median_us(candidate))))
    return Panel(axis, series)
