"""A cache on ``embedded://``: whatever happens to its server, calls go on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import redis

from afresh import Cache
from afresh.testing import wait_until


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "server"


def kill_server(directory: Path) -> None:
    """End the server of a directory with kill -9, and see it gone."""
    socket = directory / "server.sock"
    with closing(redis.Redis(unix_socket_path=str(socket))) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 10, "the server to be gone")


def test_a_cache_goes_on_after_its_server_was_killed(directory: Path) -> None:
    with Cache(f"embedded://{directory}", namespace="t-embedded", budget="10s") as cache:
        cache.set("k", 1)
        kill_server(directory)
        assert cache.get("k") is None, "its data are gone with it"
        cache.set("k", 2)
        assert cache.get("k") == 2


def test_a_cache_for_coroutines_goes_on_too(directory: Path) -> None:
    async def main() -> None:
        async with Cache(f"embedded://{directory}", namespace="t-embedded", budget="10s").aio as cache:
            await cache.set("k", 1)
            await asyncio.to_thread(kill_server, directory)
            assert await cache.get("k") is None
            await cache.set("k", 2)
            assert await cache.get("k") == 2

    asyncio.run(main())


def test_processes_that_name_a_directory_share_what_is_cached(directory: Path) -> None:
    program = """
import sys
from afresh import Cache
with Cache(sys.argv[1], namespace="t-embedded", budget="10s") as cache:
    print(cache.get_or_compute("k", lambda: "computed in the child"))
"""
    with Cache(f"embedded://{directory}", namespace="t-embedded", budget="10s") as cache:
        cache.set("k", "set by the parent")
        done = subprocess.run([sys.executable, "-c", program, f"embedded://{directory}"], capture_output=True, text=True, check=True)
    assert done.stdout == "set by the parent\n"


def test_a_fork_shares_it_and_outlives_its_parents_close(directory: Path) -> None:
    cache = Cache(f"embedded://{directory}", namespace="t-embedded", budget="10s")
    cache.set("k", 1)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:  # the child
        os.read(reading, 1)  # until the parent has closed
        os._exit(0 if cache.get("k") == 1 else 1)
    cache.close()
    os.write(writing, b".")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(reading)
    os.close(writing)


def test_closing_twice_and_using_again_is_fine() -> None:
    cache = Cache("embedded://", namespace="t-embedded", budget="10s")
    cache.set("k", 1)
    cache.close()
    cache.close()
    cache.set("k", 2)
    assert cache.get("k") == 2
    cache.close()
