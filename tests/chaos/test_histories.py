"""Many processes, threads and tasks on few keys, on a server that evicts, while clients are killed: no value older than an invalidation.

Each read is checked against what its process knew to be invalidated before it asked. ``AFRESH_CHAOS_S`` sets for how long (5 s).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.history import History
from tests.chaos.worker import KEYS, KINDS
from tests.support.servers import Server, find_redis, find_valkey

SECONDS = float(os.environ.get("AFRESH_CHAOS_S", "5"))
PROCESSES = 4
# Evicts at random: values, leases and stamps alike, those in use, too.
FILL = "for at = 1, 300 do redis.call('SET', 'filler:' .. (ARGV[1] + at), string.rep('x', 20000)) end"
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture(params=["valkey", "redis7"])
def evicting(request: pytest.FixtureRequest) -> Any:
    program = find_valkey() if request.param == "valkey" else find_redis()
    if program is None:
        pytest.skip(f"no {request.param} here")
    server = Server(program, maxmemory="6mb", maxmemory_policy="allkeys-random")
    yield server
    server.stop()


def start(server: Server, file: Path, own: int, seconds: float, subject: str) -> subprocess.Popen[str]:
    words = [sys.executable, str(WORKER), server.url, str(file), str(PROCESSES), str(own), str(seconds), subject]
    with file.with_suffix(f".{own}.log").open("a") as log:
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)


def disturb(server: Server, until: float) -> Counter[str]:
    """Do to the server what happens to servers. Without it the keys would never be evicted and no connection lost."""
    done: Counter[str] = Counter()
    while time.monotonic() < until:
        what = random.choice(["evict", "evict", "evict", "kill clients", "forget scripts", "flush"])
        if what == "evict":
            server.command("EVAL", FILL, 0, random.randrange(1_000_000))
        elif what == "kill clients":
            server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        else:
            server.command(*(("SCRIPT", "FLUSH") if what == "forget scripts" else ("FLUSHALL",)))
        done[what] += 1
        time.sleep(random.random() * 0.2)
    return done


def run(server: Server, tmp_path: Path, subject: str, seconds: float, *, calm: bool = False) -> dict[str, Any]:
    file = tmp_path / subject
    History(file, processes=PROCESSES, keys=KEYS * len(KINDS))
    until = time.monotonic() + seconds
    workers = [start(server, file, own, seconds, subject) for own in range(PROCESSES)]
    done: Counter[str] = Counter()
    if not calm:
        while (left := until - time.monotonic()) > 0:
            done += disturb(server, time.monotonic() + min(left, 2))
            if left > 3:  # kill -9, in the middle of whatever it does; its successor goes on with its counters
                workers[-1].kill()
                workers[-1].communicate()
                workers[-1] = start(server, file, PROCESSES - 1, left - 2, subject)
                done["kill -9"] += 1
    said = [worker.communicate(timeout=seconds + 60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * PROCESSES, "\n".join(log.read_text() for log in tmp_path.glob("*.log"))
    seen: Counter[str] = Counter()
    examples: list[str] = []
    slowest_ms = 0
    for each in map(json.loads, said):
        examples += each.pop("examples")
        slowest_ms = max(slowest_ms, each.pop("slowest_ms"))
        seen.update(each)
    evicted = server.command("INFO", "stats")["evicted_keys"]
    print(f"\n{subject}: {dict(seen)}, slowest {slowest_ms} ms, evicted {evicted}, {dict(done)}")
    return {**seen, "examples": examples, "evicted": evicted, "slowest_ms": slowest_ms}


def test_no_read_is_older_than_an_invalidation(evicting: Server, tmp_path: Path) -> None:
    seen = run(evicting, tmp_path, "afresh", SECONDS)

    assert not seen.get("stale"), seen["examples"]
    assert not seen.get("wrong")
    assert seen["hits"] > 10, "otherwise nothing was tried"
    assert seen["invalidations"] > 10


def test_the_same_by_hand_is_found_out(evicting: Server, tmp_path: Path) -> None:
    assert run(evicting, tmp_path, "by_hand", min(SECONDS, 2), calm=True)["stale"] > 0, (
        "a check that finds nothing where there is something proves nothing"
    )
