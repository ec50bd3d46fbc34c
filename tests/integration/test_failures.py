"""What a caller gets when the server fails: reads miss, computes go on, invalidations tell, counters raise; and nothing takes for ever."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from afresh import Cache, StoreError, StoreRefused, StoreUnavailable
from afresh.stores.scripts import script
from afresh.testing import FaultProxy, wait_until
from tests.conformance.facades import ColourlessCache
from tests.support.servers import Server

pytestmark = pytest.mark.alone  # it measures

BUDGET_S = 0.5
# What a call may take besides its budget, on a machine that is busy.
SLACK_S = 1.0


@pytest.fixture(params=["sync", "async"])
async def open_cache(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Callable[..., ColourlessCache]]:
    """Open caches of each colour on any URL."""
    opened: list[Cache] = []

    def open_one(url: str, *, budget: float = BUDGET_S) -> ColourlessCache:
        opened.append(Cache(url, namespace=namespace, budget=budget))
        return ColourlessCache(opened[-1], request.param)

    yield open_one
    for cache in opened:
        await cache.aio.aclose()


@pytest.fixture
def proxy(valkey: Server) -> Iterator[FaultProxy]:
    with FaultProxy(valkey.port) as proxy:
        yield proxy


def stop(server: Server) -> None:
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not answers(server.port), 10, "the server to be gone")


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def everything_degrades(cache: ColourlessCache, *, is_read_only: bool = False) -> None:
    """Check that no operation raises but the counter, and that each says what it did not do."""
    calls: list[int] = []

    def double(x: int) -> int:
        calls.append(x)
        return 2 * x

    function = cache.memoized(double, name="f", tags=["t"])
    assert await cache.get("k", "nothing") == "nothing"
    assert await cache.get_many(["k", "m"]) == {}
    assert await cache.ttl("k") is None
    assert await cache.set("k", 1) is None
    assert await cache.set_many({"k": 1, "m": 2}) is None
    assert await cache.add("k", 1) is False
    assert await cache.touch("k") is False
    assert await cache.get_or_compute("k", cache.coloured(lambda: "computed")) == "computed"
    assert [await function(1), await function(1)] == [2, 2]
    assert await function.refresh(1) == 2
    assert calls == [1, 1, 1]
    assert await function.peek(1) is None
    assert await function.put(2, 1) is None
    for receipt in (
        await cache.invalidate("k"),
        await cache.invalidate_tags("t"),
        await cache.invalidate_all(),
        await function.invalidate(1),
        await function.invalidate_all(),
    ):
        assert not receipt.applied
        assert receipt.at > 1_600_000_000
    with pytest.raises(StoreError):
        await cache.incr("n")
    table = cache.cache.recurrence(base={0: 1}, name="t")(cache.coloured(lambda n, previous: n * previous))
    assert await ColourlessCache._awaited(table)(5) == 120
    assert await ColourlessCache._awaited(table.known)() == 0
    assert not (await ColourlessCache._awaited(table.invalidate_all)()).applied


# --- refused, killed, restarted ------------------------------------------------------------------------------------
async def test_without_a_server_every_call_degrades(open_cache: Callable[..., ColourlessCache]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    await everything_degrades(open_cache(f"redis://127.0.0.1:{port}"))


async def test_without_a_socket_every_call_degrades(open_cache: Callable[..., ColourlessCache], tmp_path: Any) -> None:
    await everything_degrades(open_cache(f"unix://{tmp_path}/none"))


@pytest.mark.parametrize("way", ["url", "tcp_url"])
async def test_a_server_that_is_killed_makes_every_call_degrade(
    open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server], way: str
) -> None:
    server = start_server()
    cache = open_cache(getattr(server, way))
    await cache.set("k", 1)
    assert await cache.get("k") == 1

    stop(server)

    await everything_degrades(cache)


async def test_a_server_that_comes_back_is_found_by_the_next_call(
    open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server]
) -> None:
    """Its connections were lost while idle: that is noticed on use, and the call made once more on a new one."""
    server = start_server()
    cache = open_cache(server.tcp_url)
    await cache.set("k", 1)
    stop(server)
    again = start_server(port=str(server.port))

    await cache.set("k", 2)

    assert await cache.get("k") == 2
    assert again.command("DBSIZE") > 0


async def test_a_counter_on_a_server_that_came_back_counts_or_raises(
    open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server]
) -> None:
    server = start_server()
    cache = open_cache(server.tcp_url)
    await cache.incr("n")
    stop(server)
    start_server(port=str(server.port))

    try:
        total = await cache.incr("n")
    except StoreUnavailable:
        total = await cache.incr("n")

    assert total == 1


async def test_connections_that_the_server_closes_are_replaced(open_cache: Callable[..., ColourlessCache], valkey: Server) -> None:
    cache = open_cache(valkey.tcp_url)
    await cache.set("k", 1)
    for _ in range(3):
        valkey.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        assert await cache.get("k") == 1


async def test_what_must_not_be_sent_twice_notices_that_an_idle_connection_was_closed(
    open_cache: Callable[..., ColourlessCache], valkey: Server
) -> None:
    cache = open_cache(valkey.tcp_url)
    await cache.incr("n")
    for at in range(3):
        valkey.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        assert await cache.add(f"k{at}", at)
        assert await cache.get(f"k{at}") == at

        valkey.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        assert await cache.incr("n") == at + 2


# --- slow ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def hung(start_server: Callable[..., Server]) -> Iterator[Server]:
    """A server that accepts connections and answers nothing."""
    server = start_server()
    os.kill(server.pid, signal.SIGSTOP)
    yield server
    os.kill(server.pid, signal.SIGCONT)


async def test_a_call_takes_at_most_its_budget_and_then_misses(open_cache: Callable[..., ColourlessCache], hung: Server) -> None:
    cache = open_cache(hung.url)

    started = time.monotonic()
    assert await cache.get_or_compute("k", cache.coloured(lambda: "computed")) == "computed"
    assert time.monotonic() - started < BUDGET_S + SLACK_S


async def test_a_call_on_an_open_connection_takes_at_most_its_budget(
    open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server]
) -> None:
    server = start_server()
    cache = open_cache(server.url)
    await cache.set("k", 1)
    os.kill(server.pid, signal.SIGSTOP)

    started = time.monotonic()
    try:
        assert await cache.get("k", "nothing") == "nothing"
        assert time.monotonic() - started < BUDGET_S + SLACK_S
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: server.command("PING"), 10, "the server to go on")


async def test_a_large_value_is_not_written_for_longer_than_the_budget(
    open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server]
) -> None:
    server = start_server()
    cache = open_cache(server.url)
    await cache.set("k", 1)
    os.kill(server.pid, signal.SIGSTOP)

    started = time.monotonic()
    try:
        await cache.set("k", bytes(range(256)) * 200_000)
        assert time.monotonic() - started < 2 * BUDGET_S + SLACK_S
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def test_many_tasks_do_not_wait_in_turn_for_a_connection(hung: Server, namespace: str) -> None:
    cache = Cache(hung.url, namespace=namespace, budget=BUDGET_S)

    started = time.monotonic()
    assert await asyncio.gather(*(cache.aio.get(str(at), at) for at in range(20))) == list(range(20))
    took_s = time.monotonic() - started
    await cache.aio.aclose()

    assert took_s < 2 * BUDGET_S + SLACK_S


async def test_a_server_that_dribbles_is_waited_for_no_longer_than_the_budget(
    open_cache: Callable[..., ColourlessCache], proxy: FaultProxy
) -> None:
    """One byte each 200 ms is fast enough for a timeout of each read, and never ends within the budget."""
    cache = open_cache(proxy.url)
    await cache.set("k", "a value of some length")
    proxy.replies.dribble_s = 0.2

    started = time.monotonic()
    assert await cache.get("k", "nothing") == "nothing"
    assert time.monotonic() - started < BUDGET_S + SLACK_S


async def test_a_server_that_dribbles_from_the_beginning_is_waited_for_no_longer_than_its_handshake(
    open_cache: Callable[..., ColourlessCache], proxy: FaultProxy
) -> None:
    proxy.replies.dribble_s = 0.2
    cache = open_cache(proxy.url)

    started = time.monotonic()
    assert await cache.get("k", "nothing") == "nothing"
    assert time.monotonic() - started < 4 * BUDGET_S + SLACK_S


async def test_a_late_reply_is_nobody_elses(open_cache: Callable[..., ColourlessCache], proxy: FaultProxy) -> None:
    """A call that gave up leaves its reply on the way: the next call must not take it for its own."""
    cache = open_cache(proxy.url)
    await cache.set("one", 1)
    await cache.set("two", 2)
    delayed = threading.Event()

    def delay_once(data: bytes) -> bytes:
        if not delayed.is_set():
            delayed.set()
            time.sleep(BUDGET_S + 0.2)
        return data

    proxy.replies.script = delay_once
    assert await cache.get("one", "nothing") == "nothing"

    async def is_back() -> bool:
        return await cache.get("two") == 2

    deadline = time.monotonic() + 10
    while not await is_back():  # a breaker may be open for a moment
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert await cache.get("one") == 1


# --- cut off in the middle -----------------------------------------------------------------------------------------
def cut_replies_to(word: bytes, proxy: FaultProxy, times: int = 1) -> list[bytes]:
    """Let the server have the next requests that hold this word, and end their connections before its replies arrive."""
    cut: list[bytes] = []
    armed = threading.Event()

    def request(data: bytes) -> bytes:
        if word in data and len(cut) < times:
            cut.append(data)
            armed.set()
        return data

    def reply(data: bytes) -> bytes | None:
        if armed.is_set():
            armed.clear()
            return None
        return data

    proxy.requests.script, proxy.replies.script = request, reply
    return cut


@pytest.mark.parametrize("there", [5, 10**20])
async def test_a_counter_whose_reply_was_lost_never_counts_twice(
    open_cache: Callable[..., ColourlessCache], proxy: FaultProxy, there: int
) -> None:
    """Small numbers are added to by a script, large ones by compare-and-set: the reply to either may be lost."""
    cache = open_cache(proxy.url)
    await cache.set("n", there)
    await cache.incr("n")  # the server knows the script now
    cut = cut_replies_to(script("incr" if there < 10**15 else "swap").sha.encode(), proxy)

    with pytest.raises(StoreUnavailable):
        await cache.incr("n")

    assert len(cut) == 1
    assert await cache.get("n") in {there + 1, there + 2}


async def test_an_add_whose_reply_was_lost_says_that_the_server_failed(
    open_cache: Callable[..., ColourlessCache], proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have been added: then nobody else's `add` succeeds, either."""
    cache = open_cache(proxy.url)
    await cache.add("other", 1)
    cut = cut_replies_to(script("swap").sha.encode(), proxy)

    assert await cache.add("k", "mine") is False

    assert len(cut) == 1
    assert "add went on without the server" in caplog.text
    assert await cache.add("k", "yours") is False
    assert await cache.get("k") == "mine"


