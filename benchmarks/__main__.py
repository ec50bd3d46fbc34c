"""Run the benchmarks, all or those named: ``python -m benchmarks import_cost``. Exit 1 if a ratio does not hold."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def main(names: list[str]) -> int:
    """Print a line for each row as it is measured."""
    names = names or [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
    failed = 0
    line = "{:<32} {:>12}   {:<24} {:>12}   {:>6}  {}".format
    print(line("work", "ours", "against", "theirs", "ratio", "at most"))
    for name in names:
        for row in importlib.import_module(f"benchmarks.{name}").rows():
            times = f"{row.ours_ms:.3f} ms", row.against, f"{row.theirs_ms:.3f} ms"
            verdict = f"{row.most:.2f}" if row.holds else f"{row.most:.2f}  <- does not hold"
            print(line(row.work, *times, f"{row.ratio:.2f}", verdict), flush=True)
            failed += not row.holds
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
