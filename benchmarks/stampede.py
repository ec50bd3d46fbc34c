"""A stampede: two processes full of callers ask for one value that has just expired, and whose compute takes 100 ms."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks import Comparison, Run
from benchmarks._stampede_process import COMPUTE_S, TASKS, THREADS

# As many as the aims are for; each takes half a second.
EXPIRIES = 5
WORK: dict[str, tuple[int, Iterable[str]]] = {"200 threads": (200, THREADS), "500 tasks": (500, TASKS)}


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure the worst of all callers, of several expiries."""
    rounds = min(run.rounds, EXPIRIES)
    for shown, (callers, contenders) in WORK.items():
        samples: dict[str, list[float]] = {"floor: the compute alone": [COMPUTE_S * 1e6] * rounds}
        loads = []
        for name in contenders:
            ours = name.startswith("afresh")
            for stale_ttl, allowed in (("0s", "cold"), ("1h", "an old value allowed")) if ours else (("0s", "cold"),):
                row = f"{'afresh: worst' if ours else name}, {allowed}"
                told = list(_expiries(run, name, callers, stale_ttl, rounds))
                if not told:  # it is not installed
                    continue
                samples[row] = [max(each["worst_us"] for each in processes) for processes in told]
                loads.append(f"{row}: {sum(each['computes'] for processes in told for each in processes) / rounds:g}")
        yield Comparison(
            f"stampede on all CPUs, 2 processes x {shown}, the worst caller",
            samples,
            aims={"afresh: worst, cold": 1.5},
            note=f"Computes per expiry: {'; '.join(loads)}. The interval of five expiries is all of them.",
        )


def _expiries(run: Run, contender: str, callers: int, stale_ttl: str, rounds: int) -> Iterator[list[dict[str, Any]]]:
    """Yield what both processes tell of each expiry. The first, which opens connections and starts threads, does not count."""
    arguments = [run.host, str(run.port), contender, str(callers), stale_ttl]
    command = [sys.executable, "-m", "benchmarks._stampede_process", *arguments]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                return
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