async def test_a_value_whose_reply_was_lost_is_asked_for_again(open_cache: Callable[..., ColourlessCache], proxy: FaultProxy) -> None:
    cache = open_cache(proxy.url)
    await cache.set("k", 1)
    cut = cut_replies_to(b"GET", proxy)

    assert await cache.get("k") == 1
    assert len(cut) == 1


async def test_an_invalidation_whose_reply_was_lost_is_sent_again(open_cache: Callable[..., ColourlessCache], proxy: FaultProxy) -> None:
    cache = open_cache(proxy.url)
    await cache.set("k", 1)
    await cache.invalidate("other")
    cut = cut_replies_to(b"EVALSHA", proxy)

    assert (await cache.invalidate("k")).applied
    assert len(cut) == 1
    assert await cache.get("k") is None


async def test_garbled_replies_are_a_miss(open_cache: Callable[..., ColourlessCache], proxy: FaultProxy) -> None:
    cache = open_cache(proxy.url)
    await cache.set("k", 1)
    proxy.replies.script = lambda data: b"?" + data

    assert await cache.get("k", "nothing") == "nothing"
    assert not (await cache.invalidate("k")).applied

    proxy.replies.script = lambda data: data
    assert await cache.get("k") is None, "it was to be forgotten"
    wait_until(lambda: cache.cache.pending() == 0, 10, "the invalidation to be repeated")
    assert await cache.get("k") is None
    await cache.set("k", 2)
    assert await cache.get("k") == 2


