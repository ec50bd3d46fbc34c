"""What a read takes while the server hangs: it is stopped, its connections stay open. Everyone has default settings."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import Comparison, Run
from benchmarks._floor import open_wire
from benchmarks._hanging_process import OURS, READERS

# Who takes longer is ended, and counted as having taken that.
AT_MOST_S = 6.0
BUDGET_S = 0.25
# The reads that are timed, one after the other, and what is aimed at: 0.3 s, then 1 ms.
READS = {"the first read": 0.3 / BUDGET_S, "the next read": 0.001 / BUDGET_S}


def comparisons(run: Run) -> Iterator[Comparison]:
    """Stop the server under all readers at once, each a process of its own, which has a connection."""
    rounds = min(run.rounds, 3)
    measured = [_stopped_once(run) for _ in range(rounds)]
    samples: dict[str, list[float]] = {"floor: the default budget": [BUDGET_S * 1e6] * rounds}
    ends = []
    for name in measured[0]:
        for at, read in enumerate(READS):
            samples[f"{name}: {read}"] = [each[name][0][at] for each in measured]
        ends.append(f"{name} {measured[0][name][1]}")
    yield Comparison(
        "get: the server hangs, default settings",
        samples,
        {f"{OURS}: {read}": aim for read, aim in READS.items()},
        note=f"What the first read came to: {'; '.join(ends)}. Nothing is waited for longer than {AT_MOST_S:g} s.",
    )


def _stopped_once(run: Run) -> dict[str, tuple[list[float], str]]:
    """Return µs of each read, and what came of the first one, by reader."""
    with open_wire(run) as wire:
        told = wire.one("INFO", "server").decode()
    pid = int(told.partition("process_id:")[2].split()[0])
    with ExitStack() as stack:
        readers = {name: stack.enter_context(_started(run, name)) for name in READERS}
        ready = {name: reader for name, reader in readers.items() if reader.stdout and reader.stdout.readline() == b"ready\n"}
        os.kill(pid, signal.SIGSTOP)
        try:
            for reader in ready.values():
                assert reader.stdin is not None
                reader.stdin.write(b"go\n")
                reader.stdin.flush()
            until = time.monotonic() + AT_MOST_S
            found = {name: _told(reader, until) for name, reader in ready.items()}
        finally:
            os.kill(pid, signal.SIGCONT)
            for reader in readers.values():
                reader.kill()
    return found


def _started(run: Run, name: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks._hanging_process", run.host, str(run.port), name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)


def _told(reader: subprocess.Popen[bytes], until: float) -> tuple[list[float], str]:
    """Read what a reader has to tell, as long as there is time."""
    assert reader.stdout is not None
    taken, came_to = [AT_MOST_S * 1e6] * len(READS), "took longer"
    for at in range(len(READS)):
        if not select.select([reader.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            break
        us, _, outcome = reader.stdout.readline().decode().strip().partition(" ")
        taken[at] = float(us)
        came_to = came_to if at else outcome
    return taken, came_to
