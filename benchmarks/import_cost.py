"""What importing afresh costs, against importing redis."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import Row

STATEMENTS = ("import afresh", "from afresh import *")
ROUNDS = 7


def rows() -> Iterator[Row]:
    """Measure both in turn, so that what else the machine does meets both, and from bytecode as an installed package is."""
    with tempfile.TemporaryDirectory() as bytecode:
        for statement in STATEMENTS:
            pairs = [(cost_ms(statement, bytecode), cost_ms("import redis", bytecode)) for _ in range(1 + ROUNDS)]
            ours, theirs = (statistics.median(column) for column in zip(*pairs[1:], strict=True))  # the first round compiles
            yield Row(statement, ours, "import redis", theirs, most=0.5)


def cost_ms(statement: str, bytecode: str) -> float:
    """Return the processor time of a statement in an interpreter that has done nothing else."""
    code = f"import time; began = time.process_time()\n{statement}\nprint((time.process_time() - began) * 1000)"
    env = os.environ | {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    return float(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout)
