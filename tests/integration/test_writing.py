"""`writing()`: blocks that write to a database under tags, for threads and for tasks."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from afresh import Cache, ConfigurationError, Near, StoreError
from afresh.core import policy, transactions
from afresh.core.keys import Namespace
from afresh.core.transactions import Transaction, end, mark, new_transaction
from afresh.runtime.run_now import run_now
from afresh.testing import FaultProxy, wait_until, wait_until_async
from tests.conformance.facades import ColourlessCache
from tests.support.servers import Server


@pytest.fixture(params=["memory", "valkey", "redis7"])
def url(request: pytest.FixtureRequest) -> str:
    return "memory://" if request.param == "memory" else request.getfixturevalue(request.param).url


@pytest.fixture(params=["sync", "async"])
async def cache(request: pytest.FixtureRequest, url: str, namespace: str) -> AsyncIterator[ColourlessCache]:
    both = Cache(url, namespace=namespace, budget="10s")
    yield ColourlessCache(both, request.param)
    await both.aio.aclose()


@asynccontextmanager
async def writing(cache: ColourlessCache, *tags: str) -> AsyncIterator[None]:
    """Enter a block of either colour."""
    block = cache.subject.writing(*tags)
    if cache.colour == "sync":
        with block:
            yield
    else:
        async with block:
            yield


class Database:
    """What is written, and computed from."""

    def __init__(self, cache: ColourlessCache, *tags: str) -> None:
        self.value = 0
        self.computed = 0
        self.read = cache.memoized(self._read, tags=tags)

    def _read(self) -> int:
        self.computed += 1
        return self.value


async def test_nothing_computed_before_the_block_or_in_it_is_served_after_it(cache: ColourlessCache) -> None:
    database = Database(cache, "a")
    assert await database.read() == 0

    async with writing(cache, "a", "b"):
        database.value = 1
        assert await database.read() == 1
        assert await database.read() == 1
        assert database.computed == 3, "nothing under the tag is stored"
    assert await database.read() == 1
    assert await database.read() == 1

    assert database.computed == 4


async def test_a_block_that_raises_ends_all_the_same(cache: ColourlessCache) -> None:
    database = Database(cache, "a")

    async def write() -> None:
        async with writing(cache, "a"):
            await database.read()
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await write()

    await database.read()
    await database.read()

    assert database.computed == 2


async def test_what_is_not_under_the_tags_is_served_and_stored(cache: ColourlessCache) -> None:
    other = Database(cache, "other")
    await other.read()

    async with writing(cache, "a"):
        await other.read()
        await cache.set("k", 1, tags=["other"])
        await cache.set("under", 1, tags=["a"])
        assert await cache.add("added", 1, tags=["a"]) is False

    assert other.computed == 1
    assert await cache.get("k") == 1
    assert await cache.get("under") is None


async def test_what_is_computed_in_the_block_is_not_stored_whatever_its_tags(cache: ColourlessCache) -> None:
    """Who forgot to name a tag does not keep what is rolled back."""
    forgotten = Database(cache, "forgotten")

    async with writing(cache, "a"):
        forgotten.value = 1
        assert await forgotten.read() == 1
        forgotten.value = 0

    assert await forgotten.read() == 0


async def test_blocks_nest_and_overlap(cache: ColourlessCache) -> None:
    database = Database(cache, "a")

    async with writing(cache, "a"):
        async with writing(cache, "a", "b"):
            await database.read()
        await database.read()
        await database.read()
        assert database.computed == 3, "the outer block is still open"
    await database.read()
    await database.read()

    assert database.computed == 4


async def test_an_invalidation_in_the_block_changes_nothing_of_it(cache: ColourlessCache) -> None:
    database = Database(cache, "a")

    async with writing(cache, "a"):
        assert (await cache.invalidate_tags("a")).applied
        await database.read()
        await database.read()

    assert database.computed == 2


async def test_a_functions_own_tag_may_be_written_under(cache: ColourlessCache) -> None:
    database = Database(cache)

    async with writing(cache, database.read.tag):
        await database.read()
        await database.read()
    await database.read()
    await database.read()

    assert database.computed == 3


async def test_other_threads_and_tasks_compute_while_a_block_is_open(url: str, namespace: str) -> None:
    cache = ColourlessCache(Cache(url, namespace=namespace, budget="10s"), "sync")
    database = Database(cache, "a")
    got: list[int] = []
    with cache.subject.writing("a"):
        thread = threading.Thread(target=lambda: got.extend(database.read.subject() for _ in range(2)))
        thread.start()
        thread.join()
    cache.subject.close()

    assert got == [0, 0]
    assert database.computed == 2


@pytest.mark.parametrize(("tags", "said"), [((), "needs the tags"), ((7,), "a tag is text"), (("",), "a tag is text")])
async def test_tags_that_cannot_be_are_refused_at_once(cache: ColourlessCache, tags: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        cache.subject.writing(*tags)


def test_a_near_tier_gives_up_what_is_written_under(valkey: Server, namespace: str) -> None:
    """Its own process at once; others when they hear of the mark, and after `max_stale` at the latest."""
    with (
        Cache(valkey.url, namespace=namespace, budget="10s", near=Near()) as writer,
        Cache(valkey.url, namespace=namespace, budget="10s", near=Near()) as reader,
    ):
        value = 0
        reads = [cache.memoize(name="read", tags=["a"])(lambda: value) for cache in (writer, reader)]
        for read in reads:
            wait_until(lambda read=read: read() == 0 and read.stats().near_hits > 0, 20, "near hits")

        with writer.writing("a"):
            value = 1
            assert reads[0]() == 1
        assert reads[0]() == 1
        wait_until(lambda: reads[1]() == 1, 2.5, "the other process to hear of it")


# --- when something fails ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_a_block_whose_marks_cannot_be_set_is_not_run(valkey: Server, namespace: str, colour: str) -> None:
    both = Cache(valkey.url, namespace=namespace, budget="10s")
    cache, entered = ColourlessCache(both, colour), []
    await cache.get("k")
    valkey.command("CONFIG", "SET", "maxmemory", "1")

    try:
        with pytest.raises(StoreError):
            async with writing(cache, "a"):
                entered.append(1)
    finally:
        valkey.command("CONFIG", "SET", "maxmemory", "0")
    await both.aio.aclose()

    assert entered == []


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_a_server_that_is_gone_at_the_end_raises_nothing(start_server: Callable[..., Server], namespace: str, colour: str) -> None:
    server = start_server()
    both = Cache(server.url, namespace=namespace, budget="10s")

    async with writing(ColourlessCache(both, colour), "a"):
        server.stop()

    await both.aio.aclose()


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_tags_whose_marks_may_have_lapsed_before_commit_are_invalidated_once_the_server_is_back(
    valkey: Server, namespace: str, colour: str
) -> None:
    """It was away for longer than marks live, for this process; another one has stored what was there before COMMIT."""
    proxy = FaultProxy(valkey.port)
    both = Cache(proxy.url, namespace=namespace, budget="2s")  # the block's end spends all of it
    cache, tag = ColourlessCache(both, colour), Namespace(namespace).tag_of("a")
    with Cache(valkey.url, namespace=namespace, budget="10s") as others:
        database = Database(ColourlessCache(others, "sync"), "a")

        async with writing(cache, "a"):
            proxy.requests.drops = True
            valkey.command("UNLINK", tag.key, tag.writers)  # as if they had lapsed
            elsewhere = threading.Thread(target=database.read.subject)
            elsewhere.start()
            elsewhere.join()
            database.value = 1
        assert both.pending() == 1
        assert database.read.subject() == 0, "nobody can tell the others yet"
        proxy.heal()

        await wait_until_async(lambda: both.pending() == 0, 20, "the invalidation to be repeated")
        assert database.read.subject() == 1
    await both.aio.aclose()
    proxy.close()


WRITER = """
import sys, time
from afresh import Cache
with Cache(sys.argv[1], namespace=sys.argv[2], budget="10s") as cache, cache.writing("a"):
    print("marked", flush=True)
    time.sleep(600)
