"""Everybody asks for one key at the same moment, and it is not there."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from afresh.cache import Cache
from afresh.cli.demo.elsewhere import Elsewhere, Working
from afresh.cli.demo.findings import Claim, Figure, Findings
from afresh.cli.demo.place import Place, open_cache

__all__ = ["TITLE", "judge", "measure"]

PROCESSES = 2
THREADS = 100  # in each process
TASKS = 100  # likewise
COMPUTE_MS = 100
TITLE = f"One cold key, {PROCESSES * THREADS} threads and {PROCESSES * TASKS} tasks of {PROCESSES} processes"

_KEY = "stampede"
_TIMEOUT_S = 30.0
_VALUE = "a page that takes long to make"


def measure(place: Place, tell: Callable[[str], None]) -> Findings:
    """Start the processes, let them all begin at once, and count."""
    with ExitStack() as stack:
        tell(f"starting {PROCESSES} processes")
        processes = [stack.enter_context(Elsewhere(ask, url=place.url)) for _ in range(PROCESSES)]
        for process in processes:
            process.note()
        tell("all callers are ready")
        for process in processes:
            process.go_on()
        for process in processes:
            process.note()
        results = [process.result for process in processes]
    return judge([result["computed"] for result in results], [wait for result in results for wait in result["waits_ms"]])


def judge(computed: list[int], waits_ms: list[float]) -> Findings:
    """Return what these counts, one for each process, and every caller's wait say."""
    callers = PROCESSES * (THREADS + TASKS)
    return Findings(
        [
            Figure(f"computations of {COMPUTE_MS} ms", {"in all": sum(computed)}),
            Figure("the last caller has its value after", {"ms": max(waits_ms)}),
        ],
        [
            Claim("at most 1 computation in each process", " + ".join(map(str, computed)), max(computed) <= 1),
            Claim(f"all {callers} callers get the value", f"{len(waits_ms)}", len(waits_ms) == callers),
        ],
    )


def ask(url: str) -> Working:
    """Ask from many threads and many tasks, all at once when told to."""
    with open_cache(url) as cache:
        crowd = _Crowd(cache)
        with ThreadPoolExecutor(THREADS + 1) as pool:
            asking = [pool.submit(crowd.ask) for _ in range(THREADS)]
            asking_tasks = pool.submit(asyncio.run, crowd.ask_from_tasks())
            try:
                yield "ready"
            finally:
                crowd.gate.wait()
            waits_ms = [future.result() for future in asking] + asking_tasks.result()
    return {"computed": len(crowd.computed), "waits_ms": [wait for wait in waits_ms if wait is not None]}


class _Crowd:
    """Callers of one key."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.gate = threading.Barrier(THREADS + 2, timeout=_TIMEOUT_S)  # and the tasks' thread, and who opens it
        self.computed: list[int] = []
        cache.get(_KEY)  # connects

    def ask(self) -> float | None:
        """Return how many ms a thread waited for the right value; None if it got another one."""
        self.gate.wait()
        began = time.perf_counter()
        value = self._cache.get_or_compute(_KEY, self._compute)
        return (time.perf_counter() - began) * 1000 if value == _VALUE else None

    async def ask_from_tasks(self) -> list[float | None]:
        """Return the same for each of many tasks."""
        await self._cache.aio.get(_KEY)
        self.gate.wait()
        try:
            return await asyncio.gather(*(self._ask_from_task() for _ in range(TASKS)))
        finally:
            await self._cache.aio.aclose()

    async def _ask_from_task(self) -> float | None:
        began = time.perf_counter()
        value = await self._cache.aio.get_or_compute(_KEY, self._acompute)
        return (time.perf_counter() - began) * 1000 if value == _VALUE else None

    def _compute(self) -> str:
        self.computed.append(1)
        time.sleep(COMPUTE_MS / 1000)
        return _VALUE

    async def _acompute(self) -> str:
        self.computed.append(1)
        await asyncio.sleep(COMPUTE_MS / 1000)
        return _VALUE
