"""A server to be tortured: private, in a directory of its own, killed and started again at will."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hiredis import Reader, ReplyError, pack_command

from afresh.testing.waiting import wait_until

__all__ = ["Server", "die_with_us"]

_TIMEOUT_S: Final = 10.0
# Little memory, so that keys are evicted: values, leases and stamps alike, those in use, too.
_SETTINGS: Final = {
    "bind": "127.0.0.1",
    "save": "",
    "appendonly": "no",
    "maxmemory": "6mb",
    "maxmemory-policy": "allkeys-random",
    "repl-diskless-sync-delay": "0",
    "repl-backlog-size": "64kb",  # Valkey's default of 10 MB would leave a server that had a replica no room for keys
}


class Server:
    """A Valkey or Redis server on a unix socket, and on a loopback port for its replicas.

    Args:
        program: the executable.
        directory: for its files.
        name: of its socket.
    """

    def __init__(self, program: Path, directory: Path, name: str = "s") -> None:
        self._program, self._directory = program, directory
        self.path = str(directory / name)
        self._port = 0
        self._process = self._start()

    def command(self, *words: str) -> Any:
        """Send one command on a connection of its own and return the reply.

        Raises:
            ReplyError: if the server answers with an error.
            OSError: if it does not answer within 10 s.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(self.path)
            connection.sendall(pack_command(words))  # type: ignore[arg-type]  # hiredis annotates a tuple of one
            reader = Reader()
            while (reply := reader.gets()) is False:
                data = connection.recv(65536)
                if not data:
                    raise ConnectionError("the server closed the connection")
                reader.feed(data)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def told(self, section: str, field: str) -> str:
        """Return a field of INFO; "" if there is none."""
        lines: bytes = self.command("INFO", section)
        found = [line for line in lines.decode().splitlines() if line.startswith(f"{field}:")]
        return found[0].partition(":")[2] if found else ""

    def stop(self) -> None:
        """SIGSTOP: its sockets stay open, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def restart(self, *, with_snapshot: bool) -> None:
        """Kill it and start it again, with what SAVE wrote last, or empty."""
        self.kill()
        if not with_snapshot:
            (self._directory / "dump.rdb").unlink(missing_ok=True)
        self._process = self._start()

    def fail_over(self, *, after_s: float) -> None:
        """Kill it when a replica has followed it for so long, and put that in its place: what was not replicated yet is lost."""
        replica = Server(self._program, self._directory, "replica")
        try:
            replica.command("REPLICAOF", "127.0.0.1", str(self._port))
            wait_until(lambda: replica.told("replication", "master_link_status") == "up", _TIMEOUT_S, "the replica to have it all")
            time.sleep(after_s)
            self.kill()
            replica.command("REPLICAOF", "NO", "ONE")
        except BaseException:
            replica.kill()
            raise
        Path(replica.path).replace(self.path)
        self._process, self._port = replica._process, replica._port

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        Path(self.path).unlink(missing_ok=True)
        self._port = _free_port()
        files = {"unixsocket": self.path, "dir": str(self._directory), "logfile": str(self._directory / "log")}
        settings = _SETTINGS | files | {"port": str(self._port)}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        process = subprocess.Popen([*die_with_us(), str(self._program), *words])
        try:
            wait_until(lambda: self._answers(process), _TIMEOUT_S, f"{self._program} to answer; see {self._directory / 'log'}")
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{self._program} ended with {process.returncode}: see {self._directory / 'log'}")
        with suppress(OSError, ReplyError):
            return bool(self.command("PING") == b"PONG")
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def die_with_us() -> list[str]:
    """Return a command's prefix that ends it when this process dies, however that dies; nothing where the system has none."""
    setpriv = shutil.which("setpriv") if os.name == "posix" else None
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []
