"""One of the readers of `benchmarks.hanging`: ``python -m benchmarks._hanging_process HOST PORT NAME``.

Reads a key, says so, waits for a line, and then prints of each of two reads how many µs it took and what it came to.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Final

import ormsgpack

from afresh import Cache
from benchmarks import Run
from benchmarks._async_peers import async_peers
from benchmarks._peers import clients

OURS: Final = "afresh: cache.get"
READERS: Final = (OURS, "redis-py by hand", "Django's own backend", "django-redis", "dogpile.cache", "cashews")


def main(host: str, port: str, name: str) -> None:
    """Read before the server is stopped, and after."""
    run = Run(host, int(port), 0)
    if name == "cashews":
        with asyncio.Runner() as runner, async_peers(run, runner, 1, ormsgpack.packb, ormsgpack.unpackb) as peers:
            reads(lambda: runner.run(peers[name].get("key-1")))
    elif name == OURS:
        cache = Cache(run.url, namespace="hanging")
        cache.set("key", 1)
        reads(lambda: cache.get("key"))
    else:
        reads(clients(run, 1, ormsgpack.packb, ormsgpack.unpackb)[name].get)


def reads(get: Callable[[], object]) -> None:
    """Time two reads, when told to."""
    assert get() == 1
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(2):
        began = time.perf_counter()
        try:
            came_to = "a miss" if get() is None else "a value"
        except Exception as error:  # noqa: BLE001  whatever it is, is what is told
            came_to = f"raised {type(error).__name__}"
        print(f"{(time.perf_counter() - began) * 1e6:.0f} {came_to}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
