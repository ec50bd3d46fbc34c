"""The checks after each test can fail: each leak that they exist for is made here on purpose."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.leaks import OWN_KEYS, KeyRule, Snapshot, foreign_keys
from tests.support.servers import StoredKey

ROOT = Path(__file__).parents[3]


def test_a_running_thread_is_left_over() -> None:
    before = Snapshot.take()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="forgotten")
    thread.start()

    assert before.left_over(grace_s=0) == ["thread 'forgotten' is running"]
    stop.set()
    thread.join()
    assert before.left_over(grace_s=0) == []


def test_an_open_socket_is_left_over() -> None:
    before = Snapshot.take()
    with socket.socket():
        [line] = before.left_over(grace_s=0)
        assert line.startswith("a socket is open")
    assert before.left_over(grace_s=0) == []


def test_a_child_process_is_left_over_until_it_is_awaited() -> None:
    before = Snapshot.take()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    [line] = before.left_over(grace_s=0)
    assert line.startswith(f"child process {child.pid} was not ended")

    child.kill()
    assert before.left_over(grace_s=0.05) != []  # ended, but a zombie
    child.communicate()
    assert before.left_over(grace_s=0) == []


def test_what_ends_within_its_grace_is_not_left_over() -> None:
    before = Snapshot.take()
    thread = threading.Timer(0.05, lambda: None)
    thread.start()

    assert before.left_over(grace_s=10) == []


@pytest.mark.parametrize(
    ("name", "has_ttl"),
    [
        ("t-x:v:{f:shop.profile(7)}", True),
        ("t-x:l:{k:a}", True),
        ("t-x:o:{0123456789abcdef}", True),
        ("t-x:h:{factorial}", True),
        ("t-x:z:{h}", True),
        ("t-x:t:{k:a}", True),
        ("t-x:t:{0123456789abcdef}", True),
        ("t-x:t:{0123456789abcdef}", False),
    ],
)
def test_keys_of_our_own_may_stay(name: str, has_ttl: bool) -> None:
    assert foreign_keys([StoredKey(name.encode(), has_ttl)], OWN_KEYS) == []


@pytest.mark.parametrize(
    ("name", "has_ttl"),
    [
        ("shop:v:{k:a}", True),
        ("t-x:y:{k:a}", True),
        ("t-x", True),
        ("t-x:v:{k:a}", False),
        ("t-x:l:{k:a}", False),
        ("t-x:t:{k:a}", False),
        ("t-x:t:{0123456789ABCDEF}", False),
        ("t-x:h:{factorial}", False),
    ],
)
def test_other_keys_and_immortal_ones_may_not_stay(name: str, has_ttl: bool) -> None:
    [line] = foreign_keys([StoredKey(name.encode(), has_ttl)], OWN_KEYS)

    assert repr(name.encode()) in line


def test_the_marker_allows_more_keys() -> None:
    django = KeyRule.from_marker(pytest.mark.keys(":1:.*").mark)
    forever = KeyRule.from_marker(pytest.mark.keys(":1:.*", permanent=True).mark)
    key = StoredKey(b":1:views", has_ttl=True)
    immortal = StoredKey(b":1:views", has_ttl=False)

    assert foreign_keys([key], [*OWN_KEYS, django]) == []
    assert foreign_keys([immortal], [*OWN_KEYS, django]) != []
    assert foreign_keys([immortal], [*OWN_KEYS, forever]) == []


LEAKY_TESTS = """
import asyncio, socket, subprocess, sys, threading, warnings
import pytest

kept = []

def test_thread():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, daemon=True)
    thread.start()

def test_socket():
    kept.append(socket.socket())

async def test_task_with_a_socket():
    reader, writer = await asyncio.open_connection(sock=kept_pair())
    kept.append(writer)

def kept_pair():
    mine, theirs = socket.socketpair()
    kept.append(theirs)
    return mine

def test_child():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_warning():
    warnings.warn("careless")

def test_unclosed_file():
    open(__file__)

def test_foreign_key(valkey):
    valkey.command("SET", "shop:v:{k:a}", 1, "PX", 60000)

def test_immortal_key(valkey):
    valkey.command("SET", "t-a:v:{k:a}", 1)

@pytest.mark.keys(":1:.*", permanent=True)
def test_clean(valkey):
    valkey.command("SET", "t-a:v:{k:a}", 1, "PX", 60000)
    valkey.command("SET", ":1:a", 1)

def test_skipped():
    pytest.skip("there is no moon tonight")

@pytest.mark.xfail
def test_expected_to_fail():
    assert False

async def test_clean_async():
    await asyncio.to_thread(str)
"""


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """A file of tests that leak, run under the conftest of this tree."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\nfrom tests.support import leaks\nleaks.GRACE_S = 0.05")
    file = tmp_path / "test_leaky.py"
    file.write_text(LEAKY_TESTS)
    return file


def run(file: Path, *options: str) -> str:
    config = ["-c", f"{ROOT}/pyproject.toml", f"--rootdir={file.parent}", "-o", f"pythonpath={ROOT}", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *config, *options, file]
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=file.parent).stdout


def test_each_leak_fails_the_test_that_made_it(leaky: Path) -> None:
    report = run(leaky, "-v", "-o", "addopts=-p no:valkey")

    verdicts = {line.split("::")[1].split()[0]: line for line in report.splitlines() if line.startswith(("ERROR ", "FAILED "))}
    assert verdicts.keys() == {
        "test_thread",
        "test_socket",
        "test_task_with_a_socket",
        "test_child",
        "test_warning",
        "test_unclosed_file",
        "test_foreign_key",
        "test_immortal_key",
    }, report
    assert "b'shop:v:{k:a}' is outside the namespaces" in report
    assert "b't-a:v:{k:a}' is outside them or has no ttl" in report


def test_a_skip_passes_by_default_and_fails_where_it_must_not_happen(leaky: Path) -> None:
    select = ["-k", "skipped or expected_to_fail or clean"]

    lenient = run(leaky, *select)
    strict = run(leaky, *select, "--fail-on-skip")

    assert "2 passed, 1 skipped, 8 deselected, 1 xfailed" in lenient
    assert "1 failed, 2 passed, 8 deselected, 1 xfailed" in strict
    assert "there is no moon tonight (--fail-on-skip" in strict