# --- the server says no --------------------------------------------------------------------------------------------
async def test_a_full_server_stores_nothing_and_invalidates(
    open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server]
) -> None:
    server = start_server(maxmemory_policy="noeviction")
    cache = open_cache(server.url)
    function = cache.memoized(lambda x: [x], name="f", tags=["t"])
    await cache.set("k", 1, tags=["t"])
    await cache.incr("n")
    await function(1)
    server.command("CONFIG", "SET", "maxmemory", "1")

    assert await cache.get("k") == 1
    assert await function(2) == [2]
    assert await cache.add("m", 1) is False
    await cache.set("k", 2)
    assert await cache.get("k") is None, "what could not be set is not what was there before"
    with pytest.raises(StoreRefused, match="raise maxmemory"):
        await cache.incr("n")
    for receipt in (await function.invalidate(1), await cache.invalidate_tags("t"), await cache.invalidate_all()):
        assert receipt.applied
    assert await function.peek(1) is None

    server.command("CONFIG", "SET", "maxmemory", "0")
    assert await function.peek(1) is None
    await cache.set("k", 3)
    assert await cache.get("k") == 3


@pytest.mark.parametrize("ttl", ["1h", 0])
async def test_a_full_server_that_refuses_a_result_tells_all_near_tiers_that_the_old_one_is_gone(
    open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server], ttl: Any
) -> None:
    """It refuses a stamp to announce it by, but not to a script that drops something first."""
    server = start_server(maxmemory_policy="noeviction")
    cache = open_cache(server.url)
    first = cache.memoized(lambda x: [x], name="f")
    function = cache.memoized(lambda x: [x], name="f", ttl=lambda _: ttl)
    await first(1)
    stamp = cache.cache._engine.namespace.names(first.subject.key(1)).stamp
    assert server.command("EXISTS", stamp) == 0
    server.command("CONFIG", "SET", "maxmemory", "1")

    await function.put(["new"], 1)

    assert await first.peek(1) is None
    assert server.command("EXISTS", stamp) == 1, "its name was pushed"


