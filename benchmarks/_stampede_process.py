"""One of the processes of `benchmarks.stampede`: ``python -m benchmarks._stampede_process HOST PORT CONTENDER CALLERS STALE_TTL``.

For each time that it reads it has all its callers ask then, and prints the worst caller's time, and how many computed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from afresh import Cache
from benchmarks import Run
from benchmarks._floor import open_wire

COMPUTE_S: Final = 0.1
# Long enough for all callers to be served of one computation, and over before the next are to ask.
TTL_S: Final = 0.3

computes: list[int] = []


def main(host: str, port: str, contender: str, callers: str, stale_ttl: str) -> None:
    """Serve until there is nothing more to read."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    run = Run(host, int(port), 0)
    ask: Callable[[float], list[float]]
    if contender in THREADS:
        ask = Threads(THREADS[contender](run, stale_ttl), int(callers))
    else:
        call, runner = TASKS[contender](run, stale_ttl), asyncio.Runner()
        ask = lambda at: runner.run(_tasks(call, int(callers), at))  # noqa: E731  as short as a name for it
    print("ready", flush=True)
    for line in sys.stdin:
        computes.clear()
        worst_us = max(ask(float(line))) * 1e6
        time.sleep(COMPUTE_S + TTL_S)
        if contender in KEYS:  # those that serve one after the other need longer than until ours expires
            with open_wire(run) as wire:
                wire.one("UNLINK", KEYS[contender])
        print(json.dumps({"worst_us": worst_us, "computes": len(computes)}), flush=True)


def compute() -> int:
    """Take the time that is to be taken once."""
    computes.append(1)
    time.sleep(COMPUTE_S)
    return 1


async def compute_later() -> int:
    """Do the same in a loop."""
    computes.append(1)
    await asyncio.sleep(COMPUTE_S)
    return 1


def _ours(run: Run, stale_ttl: str) -> Callable[[], object]:
    cache = Cache(run.url, namespace=f"stampede-{stale_ttl}", budget="10s")
    return cache.memoize(ttl=TTL_S, stale_ttl=stale_ttl, name="threads", early_refresh=False)(compute)


def _ours_later(run: Run, stale_ttl: str) -> Callable[[], Awaitable[object]]:
    cache = Cache(run.url, namespace=f"stampede-{stale_ttl}", budget="10s")
    return cache.memoize(ttl=TTL_S, stale_ttl=stale_ttl, name="tasks", early_refresh=False)(compute_later)


def _by_lock(run: Run, _: str) -> Callable[[], object]:
    client = importlib.import_module("redis").Redis.from_url(run.url, max_connections=1000)

    def get() -> object:
        if (found := client.get("stampede")) is not None:
            return found
        with client.lock("stampede-lock", timeout=10):
            if (found := client.get("stampede")) is None:
                client.set("stampede", found := compute(), px=60_000)
            return found

    return get


def _by_cashews(run: Run, _: str) -> Callable[[], Awaitable[object]]:
    cache = importlib.import_module("cashews").Cache()
    cache.setup(run.url)
    call: Callable[[], Awaitable[object]] = cache(ttl=TTL_S, key="stampede", lock=True)(compute_later)
    return call


THREADS: Final = {"afresh": _ours, "redis-py by hand, its lock": _by_lock}
KEYS: Final = {"redis-py by hand, its lock": "stampede"}
TASKS: Final = {"afresh, tasks": _ours_later, "cashews, lock=True": _by_cashews}


class Threads:
    """Threads that all call at a moment that they are told.

    Args:
        call: what they call.
        count: how many there are.
    """

    def __init__(self, call: Callable[[], object], count: int) -> None:
        self._call = call
        self._at = 0.0
        self._told, self._done = threading.Barrier(count + 1), threading.Barrier(count + 1)
        self._times: list[float] = []
        for _ in range(count):
            threading.Thread(target=self._run, daemon=True).start()

    def __call__(self, at: float) -> list[float]:
        """Return how long each call took."""
        self._at, self._times = at, []
        self._told.wait()
        self._done.wait()
        return self._times

    def _run(self) -> None:
        while True:
            self._told.wait()
            time.sleep(max(0.0, self._at - time.time()))
            began = time.perf_counter()
            self._call()
            self._times.append(time.perf_counter() - began)
            self._done.wait()


async def _tasks(call: Callable[[], Any], count: int, at: float) -> list[float]:
    async def timed() -> float:
        began = time.perf_counter()
        await call()
        return time.perf_counter() - began

    await asyncio.sleep(max(0.0, at - time.time()))
    times = await asyncio.gather(*(timed() for _ in range(count)))
    await asyncio.sleep(COMPUTE_S)  # what is computed behind the callers needs the loop
    return times


if __name__ == "__main__":
    main(*sys.argv[1:])
