"""A whole page through Django's handler, kept by `cache_page`."""

from __future__ import annotations

from collections.abc import Iterator

from afresh.testing import wait_until
from benchmarks import Comparison, Run
from benchmarks._checks import same
from benchmarks._django import LOCMEM, OURS_NEAR, cached_pages, is_near
from benchmarks._rounds import compare, timed

PAGE = b"<html><body>" + b"<p>A page of some 10 KB.</p>" * 357 + b"</body></html>"


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure requests from the handler's call to the closed response. The process's own memory is the floor.

    The aim, 1.15 times that, leaves no time for a server: it is the near tier's. A hit is two reads, of the headers' names and of the page.
    """
    asks = cached_pages(run, PAGE)
    for name, ask in asks.items():
        for _ in range(2):
            same(name, ask(), PAGE)
    wait_until(lambda: asks[OURS_NEAR]() and is_near(), 30, "the page to be near")
    candidates = {f"floor: {name}" if name == LOCMEM else name: timed(ask) for name, ask in asks.items()}
    yield compare(run, "cache_page: a page of 10 KB through Django's handler, a hit", candidates, aims={OURS_NEAR: 1.15})