async def test_a_replica_reads_and_degrades(open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server]) -> None:
    primary = start_server(repl_diskless_sync_delay="0")
    replica = start_server(replicaof=f"127.0.0.1 {primary.port}")
    writing, reading = open_cache(primary.url), open_cache(replica.url)
    await writing.set("there", 1)
    wait_until(lambda: replica.command("DBSIZE") == primary.command("DBSIZE"), 30, "the replica to have its primary's data")

    assert await reading.get("there") == 1
    await everything_degrades(reading)
    with pytest.raises(StoreRefused, match="connect to the primary"):
        await reading.incr("n")
    assert await writing.get("there") == 1


async def test_foreign_data_under_our_names_are_misses(open_cache: Callable[..., ColourlessCache], valkey: Server, namespace: str) -> None:
    cache = open_cache(valkey.url)
    for foreign in (("SET", b""), ("SET", b"foreign"), ("SET", b"\xaf\xfe\x01"), ("RPUSH", b"a"), ("SADD", b"a")):
        command, content = foreign
        for kind in "vl":
            valkey.command("UNLINK", f"{namespace}:{kind}:{{k:k}}")
        valkey.command(command, f"{namespace}:v:{{k:k}}", content)

        assert await cache.get("k", "nothing") == "nothing"
        assert await cache.get_or_compute("k", cache.coloured(lambda: "computed")) == "computed"
        assert await cache.get("k") == "computed", f"{foreign} was not replaced"


