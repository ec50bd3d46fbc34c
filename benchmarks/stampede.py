"""A stampede: two processes full of callers ask for one value that has just expired, and whose compute takes 100 ms."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks import Comparison, Run
from benchmarks._stampede_process import COMPUTE_S

# As many as the aims are for; each takes half a second.
EXPIRIES = 5
CALLERS = {"threads": 200, "tasks": 500}


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure the worst of all callers, of several expiries."""
    rounds = min(run.rounds, EXPIRIES)
    for kind, callers in CALLERS.items():
        samples: dict[str, list[float]] = {"floor: the compute alone": [COMPUTE_S * 1e6] * rounds}
        loads = {}
        for stale_ttl, allowed in (("0s", "cold"), ("1h", "an old value allowed")):
            worst = list(_expiries(run, kind, callers, stale_ttl, rounds))
            samples[f"afresh: worst, {allowed}"] = [max(each["worst_us"] for each in told) for told in worst]
            loads[allowed] = sum(each["computes"] for told in worst for each in told) / rounds
        shown = ", ".join(f"{count:g} computes per expiry {allowed}" for allowed, count in loads.items())
        yield Comparison(f"stampede on all CPUs, 2 processes x {callers} {kind}, {shown}", samples, aims={"afresh: worst, cold": 1.5})


def _expiries(run: Run, kind: str, callers: int, stale_ttl: str, rounds: int) -> Iterator[list[dict[str, Any]]]:
    """Yield what both processes tell of each expiry. The first, which opens connections and starts threads, does not count."""
    command = [sys.executable, "-m", "benchmarks._stampede_process", run.url, f"stampede-{kind}-{stale_ttl}", kind, str(callers), stale_ttl]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)) for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for number in range(1 + rounds):
            told = _together(processes)
            if number:
                yield told


def _together(processes: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """Have all callers of all processes ask at one moment, and return what came of it."""
    at = time.time() + 0.1
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{at}\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in processes if process.stdout is not None]
