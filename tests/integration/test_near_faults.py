"""The near tier's promise on real servers: a read that starts `max_stale` after an invalidation returned does not see what was invalidated.

Whatever is stopped, cut, killed or replaced meanwhile. Each test asserts with generous times and strict logic: reads that started too early
to tell are not judged, all others are.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf

import pytest

from afresh import Cache, Near
from afresh.near.clock import now_s
from afresh.testing import FaultProxy, wait_until
from tests.support.servers import Server

MAX_STALE_S = 0.2
NEAR = Near(max_stale=MAX_STALE_S)
KEY = "answer"


class Reader:
    """A cache with a near tier whose one value is computed from what the server has under `truth`."""

    def __init__(self, url: str, namespace: str, source: Server) -> None:
        self.cache = Cache(url, namespace=namespace, near=NEAR)
        self._source = source
        self._namespace = namespace

    def compute(self) -> int:
        return int(self._source.command("GET", f"{self._namespace}:h:{{truth}}"))

    def read(self) -> int:
        return self.cache.get_or_compute(KEY, self.compute, ttl="1h", tags=["tag"])

    @property
    def near_hits(self) -> int:
        stats = self.cache.stats().get("keys")
        return stats.near_hits if stats else 0

    def is_near(self) -> bool:
        """Say whether a read is answered inside the process."""
        before = self.near_hits
        self.read()
        return self.near_hits > before

    def warmed(self) -> Reader:
        """Read until the near tier serves, pushes of what filled it included."""
        wait_until(lambda: self.is_near() and self._has_heard() and self.is_near(), 10, "a hit in the near tier")
        return self

    def _has_heard(self) -> bool:
        """Wait for the second proof from now on: whatever was changed before has been heard of by then."""
        tier = self.cache._engine.near
        bounds = {tier.generation.bound_s}
        wait_until(lambda: bounds.add(tier.generation.bound_s) or len(bounds) > 2 or inf in bounds, 5, "two proofs")
        return True


def tell_truth(server: Server, namespace: str, value: int) -> None:
    server.command("SET", f"{namespace}:h:{{truth}}", value, "PX", "600000")


@contextmanager
def reading(url: str, namespace: str, source: Server) -> Iterator[Reader]:
    tell_truth(source, namespace, 1)
    reader = Reader(url, namespace, source)
    try:
        yield reader.warmed()
    finally:
        reader.cache.close()


def invalidated_at(server: Server, namespace: str, how: str = "key") -> float:
    """Change the truth, invalidate from elsewhere, and return when that returned."""
    tell_truth(server, namespace, 2)
    with Cache(server.url, namespace=namespace, budget="10s") as other:
        receipt = {"key": lambda: other.invalidate(KEY), "tag": lambda: other.invalidate_tags("tag"), "all": other.invalidate_all}[how]()
    assert receipt.applied
    return now_s()


def assert_current(reads: list[tuple[float, int]], since_s: float) -> None:
    """Judge reads, each with the time when it started."""
    judged = [value for started_s, value in reads if started_s > since_s + MAX_STALE_S]
    assert judged
    assert set(judged) == {2}


def reads_of(reader: Reader, until_s: float) -> list[tuple[float, int]]:
    reads = []
    while not reads or reads[-1][0] < until_s:
        reads.append((now_s(), reader.read()))
    return reads


@pytest.mark.parametrize("how", ["key", "tag", "all"])
def test_an_invalidation_elsewhere_is_seen_by_push(server: Server, namespace: str, how: str) -> None:
    with reading(server.url, namespace, server) as reader:
        at_s = invalidated_at(server, namespace, how)
        wait_until(lambda: reader.read() == 2, 5, "the new value")

        assert_current(reads_of(reader, at_s + 2 * MAX_STALE_S), at_s)
        assert reader.warmed().read() == 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what is tested
def test_a_stopped_process_serves_nothing_old_when_it_goes_on(valkey: Server, namespace: str) -> None:
    tell_truth(valkey, namespace, 1)
    with child_reading(valkey, namespace) as (pid, reads):
        os.kill(pid, signal.SIGSTOP)
        at_s = invalidated_at(valkey, namespace)
        wait_until(lambda: now_s() > at_s + 2 * MAX_STALE_S, 5, "its bound to lapse")
        os.kill(pid, signal.SIGCONT)
        told = reads()

    assert told[0][1] == 1
    assert_current(told, at_s)


@contextmanager
def child_reading(server: Server, namespace: str) -> Iterator[tuple[int, Callable[[], list[tuple[float, int]]]]]:
    """Fork a process that reads on and on; gives its pid, and what ends it and returns its reads."""
    (reading_end, writing_end), (ready, is_ready) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _read_until_stopped(server, namespace, is_ready, writing_end)
        finally:
            os._exit(1)
    os.close(writing_end)
    os.close(is_ready)
    with os.fdopen(ready, "rb") as told:
        assert told.read(1) == b"!", "the child's near tier serves"

    def ended() -> list[tuple[float, int]]:
        with os.fdopen(reading_end, "rb") as told:
            reads: list[tuple[float, int]] = pickle.loads(told.read())
        return reads

    try:
        yield pid, ended
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _read_until_stopped(server: Server, namespace: str, is_ready: int, writing_end: int) -> None:
    """Read on; once a pause in between says that we were stopped, a while longer; and tell it all."""
    reader = Reader(server.url, namespace, server).warmed()
    reads = [(now_s(), reader.read())]
    os.write(is_ready, b"!")
    while True:
        reads.append((now_s(), reader.read()))
        if reads[-1][0] - reads[-2][0] > MAX_STALE_S:
            break
    reads += reads_of(reader, now_s() + 2 * MAX_STALE_S)
    with os.fdopen(writing_end, "wb") as pipe:
        pickle.dump(reads, pipe)


def test_a_stopped_server_is_not_vouched_for(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    with reading(server.url, namespace, server) as reader:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            stopped_s = now_s()
            reader.compute = lambda: 2  # the source is another than the server
            assert_current(reads_of(reader, stopped_s + 3 * MAX_STALE_S), stopped_s)
        finally:
            os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize(("way", "fault"), [("requests", "holds"), ("replies", "holds"), ("replies", "drops")])
def test_a_half_open_connection_is_not_vouched_for(valkey: Server, namespace: str, way: str, fault: str) -> None:
    with FaultProxy(valkey.port) as proxy, reading(proxy.url, namespace, valkey) as reader:
        setattr(getattr(proxy, way), fault, True)
        at_s = invalidated_at(valkey, namespace)
        assert_current(reads_of(reader, at_s + 3 * MAX_STALE_S), at_s)

        proxy.heal()
        assert reader.warmed().read() == 2


def test_a_killed_connection_is_not_vouched_for(server: Server, namespace: str) -> None:
    with reading(server.url, namespace, server) as reader:
        server.command("CLIENT KILL", "TYPE", "pubsub")
        at_s = invalidated_at(server, namespace)
        assert_current(reads_of(reader, at_s + 2 * MAX_STALE_S), at_s)
        assert reader.warmed().read() == 2


def test_no_value_survives_connections_that_are_killed_again_and_again(valkey: Server, namespace: str) -> None:
    with reading(valkey.url, namespace, valkey) as reader:
        for value in range(2, 7):
            tell_truth(valkey, namespace, value)
            valkey.command("CLIENT KILL", "TYPE", "pubsub")
            with Cache(valkey.url, namespace=namespace, budget="10s") as other:
                assert other.invalidate(KEY).applied
            at_s = now_s()
            wait_until(lambda at_s=at_s: now_s() > at_s + MAX_STALE_S, 5, "max_stale")
            assert reader.read() == value


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what is tested
def test_a_forked_child_trusts_nothing_of_its_parents(valkey: Server, namespace: str) -> None:
    with reading(valkey.url, namespace, valkey) as reader:
        pid = os.fork()
        if pid == 0:
            hits = reader.near_hits
            tell_truth(valkey, namespace, 2)
            is_cold = reader.read() == 1 and reader.near_hits == hits
            reader.cache.invalidate(KEY)
            is_seen = reader.read() == 2
            is_warm = reader.warmed().read() == 2
            reader.cache.close()
            os._exit(0 if is_cold and is_seen and is_warm else 1)
        assert os.waitpid(pid, 0)[1] == 0
        wait_until(lambda: reader.read() == 2, 5, "the parent to see what the child invalidated")


def test_a_demoted_primary_is_not_vouched_for(start_server: Callable[..., Server], namespace: str) -> None:
    """A replica is promoted; the clients of the former primary, which is cut off from it, must not go on with what they know."""
    former, new = start_server(repl_diskless_sync_delay="0"), start_server()
    new.command("REPLICAOF", "127.0.0.1", former.port)
    with FaultProxy(former.port) as proxy, reading(proxy.url, namespace, former) as reader:
        wait_until(lambda: new.command("INFO", "replication")["master_link_status"] == "up", 10, "the replica")
        new.command("REPLICAOF", "NO", "ONE")
        former.command("REPLICAOF", "127.0.0.1", "1")
        reader.compute = lambda: 2
        proxy.server = new.port
        at_s = invalidated_at(new, namespace)
        wait_until(lambda: not reader.is_near(), 5, "the near tier to be trusted no more")

        wait_until(lambda: now_s() > at_s + MAX_STALE_S, 5, "max_stale")
        assert not reader.is_near()


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_clock_that_jumps_prolongs_nothing(valkey: Server, namespace: str, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """No decision is by this machine's time of day: lifetimes are by the server's, bounds by a clock that nobody sets."""
    with reading(valkey.url, namespace, valkey) as reader:
        now, now_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: now() + 3600 * hours)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + 3600 * 10**9 * hours)
        assert reader.warmed().is_near(), "nor is anything lost by it"

        at_s = invalidated_at(valkey, namespace)

        assert_current(reads_of(reader, at_s + 2 * MAX_STALE_S), at_s)


def test_what_a_script_holds_up_is_not_vouched_for(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server(busy_reply_threshold="50")
    with reading(server.url, namespace, server) as reader:
        reader.compute = lambda: 2
        script = threading.Thread(target=server.command, args=("EVAL", BUSY_FOR_1500_MS, 0))
        script.start()
        started_s = now_s()
        assert_current(reads_of(reader, started_s + 1.0), started_s + 0.1)
        script.join()


BUSY_FOR_1500_MS = """
local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local till = ms() + 1500
while ms() < till do end
"""


def test_a_flushed_server_is_noticed(valkey: Server, namespace: str) -> None:
    with reading(valkey.url, namespace, valkey) as reader:
        valkey.flush()
        tell_truth(valkey, namespace, 2)
        at_s = now_s()
        wait_until(lambda: reader.read() == 2, 5, "the flush to be noticed")
        assert_current(reads_of(reader, at_s + 2 * MAX_STALE_S), at_s)


def test_a_snapshot_revives_nothing(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    with reading(server.url, namespace, server) as reader:
        server.command("SAVE")
        at_s = invalidated_at(server, namespace)
        server.crash()
        server.restart()
        tell_truth(server, namespace, 2)

        wait_until(lambda: now_s() > at_s + MAX_STALE_S, 5, "max_stale")
        assert_current(reads_of(reader, now_s() + MAX_STALE_S), at_s)
        assert reader.warmed().read() == 2


def test_without_a_near_tier_there_is_no_thread_and_no_connection(server: Server, namespace: str) -> None:
    with Cache(server.url, namespace=namespace, budget="10s") as cache:
        cache.get_or_compute("k", lambda: 1, tags=["t"])

        assert not [thread for thread in threading.enumerate() if thread.name == "afresh-near"]
        assert not [line for line in server.command("CLIENT LIST") if line["name"] == "afresh-near"]


def test_a_near_tier_listens_from_the_first_use_on(valkey: Server, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace, budget="10s", near=NEAR) as cache:
        assert not [thread for thread in threading.enumerate() if thread.name == "afresh-near"]
        cache.get("k")
        wait_until(lambda: [line for line in valkey.command("CLIENT LIST") if line["name"] == "afresh-near"], 5, "the listener")


def test_a_server_that_does_not_push_is_not_believed_for_longer_than_max_stale(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    server.command("ACL", "SETUSER", "default", "-client|tracking")
    with reading(server.url, namespace, server) as reader:
        at_s = invalidated_at(server, namespace)
        assert_current(reads_of(reader, at_s + 3 * MAX_STALE_S), at_s)
        assert reader.warmed().read() == 2


def test_it_is_heard_over_tls_too(redis7_over_tls: tuple[str, Server], namespace: str) -> None:
    url, server = redis7_over_tls
    with reading(url, namespace, server) as reader:
        at_s = invalidated_at(server, namespace)
        wait_until(lambda: reader.read() == 2, 5, "the new value")
        assert_current(reads_of(reader, at_s + 2 * MAX_STALE_S), at_s)
        assert reader.warmed().read() == 2