async def test_foreign_data_under_the_name_of_a_lease_cost_a_compute(
    open_cache: Callable[..., ColourlessCache], valkey: Server, namespace: str
) -> None:
    cache = open_cache(valkey.url)
    valkey.command("RPUSH", f"{namespace}:l:{{k:k}}", "a")
    valkey.command("PEXPIRE", f"{namespace}:l:{{k:k}}", 60_000)

    assert await cache.get_or_compute("k", cache.coloured(lambda: "computed")) == "computed"
    await cache.set("k", "set")
    assert await cache.get("k") == "set"


async def test_foreign_data_under_the_name_of_a_stamp_is_told(
    open_cache: Callable[..., ColourlessCache], valkey: Server, namespace: str
) -> None:
    cache = open_cache(valkey.url)
    await cache.set("k", 1)
    stamp = cache.cache._engine.namespace.tag.key
    valkey.command("UNLINK", stamp)
    valkey.command("RPUSH", stamp, "a")

    assert await cache.get("k", "nothing") == "nothing"
    assert await cache.get_or_compute("k", cache.coloured(lambda: "computed")) == "computed"
    assert not (await cache.invalidate_all()).applied
    with pytest.raises(StoreRefused, match="choose another namespace"):
        await cache.incr("n")


# --- what is said --------------------------------------------------------------------------------------------------
async def test_no_secret_is_in_an_error_or_the_log(
    open_cache: Callable[..., ColourlessCache], start_server: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    server = start_server(requirepass="right-word")
    caplog.set_level(logging.DEBUG)
    for url in (server.tcp_url.replace("right", "wrong"), f"redis://some-user:some-word@127.0.0.1:{server.port}/0"):
        cache = open_cache(url)
        await everything_degrades(cache)
        with pytest.raises(StoreError) as caught:
            await cache.incr("n")
        said = f"{caught.getrepr(style='long')} {cache.subject!r} {cache.cache._engine.__dict__}"
        for secret in ("right-word", "wrong-word", "some-word", "some-user"):
            assert secret not in str(caught.value)
            assert secret not in repr(cache.subject)
            assert secret not in caplog.text
        assert "127.0.0.1" in said


async def test_a_failing_server_is_logged_once_and_counted_always(
    open_cache: Callable[..., ColourlessCache], caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    cache = open_cache(f"unix://{tmp_path}/none")

    for _ in range(50):
        await cache.get("k")

    assert len([record for record in caplog.records if record.name.startswith("afresh")]) == 1
    assert "went on without the server" in caplog.text


# --- cancellation, and nothing left over ---------------------------------------------------------------------------
async def test_a_cancelled_call_leaves_the_connection_whole(proxy: FaultProxy, namespace: str) -> None:
    cache = Cache(proxy.url, namespace=namespace, budget="10s")
    await cache.aio.set_many({str(at): at for at in range(50)})

    for round_ in range(20):
        asked = [asyncio.create_task(cache.aio.get(str(at))) for at in range(50)]
        for _ in range(round_ % 4):
            await asyncio.sleep(0)
        for task in asked[::2]:
            task.cancel()
        got = await asyncio.gather(*asked, return_exceptions=True)
        assert got[1::2] == list(range(1, 50, 2)), "each of the others has its own reply"
        assert all(isinstance(each, asyncio.CancelledError) or each == 2 * at for at, each in enumerate(got[::2]))

    assert proxy.connections == 1
    await cache.aio.aclose()


async def test_a_call_cancelled_while_it_connects_leaves_nothing(hung: Server, namespace: str) -> None:
    cache = Cache(hung.url, namespace=namespace, budget="10s")
    asking = asyncio.create_task(cache.aio.get("k"))
    await asyncio.sleep(0.05)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    os.kill(hung.pid, signal.SIGCONT)
    assert await cache.aio.get("k", "nothing") == "nothing"
    await cache.aio.aclose()


async def test_a_cancelled_leader_hands_over_and_leaves_no_lease(valkey: Server, namespace: str) -> None:
    cache = Cache(valkey.url, namespace=namespace, budget="10s")
    started = asyncio.Event()

    async def never() -> None:
        started.set()
        await asyncio.Event().wait()

    leading = asyncio.create_task(cache.aio.get_or_compute("k", never))
    await started.wait()
    following = asyncio.create_task(cache.aio.get_or_compute("k", lambda: "computed"))
    await asyncio.sleep(0.01)
    leading.cancel()

    assert await following == "computed"
    with pytest.raises(asyncio.CancelledError):
        await leading
    assert valkey.command("EXISTS", f"{namespace}:l:{{k:k}}") == 0
    assert await cache.aio.get("k") == "computed"
    await cache.aio.aclose()


def test_a_loop_that_ends_takes_its_connections_along(valkey: Server, namespace: str) -> None:
    cache = Cache(valkey.url, namespace=namespace, budget="10s")

    async def main() -> None:
        await cache.aio.set("k", 1)
        assert await cache.aio.get("k") == 1

    for _ in range(5):
        asyncio.run(main())

    def clients() -> int:
        return valkey.command("INFO", "clients")["connected_clients"]

    wait_until(lambda: clients() == 1, 10, "the server to have no client but the one that asks")


def test_threads_share_connections_and_a_closed_cache_has_none(valkey: Server, namespace: str) -> None:
    cache = Cache(valkey.url, namespace=namespace, budget="10s")
    threads = [threading.Thread(target=lambda at=at: [cache.set(f"{at}", n) for n in range(20)]) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache._engine.stores._sync._pool.idle) <= 8

    cache.close()

    assert cache._engine.stores._sync is None or cache._engine.stores._sync._pool.idle == []


async def test_a_batch_cancelled_as_it_ends_leaves_nobody_waiting(proxy: FaultProxy, namespace: str) -> None:
    """One id was left out, and its claim is being given up when the caller is cancelled: the others' values are still shared and stored."""
    cache = Cache(proxy.url, namespace=namespace, budget="10s")

    @cache.memoize_many()
    async def names(ids: list[int]) -> dict[int, str]:
        return {each: f"name {each}" for each in ids if each != 3}

    assert await names([0, 3]) == {0: "name 0"}  # the server knows the scripts now
    asking = asyncio.create_task(names([1, 2, 3]))
    giving_up = threading.Event()

    def note(data: bytes) -> bytes:
        if script("abandon").sha.encode() in data:
            giving_up.set()
            time.sleep(0.2)
        return data

    proxy.requests.script = note
    assert await asyncio.to_thread(giving_up.wait, 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert cache._engine._table._flights == {}
    assert await cache.aio.get(names.key(1)) == "name 1"
    await cache.aio.aclose()


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_batch_whose_mapping_fails_leaves_nobody_waiting(colour: str, valkey: Server, namespace: str) -> None:
    class Broken(dict[int, int]):
        def __getitem__(self, key: int) -> int:
            raise LookupError(key)

    async def main() -> None:
        cache = Cache(valkey.url, namespace=namespace, budget="10s")
        of_colour = ColourlessCache(cache, colour)
        numbers = cache.memoize_many(name="numbers")(of_colour.coloured(lambda ids: Broken(dict.fromkeys(ids, 1))))

        with pytest.raises(LookupError):
            await ColourlessCache._awaited(numbers)([1, 2])

        assert cache._engine._table._flights == {}
        assert valkey.command("KEYS", f"{namespace}:l:*") == []
        await cache.aio.aclose()

    asyncio.run(main())


def test_threads_beyond_the_connections_wait_in_turn(valkey: Server, namespace: str) -> None:
    with Cache(f"{valkey.tcp_url}?max_connections=3", namespace=namespace, budget="10s") as cache:
        cache.set("k", "value")
        got: list[object] = []
        threads = [threading.Thread(target=lambda: got.extend(cache.get("k") for _ in range(5))) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert got == ["value"] * 200
        assert len(cache._engine.stores._sync._pool._open) <= 3


def test_who_waits_for_a_connection_waits_for_no_longer_than_the_budget(hung: Server, namespace: str) -> None:
    with Cache(f"{hung.tcp_url}?max_connections=1", namespace=namespace, budget="200ms") as cache:
        took: list[float] = []

        def ask() -> None:
            started = time.monotonic()
            assert cache.get("k", "nothing") == "nothing"
            took.append(time.monotonic() - started)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert max(took) < 0.6, "the wait for the connection and its opening, each within the budget"
