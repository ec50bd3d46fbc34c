"""One process of a chaos run: threads and tasks that read, write and invalidate the same few keys. Prints what it saw as JSON.

Run as ``python worker.py URL FILE PROCESSES OWN SECONDS afresh|by_hand``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).parent))

from history import History, Told

KINDS = ("key", "tag", "function", "namespace")
KEYS = 6  # of each kind: few, so that callers meet
THREADS, TASKS = 4, 12
WRITES = 0.1  # of the calls
CANCELLED = 0.2  # of the tasks' calls
Value = tuple[int, Told, bytes]


class Subject(Protocol):
    """What is tried: a read and an invalidation for threads, and for tasks."""

    def read(self, key: int) -> Value: ...
    def invalidate(self, key: int) -> bool: ...
    async def aread(self, key: int) -> Value: ...
    async def ainvalidate(self, key: int) -> bool: ...


class Afresh:
    """Memoized functions, each invalidated in a way of its own."""

    def __init__(self, url: str, compute: Callable[[int], Value], acompute: Callable[[int], Awaitable[Value]]) -> None:
        from afresh import Cache

        caches = [Cache(url, namespace=f"t-{kind}", ttl="2s", budget="5s") for kind in ("shared", "namespace")]
        self._caches = [caches[kind == "namespace"] for kind in KINDS]
        self._sync, self._aio = [], []
        for kind, cache in zip(KINDS, self._caches, strict=True):
            # One entry for both colours: they meet under one name.
            self._sync.append(cache.memoize(name=kind, tags=["of:{key}"], wait="20s")(lambda key: compute(key)))

            async def aread(key: int) -> Value:
                return await acompute(key)

            self._aio.append(cache.memoize(name=kind, tags=["of:{key}"], wait="20s")(aread))

    def read(self, key: int) -> Value:
        return self._sync[key % len(KINDS)](key)

    async def aread(self, key: int) -> Value:
        return await self._aio[key % len(KINDS)](key)

    def invalidate(self, key: int) -> bool:
        kind, cache, function = KINDS[key % len(KINDS)], self._caches[key % len(KINDS)], self._sync[key % len(KINDS)]
        if kind == "key":
            return function.invalidate(key).applied
        if kind == "tag":
            return cache.invalidate_tags(f"of:{key}").applied
        return (function.invalidate_all() if kind == "function" else cache.invalidate_all()).applied

    async def ainvalidate(self, key: int) -> bool:
        kind, cache, function = KINDS[key % len(KINDS)], self._caches[key % len(KINDS)], self._aio[key % len(KINDS)]
        if kind == "key":
            return (await function.invalidate(key)).applied
        if kind == "tag":
            return (await cache.aio.invalidate_tags(f"of:{key}")).applied
        return (await (function.invalidate_all() if kind == "function" else cache.aio.invalidate_all())).applied


class ByHand:
    """What one writes without afresh, GET, SET and DEL: it must be found out."""

    def __init__(self, url: str, compute: Callable[[int], Value], acompute: Callable[[int], Awaitable[Value]]) -> None:
        import redis

        self._server = redis.Redis.from_url(url)
        self._compute, self._acompute = compute, acompute

    def read(self, key: int) -> Value:
        if (found := self._get(key)) is None:
            self._set(key, found := self._compute(key))
        return found

    async def aread(self, key: int) -> Value:
        if (found := self._get(key)) is None:
            self._set(key, found := await self._acompute(key))
        return found

    def _get(self, key: int) -> Value | None:
        found: Any = self._server.get(f"by-hand:{key}")
        return None if found is None else (*json.loads(found), b"")

    def _set(self, key: int, value: Value) -> None:
        self._server.set(f"by-hand:{key}", json.dumps(value[:2]), ex=2)

    def invalidate(self, key: int) -> bool:
        self._server.delete(f"by-hand:{key}")
        return True

    async def ainvalidate(self, key: int) -> bool:
        return self.invalidate(key)


class Run:
    """One process's part, until the time is up."""

    def __init__(self, url: str, history: History, seconds: float, subject: type[Afresh | ByHand]) -> None:
        self.history = history
        self.until = time.monotonic() + seconds
        self.seen: Counter[str] = Counter()
        self.examples: list[str] = []
        self.slowest_s = 0.0
        self.subject: Subject = subject(url, self.compute, self.acompute)

    # What is read first, and told late, is what races are about.
    def compute(self, key: int) -> Value:
        told = self.history.written(key)
        time.sleep(random.random() ** 3 * 0.02)
        return key, told, random.randbytes(random.choice((10, 3000)))

    async def acompute(self, key: int) -> Value:
        told = self.history.written(key)
        await asyncio.sleep(random.random() ** 3 * 0.02)
        return key, told, random.randbytes(random.choice((10, 3000)))

    def check(self, key: int, floor: Told, value: Value, began: float) -> None:
        self.seen["reads"] += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        if value[0] != key:
            self.seen["wrong"] += 1
        if any(known < least for known, least in zip(value[1], floor, strict=True)):
            self.seen["stale"] += 1
            self.examples.append(f"{KINDS[key % len(KINDS)]} {key}: {value[1]} < {floor}")

    def thread(self) -> None:
        while time.monotonic() < self.until:
            key, began = random.randrange(KEYS * len(KINDS)), time.monotonic()
            if random.random() < WRITES:
                write = self.history.write(key)
                if self.subject.invalidate(key):
                    self.history.drop(key, write)
                    self.seen["invalidations"] += 1
            else:
                self.check(key, self.history.floor(key), self.subject.read(key), began)

    async def call(self) -> None:
        key, began = random.randrange(KEYS * len(KINDS)), time.monotonic()
        if random.random() < WRITES:
            write = self.history.write(key)
            if await self.subject.ainvalidate(key):
                self.history.drop(key, write)
                self.seen["invalidations"] += 1
        else:
            floor = self.history.floor(key)
            self.check(key, floor, await self.subject.aread(key), began)

    async def task(self) -> None:
        while time.monotonic() < self.until:
            if random.random() < CANCELLED:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.call(), random.random() * 0.01)
                self.seen["cancellable"] += 1
            else:
                await self.call()

    async def tasks(self) -> None:
        calls: list[Coroutine[Any, Any, None]] = [self.task() for _ in range(TASKS)]
        await asyncio.gather(*calls)

    def all(self) -> None:
        failed: list[BaseException] = []

        def kept(work: Callable[[], object]) -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)
                raise

        threads = [threading.Thread(target=kept, args=(self.thread,)) for _ in range(THREADS)]
        threads.append(threading.Thread(target=kept, args=(lambda: asyncio.run(self.tasks()),)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]


def main(url: str, file: str, processes: str, own: str, seconds: str, subject: str) -> None:
    history = History(Path(file), processes=int(processes), keys=KEYS * len(KINDS), own=int(own))
    run = Run(url, history, float(seconds), {"afresh": Afresh, "by_hand": ByHand}[subject])
    run.all()
    hits = 0
    if isinstance(run.subject, Afresh):
        for cache in set(run.subject._caches):
            hits += sum(stats.hits for stats in cache.stats().values())
            cache.close()
    print(json.dumps({**run.seen, "hits": hits, "slowest_ms": round(run.slowest_s * 1000), "examples": run.examples[:3]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
