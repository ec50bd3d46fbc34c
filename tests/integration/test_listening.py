"""The connection on which a server pushes what changes, on real servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from afresh.core.keys import Namespace, watched
from afresh.core.listening import Beat, Pushed
from afresh.core.restarts import ServerRun
from afresh.errors import StoreRefused, StoreUnavailable, TrackingRefused
from afresh.stores.address import parse_url
from afresh.stores.listening import ListeningLine, listen
from afresh.testing import wait_until
from tests.support.servers import Server


@contextmanager
def listening(url: str, namespace: str, run: ServerRun | None = None) -> Iterator[ListeningLine]:
    line = listen(parse_url(url), Namespace(namespace), run or ServerRun(), timeout_s=2)
    try:
        yield line
    finally:
        line.close()


def hear(line: ListeningLine, count: int) -> list[Pushed | Beat]:
    """Return the next so many messages."""
    heard: list[Pushed | Beat] = []
    wait_until(lambda: heard.extend(line.hear(0.05)) or len(heard) >= count, 5, f"{count} messages, {heard} so far")
    return heard


def client(server: Server) -> dict[str, str]:
    """Return the server's description of the listening connection."""
    (line,) = [line for line in server.command("CLIENT LIST") if line["name"] == "afresh-near"]
    return line


def test_changes_of_stamps_and_of_applications_keys_are_pushed_and_no_others(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as line:
        for name in ("v:{f:module.function}", "l:{k:key}", "z:{x}", "t:{0123456789abcdef}", "v:{k:key}"):
            server.command("SET", f"{namespace}:{name}", "x", "PX", "10000")
        server.command("SET", f"{namespace}x:t:{{other}}", "x", "PX", "1")
        heard = hear(line, 2)

    assert heard == [Pushed([f"{namespace}:t:{{0123456789abcdef}}"]), Pushed([f"{namespace}:v:{{k:key}}"])]


def test_a_flushed_server_says_that_anything_may_have_changed(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as line:
        server.flush()

        assert hear(line, 1) == [Pushed(None)]


def test_a_beat_is_answered_after_what_changed_before_it_and_leaves_nothing(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as line:
        server.command("SET", f"{namespace}:t:{{0123456789abcdef}}", "x", "PX", "10000")
        line.beat()

        assert hear(line, 2) == [Pushed([f"{namespace}:t:{{0123456789abcdef}}"]), Beat(None)]
        assert server.command("EXISTS", watched(Namespace(namespace)).beat) == 0


def test_a_full_server_answers_beats(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server(maxmemory="1mb", maxmemory_policy="noeviction")
    with listening(server.url, namespace) as line:
        line.beat()

        assert hear(line, 1) == [Beat(None)]


def test_a_demoted_primary_refuses_beats(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    with listening(server.url, namespace) as line:
        server.command("REPLICAOF", "127.0.0.1", "1")
        line.beat()
        (heard,) = hear(line, 1)

    assert isinstance(heard, Beat)
    assert heard.refusal is not None
    assert heard.refusal.code == "READONLY"


def test_the_server_bounds_what_waits_for_it(server: Server, namespace: str) -> None:
    with listening(server.url, namespace):
        described = client(server)

    assert "P" in described["flags"], "of the class pubsub, whose output buffers have a limit"


def test_listening_in_vain_takes_as_long_as_was_said(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as line:
        started = time.monotonic()
        assert line.hear(0.2) == []

    assert 0.15 < time.monotonic() - started < 5


def test_a_killed_connection_is_lost(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as line:
        server.command("CLIENT KILL", "ID", client(server)["id"])

        with pytest.raises(StoreUnavailable, match="was not reached"):
            wait_until(lambda: line.hear(0.05), 5, "it to be lost")


def test_waking_it_ends_it(server: Server, namespace: str) -> None:
    with listening(server.url, namespace) as line:
        line.wake()

        with pytest.raises(StoreUnavailable):
            line.hear(5)
        with pytest.raises(StoreUnavailable):
            line.beat()
    line.wake()


@pytest.mark.parametrize("rule", ["-client|tracking", "resetchannels"])
def test_a_user_who_may_not_listen_is_told_which_command_it_is(start_server: Callable[..., Server], namespace: str, rule: str) -> None:
    server = start_server()
    server.command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", rule)

    url = server.url.replace("unix://", "unix://app:secret@")
    with pytest.raises(TrackingRefused, match=r"max_stale only: (CLIENT|SUBSCRIBE) was refused: NOPERM") as caught:
        listen(parse_url(url), Namespace(namespace), ServerRun(), timeout_s=2)
    assert "secret" not in str(caught.value)


def test_the_documented_permissions_suffice(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server()
    rules = [f"~{namespace}:*", f"&{namespace}:*", "-@all", "+hello", "+client|tracking", "+subscribe", "+unlink"]
    server.command("ACL", "SETUSER", "app", "on", ">secret", *rules)

    with listening(server.url.replace("unix://", "unix://app:secret@"), namespace) as line:
        line.beat()
        assert hear(line, 1) == [Beat(None)]


def test_a_server_that_is_not_ready_is_no_reason_to_give_up(start_server: Callable[..., Server], namespace: str) -> None:
    server = start_server(maxclients="1")
    with listening(server.url, namespace), pytest.raises((StoreRefused, StoreUnavailable)) as caught:
        listen(parse_url(server.url), Namespace(namespace), ServerRun(), timeout_s=2)

    assert not isinstance(caught.value, TrackingRefused)


def test_another_server_than_was_known_has_its_namespace_bumped_first(server: Server, namespace: str) -> None:
    key = Namespace(namespace).tag.key
    server.command("SET", key, "8 bytes!")
    run = ServerRun()
    with listening(server.url, namespace, run):
        assert server.command("GET", key) == b"8 bytes!", "it is the first one that is met"
    with listening(server.url, namespace, run):
        assert server.command("GET", key) == b"8 bytes!", "it is the same"
    run.settle("0" * 40)
    with listening(server.url, namespace, run):
        assert server.command("GET", key) != b"8 bytes!"
    with listening(server.url, namespace, run):
        bumped = server.command("GET", key)

    assert len(bumped) == 8
