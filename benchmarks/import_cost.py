"""What importing afresh costs, against importing redis."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks import Row

STATEMENTS = ("import afresh", "from afresh import *")
ROUNDS = 7


def rows() -> Iterator[Row]:
    """Measure both in turn, so that what else the machine does meets both."""
    for statement in STATEMENTS:
        pairs = [(cost_ms(statement), cost_ms("import redis")) for _ in range(ROUNDS)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        yield Row(statement, ours, "import redis", theirs, most=0.5)


def cost_ms(statement: str) -> float:
    """Return the processor time of a statement in an interpreter that has done nothing else."""
    code = f"import time; began = time.process_time()\n{statement}\nprint((time.process_time() - began) * 1000)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
