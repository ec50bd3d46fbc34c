"""The first use of a cache, which loads what it needs: from several threads and loops at once."""

from __future__ import annotations

import subprocess
import sys

import pytest
import redis

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


AT_EXIT = """
import asyncio, atexit, sys
from afresh import Cache, StoreUnavailable

cache = Cache(sys.argv[1], namespace="t-atexit", budget="10s") if sys.argv[2] == "before" else None

@atexit.register
def last():
    global cache
    cache = cache or Cache(sys.argv[1], namespace="t-atexit", budget="10s")
    try:
        first = cache.get("k", "nothing")
    except StoreUnavailable as error:
        print(error)
        return
    cache.invalidate_all()

    @cache.memoize()
    def function(x):
        return x

    async def get():
        cache.set("k", 2)
        return await cache.aio.get("k")

    print(first, function(1), function(1), asyncio.run(get()))
    cache.close()
"""


@pytest.mark.parametrize("made", ["before", "then"])
def test_the_interpreters_last_steps_may_be_the_first(valkey: Server, made: str) -> None:
    ended = subprocess.run([sys.executable, "-c", AT_EXIT, valkey.url, made], capture_output=True, text=True, check=False)

    assert ended.stderr == ""
    if made == "before" or redis.VERSION < (6,):  # an older redis-py loads nothing that may not be loaded then
        assert ended.stdout.startswith("nothing 1 1 2")
    else:
        assert "make the cache before, and not in an atexit handler" in ended.stdout
