"""Signals that arrive in the middle of a call, and handlers that call the cache themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from afresh import Cache
from tests.support.servers import Server

REENTRANT = """
import signal, sys, time
from afresh import Cache

cache = Cache(sys.argv[1], namespace="t-signals", budget="10s")
inside = False

@cache.memoize()
def function(x):
    return x

def handler(*_):
    global inside
    if not inside:
        inside = True
        try:
            assert function(2) == 2
        finally:
            inside = False

function(2)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
until = time.monotonic() + 2
turn = 0
while time.monotonic() < until:
    turn += 1
    if turn % 3:
        assert function(1) == 1
    else:
        function.invalidate(1)
signal.setitimer(signal.ITIMER_REAL, 0, 0)
cache.close()
"""


def test_signals_do_not_lengthen_the_budget(start_server: Callable[..., Server]) -> None:
    server = start_server()
    with Cache(server.url, namespace="t-signals", budget="250ms") as cache:
        cache.set("k", 1)
        goes_on = threading.Timer(5, os.kill, (server.pid, signal.SIGCONT))
        goes_on.start()
        before = signal.signal(signal.SIGALRM, lambda *_: None)
        os.kill(server.pid, signal.SIGSTOP)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        try:
            started = time.monotonic()
            assert cache.get("k") is None
            assert time.monotonic() - started < 3, "each signal began the wait anew"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            os.kill(server.pid, signal.SIGCONT)
            goes_on.cancel()
            goes_on.join()


@pytest.mark.parametrize("where", ["memory", "valkey"])
def test_a_handler_may_call_the_cache_in_the_middle_of_a_call(where: str, request: pytest.FixtureRequest) -> None:
    url = "memory://" if where == "memory" else request.getfixturevalue(where).url
    ended = subprocess.run([sys.executable, "-c", REENTRANT, url], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
