"""See caching work, with numbers measured here and now.

Each row is a module of this package with a ``TITLE`` and a function ``measure``: from a place to do it and a way to tell what it is at,
to what it found. A claim that does not hold makes the exit status 1.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterable
from types import ModuleType

from afresh.cli.demo.findings import Findings, NotMeasured, Result, as_json
from afresh.cli.demo.place import Place, open_place
from afresh.cli.demo.screen import Screen
from afresh.errors import ConfigurationError
from afresh.runtime.surroundings import bypassed

__all__ = ["ROWS", "configure", "run", "run_rows"]

# In this order: the second process goes on with the factorials' table.
ROWS = ("factorial", "second_process", "cookbook", "stampede", "invalidation")


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--url",
        metavar="URL",
        help="run on this server instead of a private one, in the namespace afresh-demo, which is emptied before and after",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end, and nothing else")


def run(options: argparse.Namespace) -> int:
    """Measure all rows.

    Raises:
        AfreshError: where there is no server to measure on.
    """
    if bypassed():
        raise ConfigurationError("AFRESH_DISABLED is set, so nothing would be cached: unset it for the demo.")
    rows = [importlib.import_module(f"{__name__}.{name}") for name in ROWS]
    screen = None if options.json else Screen(sys.stdout)
    with open_place(options.url) as place:
        began = time.perf_counter()
        results = run_rows(rows, place, screen)
        elapsed_s = time.perf_counter() - began
    if screen is None:
        print(as_json(place, results, elapsed_s))
    else:
        screen.summary(results, elapsed_s)
    return 0 if all(result.holds for result in results) else 1


def run_rows(rows: Iterable[ModuleType], place: Place, screen: Screen | None) -> list[Result]:
    """Measure rows one after the other, showing each on the screen as it comes."""
    if screen is None:
        return [_measured(row, place, tell=_tell_nobody) for row in rows]
    results: list[Result] = []
    screen.heading(place)
    for number, row in enumerate(rows, start=1):
        screen.start(number, row.TITLE)
        try:
            results.append(_measured(row, place, tell=screen.tell))
        finally:
            screen.hush()
        screen.finish(results[-1])
    return results


def _measured(row: ModuleType, place: Place, tell: Callable[[str], None]) -> Result:
    began = time.perf_counter()
    try:
        found: Findings | NotMeasured = row.measure(place, tell)
    except NotMeasured as reason:
        found = reason
    return Result(row.__name__.rpartition(".")[2], row.TITLE, time.perf_counter() - began, found)


def _tell_nobody(_: str) -> None:
    return
