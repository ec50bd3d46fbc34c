"""A whole page through Django's handler, kept by `cache_page`."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import Comparison, Run
from benchmarks._checks import same
from benchmarks._django import LOCMEM, OURS, cached_pages
from benchmarks._rounds import compare, timed

PAGE = b"<html><body>" + b"<p>A page of some 10 KB.</p>" * 357 + b"</body></html>"


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure requests from the handler's call to the closed response. The process's own memory is the floor."""
    asks = cached_pages(run, PAGE)
    for name, ask in asks.items():
        for _ in range(2):
            same(name, ask(), PAGE)
    candidates = {f"floor: {name}" if name == LOCMEM else name: timed(ask) for name, ask in asks.items()}
    yield compare(run, "cache_page: a page of 10 KB through Django's handler, a hit", candidates, aims={OURS: 1.15})
