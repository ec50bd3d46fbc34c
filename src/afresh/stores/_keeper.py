"""The keeper: a small process that starts an embedded server and ends it when its last user is gone.

Run by :mod:`afresh.stores.embedded` as ``python -S -I _keeper.py SERVER private|shared`` with the server's directory as working
directory, ``server.log`` as output and, as standard input, a descriptor that holds the lock on ``server.log``: nobody else starts
a keeper while this one lives. It imports nothing of afresh, so that it starts in some 20 ms.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Final

SOCKET: Final = "server.sock"
LOG: Final = "server.log"  # what the server says, and locked by its keeper
_DUMP: Final = "server.rdb"  # never read: only an explicit SAVE writes it

_SETTINGS: Final = {
    "port": "0",  # no TCP
    "unixsocket": SOCKET,  # relative to the working directory: the path may be longer than a socket address
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "dbfilename": _DUMP,
    "loglevel": "warning",
}
_PR_SET_PDEATHSIG: Final = 1


def main(program: str, kind: str) -> None:
    """Start the server and outlive it, or its users, by as little as possible."""
    if os.fork():
        os._exit(0)  # reaped by the starter at once; the keeper itself is an orphan, which no user has to reap
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored by the starter, it would be ignored here
    os.umask(0o077)
    directory = os.getcwd()  # noqa: PTH109 - no pathlib: it would take longer to import than all the rest
    users = os.open(".", os.O_RDONLY)
    _remove(SOCKET, _DUMP)
    server = _start(program)
    threading.Thread(target=_end_with_last_user, args=(users, server), daemon=True).start()
    os.waitpid(server, 0)
    if _try_lock(users):  # ours already, where the last user's going was the cause
        _remove(SOCKET, _DUMP, LOG)  # nobody holds or awaits the lock on the log: that takes a user
        if kind == "private":
            with suppress(OSError):  # gone, or somebody keeps other files there
                os.rmdir(directory)  # noqa: PTH106 - as above
    os._exit(0)


def _start(program: str) -> int:
    keeper = os.getpid()
    server = os.fork()
    if server:
        return server
    try:
        if sys.platform == "linux":  # elsewhere a server outlives a keeper that was killed -9, until the next start ends it
            _die_with(keeper)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the lock is the keeper's alone
        settings = (word for name, value in _SETTINGS.items() for word in (f"--{name}", value))
        os.execv(program, [program, *settings])  # noqa: S606 - no shell is wanted
    except (OSError, ImportError) as error:
        os.write(2, f"{program}: {error}\n".encode(errors="surrogateescape"))
    finally:
        os._exit(127)


def _die_with(keeper: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it was killed before we asked
        os._exit(1)


def _end_with_last_user(users: int, server: int) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX)  # granted when the last user's descriptor is closed, by kill -9 too
    finally:
        os.kill(server, signal.SIGKILL)  # there is nothing to save


def _try_lock(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(*names: str) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108 - as above


if __name__ == "__main__":
    main(*sys.argv[1:])