"""


def test_a_writer_that_dies_leaves_its_tags_dirty_until_its_marks_lapse(valkey: Server, namespace: str) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, valkey.url, namespace], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "marked\n"
        os.kill(writer.pid, signal.SIGKILL)
    tag = Namespace(namespace).tag_of("a")
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        database = Database(ColourlessCache(cache, "sync"), "a")
        assert [database.read.subject() for _ in range(2)] == [0, 0]
        assert database.computed == 2

        deadline = int(valkey.command("GET", tag.key).removeprefix(b"D:"))
        assert 0 < deadline - time.time() * 1000 <= policy.MARK_MS
        valkey.command("SET", tag.key, f"D:{deadline - policy.MARK_MS}")
        valkey.command("ZADD", tag.writers, deadline - policy.MARK_MS, valkey.command("ZRANGE", tag.writers, 0, 0)[0])

        assert [database.read.subject() for _ in range(2)] == [0, 0]
        assert database.computed == 3
        assert len(valkey.command("GET", tag.key)) == 8


def test_marks_are_renewed_and_brought_back_while_a_block_is_open(valkey: Server, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transaction, "renewed_every_ms", 50)
    tag = Namespace(namespace).tag_of("a")
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache, cache.writing("a"):
        valkey.command("UNLINK", tag.key, tag.writers)

        wait_until(lambda: valkey.command("EXISTS", tag.key, tag.writers) == 2, 20, "both marks to be back")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_end_its_parents_block(valkey: Server, namespace: str) -> None:
    tag = Namespace(namespace).tag_of("a")
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache, cache.writing("a"):
        child = os.fork()
        if child == 0:
            block = cache.writing("b")
            with block:
                pass
            os._exit(0)
        os.waitpid(child, 0)
        assert valkey.command("GET", tag.key).startswith(b"D:")

    assert not valkey.command("GET", tag.key).startswith(b"D:")


async def test_a_cancelled_task_leaves_no_mark(valkey: Server, namespace: str) -> None:
    tag = Namespace(namespace).tag_of("a")
    both = Cache(valkey.url, namespace=namespace, budget="10s")

    async def write() -> None:
        async with both.aio.writing("a"):
            await asyncio.sleep(600)

    await both.aio.get("k")  # opens the connection
    for turns in range(8):  # cancelled while it marks, and in the block
        task = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await both.aio.get("k")  # what was sent before it has been answered
    await both.aio.aclose()

    assert not valkey.command("EXISTS", tag.writers)


# --- on a real server, with everything at once ---------------------------------------------------------------------
# The environment may ask for longer.
FUZZ_S = float(os.environ.get("AFRESH_FUZZ_S", "2"))
FUZZ_MARK_MS = 500


class Fuzz:
    """Writers that commit, roll back and die, readers, invalidations and evictions, on one tag; what is read is checked against COMMIT.

    The writers do what an integration with hooks does: they mark, mark again right before COMMIT, and end.
    """

    def __init__(self, server: Server, namespace: str, *, marks: bool = True) -> None:
        self.server = server
        self.url = server.url
        self.namespace = namespace
        self.marks = marks
        self.tag = Namespace(namespace).tag_of("a")
        self.committed = 0
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(("reads", "computes", "stale", "commits", "deaths", "noise"), 0)
        self.until = time.monotonic() + FUZZ_S

    def run(self) -> dict[str, int]:
        work = [self.write] * 2 + [self.read] * 4 + [self.disturb]
        threads = [threading.Thread(target=each, args=(random.Random(at),)) for at, each in enumerate(work)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.counts

    def write(self, draw: random.Random) -> None:
        with Cache(self.url, namespace=self.namespace, budget="10s") as cache:
            ports = cache._engine.sync_ports()
            while time.monotonic() < self.until:
                transaction = new_transaction(ports)
                tags = [self.tag] if self.marks else []
                run_now(mark(ports, transaction, tags))
                time.sleep(draw.random() * 0.01)
                marked_at = time.monotonic()
                run_now(mark(ports, transaction))
                if draw.random() < 0.8 and time.monotonic() - marked_at < FUZZ_MARK_MS / 2000:  # on a busy machine the mark may lapse
                    self.commit()
                time.sleep(draw.random() * 0.003)
                if draw.random() < 0.2:
                    self.counts["deaths"] += 1
                    time.sleep(draw.random() * 2 * FUZZ_MARK_MS / 1000)
                else:
                    run_now(end(ports, transaction))
                    time.sleep(draw.random() * 0.2)

    def commit(self) -> None:
        with self.lock:
            self.committed += 1
            self.counts["commits"] += 1

    def read(self, draw: random.Random) -> None:
        with Cache(self.url, namespace=self.namespace, budget="10s") as cache:

            @cache.memoize(name="read", tags=["a"])
            def read() -> int:
                self.counts["computes"] += 1
                now = self.committed
                time.sleep(draw.random() * 0.003)
                return now

            while time.monotonic() < self.until:
                low = self.committed
                self.counts["stale"] += read() < low
                self.counts["reads"] += 1

    def disturb(self, draw: random.Random) -> None:
        with Cache(self.url, namespace=self.namespace, budget="10s") as cache:
            while time.monotonic() < self.until:
                time.sleep(draw.random() * 0.03)
                self.counts["noise"] += 1
                if draw.random() < 0.5:
                    cache.invalidate_tags("a")
                else:
                    self.server.command("UNLINK", draw.choice([self.tag.key, self.tag.writers]))


def test_no_read_is_served_what_was_computed_before_a_commit(valkey: Server, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "MARK_MS", FUZZ_MARK_MS)

    counts = Fuzz(valkey, namespace).run()

    print(json.dumps(counts))
    assert counts["stale"] == 0
    assert counts["computes"] < counts["reads"] / 2, "some are served"


def test_without_marks_the_same_is_caught(valkey: Server, namespace: str) -> None:
    counts = Fuzz(valkey, namespace, marks=False).run()

    print(json.dumps(counts))
    assert counts["stale"] > 0


async def test_a_memo_table_keeps_nothing_that_was_computed_in_a_block(cache: ColourlessCache) -> None:
    """Its rows may rest on what is rolled back."""
    factor = 1
    table = cache.cache.recurrence(base={0: 1}, name="table")(lambda n, previous: factor * n * previous)
    assert table(3) == 6
    with suppress(LookupError):
        async with writing(cache, "a"):
            factor = 100
            assert table(4) == 2400
            raise LookupError
    factor = 1

    assert table(4) == 24
    assert table.known() == 4
