"""What importing afresh costs, against importing redis."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import Comparison, Run

STATEMENTS = ("import afresh", "from afresh import *")
AIM = 0.5
AGAINST = "import redis"
_MOST_ROUNDS = 7  # an interpreter is started for each sample


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure in interpreters of their own."""
    for statement in STATEMENTS:
        yield compare(statement, min(run.rounds, _MOST_ROUNDS))


def compare(statement: str, rounds: int = _MOST_ROUNDS) -> Comparison:
    """Measure both in turn, so that what else the machine does meets both, and from bytecode as an installed package is."""
    samples: dict[str, list[float]] = {AGAINST: [], statement: []}
    with tempfile.TemporaryDirectory() as bytecode:
        for _ in range(1 + rounds):
            for candidate, taken in samples.items():
                taken.append(cost_us(candidate, bytecode))
    measured = {candidate: taken[1:] for candidate, taken in samples.items()}  # the first round compiles
    return Comparison(f"processor time of: {statement}", measured, {statement: AIM}, profiles={statement: lambda: slowest(statement)})


def cost_us(statement: str, bytecode: str) -> float:
    """Return the processor time of a statement in an interpreter that has done nothing else."""
    code = f"import time; began = time.process_time()\n{statement}\nprint((time.process_time() - began) * 1e6)"
    env = os.environ | {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    return float(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout)


def slowest(statement: str) -> Iterator[str]:
    """Yield the modules that take longest by themselves, by the interpreter's own account."""
    command = [sys.executable, "-X", "importtime", "-c", statement]
    with tempfile.TemporaryDirectory() as bytecode:
        env = os.environ | {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        subprocess.run(command, env=env, capture_output=True, check=True)  # compiles
        ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    taken = [line.removeprefix("import time:").split("|") for line in ran.stderr.splitlines()[1:]]
    yield "| own µs | module |"
    yield "|---:|---|"
    for own_us, _, module in sorted(taken, key=lambda columns: -int(columns[0]))[:12]:
        yield f"| {own_us.strip()} | `{module.strip()}` |"
