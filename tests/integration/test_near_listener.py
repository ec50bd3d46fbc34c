"""The near tier's listener, on real servers: a generation is trusted as long as changes are known to arrive, and no longer."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf

import pytest

from afresh.core.keys import Namespace
from afresh.core.restarts import ServerRun
from afresh.near.clock import now_s
from afresh.near.listener import Listener
from afresh.near.options import Near
from afresh.near.tier import NearTier
from afresh.stores.address import parse_url
from afresh.stores.listening import listen
from afresh.telemetry.counters import Counters, Tallies
from afresh.testing import FaultProxy, wait_until
from tests.support.servers import Server

MAX_STALE_S = 0.2


class Listening:
    """A listener, the tier that it keeps coherent, and what it reported."""

    def __init__(self, url: str, namespace: str, *, max_stale_s: float) -> None:
        self.tier = NearTier(Near(max_stale=max_stale_s), Namespace(namespace))
        self.tallies = Tallies()
        connect = partial(listen, parse_url(url), Namespace(namespace), ServerRun(), timeout_s=1)
        self.listener = Listener(connect, self.tier, max_stale_s=max_stale_s, events=Counters(self.tallies))

    @property
    def is_trusted(self) -> bool:
        """Say whether the tier serves at this moment."""
        return now_s() < self.tier.generation.bound_s

    def trusted(self) -> Listening:
        """Wait until it is."""
        wait_until(lambda: self.is_trusted, 10, "the near tier to be trusted")
        return self

    def distrusted(self) -> None:
        """Wait until it is not."""
        wait_until(lambda: not self.is_trusted, 10, "the near tier to be trusted no more")


@contextmanager
def listening(url: str, namespace: str, *, max_stale_s: float = MAX_STALE_S) -> Iterator[Listening]:
    made = Listening(url, namespace, max_stale_s=max_stale_s)
    made.listener.start()
    try:
        yield made
    finally:
        made.listener.close()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "afresh-near"]


def connections(server: Server) -> list[dict[str, str]]:
    return [line for line in server.command("CLIENT LIST") if line["name"] == "afresh-near"]


def test_it_is_trusted_for_max_stale_at_a_time(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as near:
        generation = near.trusted().tier.generation
        bounds = {generation.bound_s}
        wait_until(lambda: bounds.add(generation.bound_s) or len(bounds) > 4, 10, "the bound to move")

        assert max(bounds) <= now_s() + MAX_STALE_S
        assert near.tier.generation is generation


def test_nothing_is_begun_before_it_is_started_and_nothing_is_left(valkey: Server, namespace: str) -> None:
    near = Listening(valkey.url, namespace, max_stale_s=MAX_STALE_S)
    assert threads() == []
    assert connections(valkey) == []

    near.listener.start()
    near.listener.start()
    near.trusted()
    assert len(threads()) == len(connections(valkey)) == 1

    near.listener.close()
    assert not near.is_trusted
    wait_until(lambda: not threads() and not connections(valkey), 5, "thread and connection to end")


def test_it_can_be_started_again(valkey: Server, namespace: str) -> None:
    with listening(valkey.url, namespace) as near:
        before = near.trusted().tier.generation
        near.listener.close()
        near.listener.start()

        assert near.trusted().tier.generation is not before
        assert before.bound_s == -inf
        wait_until(lambda: len(threads()) == 1, 5, "the first thread to end")


def test_a_stopped_server_is_not_trusted_and_is_again_once_it_goes_on(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    with listening(server.url, namespace) as near:
        generation = near.trusted().tier.generation
        os.kill(server.pid, signal.SIGSTOP)
        near.distrusted()
        os.kill(server.pid, signal.SIGCONT)

        near.trusted()
        assert near.tier.generation is generation, "a short stop costs no entries"


def test_a_script_that_blocks_the_server_proves_nothing(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server(busy_reply_threshold="50")
    with listening(server.url, namespace) as near:
        generation = near.trusted().tier.generation
        script = threading.Thread(target=server.command, args=("EVAL", BUSY_FOR_1_S, 0))
        script.start()
        near.distrusted()
        assert script.is_alive()

        script.join()
        near.trusted()
        assert near.tier.generation is generation, "the server has said what changed, after the script"


BUSY_FOR_1_S = """
local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local till = ms() + 1000
while ms() < till do end
"""


def test_swallowed_bytes_are_noticed_and_another_connection_made(valkey: Server, namespace: str) -> None:
    with FaultProxy(valkey.port) as proxy, listening(proxy.url, namespace) as near:
        before = near.trusted().tier.generation
        proxy.replies.drops = True
        near.distrusted()
        proxy.heal()

        near.trusted()
        assert near.tier.generation is not before


def test_a_killed_connection_is_made_again(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as near:
        before = near.trusted().tier.generation
        (line,) = connections(server)
        server.command("CLIENT KILL", "ID", line["id"])

        wait_until(lambda: before.bound_s == -inf, 5, "the generation to end")
        assert near.trusted().tier.generation is not before
        assert near.tallies.suppressed["listen"] == 1


def test_a_demoted_primary_is_not_trusted(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    with listening(server.url, namespace) as near:
        before = near.trusted().tier.generation
        server.command("REPLICAOF", "127.0.0.1", "1")
        wait_until(lambda: before.bound_s == -inf, 5, "the generation to end")
        wait_until(lambda: near.tallies.suppressed["listen"] > 3, 10, "it to be tried again")
        assert not near.is_trusted

        server.command("REPLICAOF", "NO", "ONE")
        near.trusted()


def test_a_server_that_is_away_is_not_asked_all_the_time(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    with listening(server.url, namespace) as near:
        near.trusted()
        server.stop()
        started_s = now_s()
        near.distrusted()
        wait_until(lambda: now_s() - started_s > 1, 5, "a second to pass")

        assert 2 <= near.tallies.suppressed["listen"] <= 8


def test_a_server_that_does_not_push_is_reported_once_and_trusted_for_max_stale(
    start_server: Callable[..., Server], namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_server()
    server.command("ACL", "SETUSER", "default", "-client|tracking")
    with listening(server.url, namespace) as near:
        near.trusted()
        wait_until(lambda: not threads(), 5, "the thread to end")
        near.listener.start()

        assert threads() == []
        assert near.tier.generation.max_age_s == MAX_STALE_S
        assert near.listener.refusal is not None
        assert near.tallies.suppressed["listen"] == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "keeps each entry for max_stale only: CLIENT was refused: NOPERM" in caplog.text


def test_what_changes_is_dropped(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as near:
        generation = near.trusted().tier.generation
        moment = generation.pushes.moment
        server.command("SET", f"{namespace}:t:{{0123456789abcdef}}", "8 bytes!")
        wait_until(lambda: generation.pushes.moment > moment, 5, "the push")
        moment = generation.pushes.moment
        server.flush()
        wait_until(lambda: generation.pushes.moment > moment, 5, "the push")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what is tested
def test_a_forked_child_begins_anew_and_leaves_the_parents_connection(valkey: Server, namespace: str) -> None:
    with listening(valkey.url, namespace) as near:
        generation = near.trusted().tier.generation
        pid = os.fork()
        if pid == 0:
            near.tier.forget()
            near.listener.forget()
            fresh = not near.is_trusted and threads() == [] and generation is not near.tier.generation
            near.listener.start()
            near.trusted()
            near.listener.close()
            os._exit(0 if fresh else 1)
        assert os.waitpid(pid, 0)[1] == 0

        bound_s = generation.bound_s
        wait_until(lambda: generation.bound_s > bound_s, 5, "the parent's connection to live on")
        assert near.tier.generation is generation
        assert len(connections(valkey)) == 1
