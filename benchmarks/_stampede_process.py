"""One of the processes of `benchmarks.stampede`: ``python -m benchmarks._stampede_process URL NAMESPACE threads|tasks CALLERS STALE_TTL``.

For each time that it reads it has all its callers ask then, and prints the worst caller's time, and how many computed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from afresh import Cache

COMPUTE_S: Final = 0.1
# Long enough for all callers to be served of one computation, and over before the next are to ask.
TTL_S: Final = 0.3


def main(url: str, namespace: str, kind: str, callers: str, stale_ttl: str) -> None:
    """Serve until there is nothing more to read."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    cache = Cache(url, namespace=namespace, budget="10s")
    computes: list[int] = []
    options: dict[str, Any] = {"ttl": TTL_S, "stale_ttl": stale_ttl, "name": kind, "early_refresh": False}
    ask: Callable[[float], list[float]]
    if kind == "threads":

        @cache.memoize(**options)
        def slow() -> int:
            computes.append(1)
            time.sleep(COMPUTE_S)
            return 1

        ask = Threads(slow, int(callers))
    else:

        @cache.memoize(**options)
        async def slow_coroutine() -> int:
            computes.append(1)
            await asyncio.sleep(COMPUTE_S)
            return 1

        runner = asyncio.Runner()
        ask = lambda at: runner.run(_tasks(slow_coroutine, int(callers), at))  # noqa: E731  as short as a name for it
    print("ready", flush=True)
    for line in sys.stdin:
        computes.clear()
        worst_us = max(ask(float(line))) * 1e6
        time.sleep(COMPUTE_S + TTL_S)
        print(json.dumps({"worst_us": worst_us, "computes": len(computes)}), flush=True)
    cache.close()


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
