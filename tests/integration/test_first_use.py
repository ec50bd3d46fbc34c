"""The first use of a cache, which loads what it needs: from several threads and loops at once."""

from __future__ import annotations

import subprocess
import sys

from tests.support.servers import Server

PROGRAM = """
import asyncio, sys, threading
from afresh import Cache

cache = Cache(sys.argv[1], namespace="t-first", budget="10s")
together = threading.Barrier(4)
seen = []

def from_a_thread():
    together.wait()
    seen.append(cache.get("k", "nothing"))

def from_a_loop():
    async def get():
        seen.append(await cache.aio.get("k", "nothing"))
    together.wait()
    asyncio.run(get())

threads = [threading.Thread(target=each) for each in 2 * [from_a_thread, from_a_loop]]
for thread in threads: thread.start()
for thread in threads: thread.join()
cache.close()
assert seen == 4 * ["nothing"], seen
"""


def test_threads_and_loops_may_begin_together(valkey: Server) -> None:
    for _ in range(5):
        ended = subprocess.run([sys.executable, "-c", PROGRAM, valkey.url], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
