"""What a test may not leave behind: threads, sockets, child processes, and keys that are not its own or live for ever."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from afresh.testing import wait_until
from tests.support import servers

GRACE_S = 1.0  # what was told to end may take this long


@dataclass(frozen=True)
class Snapshot:
    """What this process has open."""

    threads: frozenset[threading.Thread]
    sockets: frozenset[int]
    children: frozenset[int]

    @classmethod
    def take(cls) -> Snapshot:
        """Look at this process."""
        return cls(frozenset(threading.enumerate()) - _kept_threads(), _sockets(), _children())

    def left_over(self, grace_s: float) -> list[str]:
        """Return what is open now and was not at the snapshot, a line each, once it had its grace to go away."""

        def nothing_left() -> bool:
            return not self._new()

        try:
            wait_until(nothing_left, grace_s, "what the test opened to be closed")
        except TimeoutError:
            return self._new()
        return []

    def _new(self) -> list[str]:
        now = Snapshot.take()
        return [
            *(f"thread {thread.name!r} is running" for thread in now.threads - self.threads),
            *(f"a socket is open (inode {inode})" for inode in now.sockets - self.sockets),
            *(f"child process {pid} was not ended and awaited ({_command(pid)})" for pid in now.children - self.children),
        ]


@dataclass(frozen=True)
class KeyRule:
    """Keys that may be on a server after a test."""

    pattern: re.Pattern[bytes]
    permanent: bool = False

    @classmethod
    def from_marker(cls, marker: pytest.Mark) -> KeyRule:
        """Read ``@pytest.mark.keys(pattern, permanent=…)``."""
        return _rule_from_marker(*marker.args, **marker.kwargs)

    def allows(self, key: servers.StoredKey) -> bool:
        """Say whether the key is one of these, and ends some day unless it need not."""
        return self.pattern.fullmatch(key.name) is not None and (self.permanent or key.has_ttl)


# Test namespaces begin with t-. The stamps of functions and namespaces, and compression dictionaries, have no ttl on purpose.
OWN_KEYS = (
    KeyRule(re.compile(rb"t-.*?:[vltohzxqw]:\{.*\}", re.DOTALL)),
    KeyRule(re.compile(rb"t-.*?:t:\{[0-9a-f]{16}\}", re.DOTALL), permanent=True),
    KeyRule(re.compile(rb"t-.*?:d:\{f.*\}", re.DOTALL), permanent=True),
)


def foreign_keys(keys: Iterable[servers.StoredKey], rules: Iterable[KeyRule]) -> list[str]:
    """Return the keys that no rule allows, a line each."""
    rules = list(rules)
    return [
        f"key {key.name!r} {'is outside the namespaces of tests' if key.has_ttl else 'is outside them or has no ttl'}"
        for key in keys
        if not any(rule.allows(key) for rule in rules)
    ]


def _rule_from_marker(pattern: str, *, permanent: bool = False) -> KeyRule:
    return KeyRule(re.compile(pattern.encode(), re.DOTALL), permanent)


def _kept_threads() -> frozenset[threading.Thread]:
    """Return the one thread that asgiref starts at its first use and keeps for the life of the process."""
    asgiref_sync = sys.modules.get("asgiref.sync")
    return frozenset(asgiref_sync.SyncToAsync.single_thread_executor._threads) if asgiref_sync else frozenset()


def _sockets() -> frozenset[int]:
    found = set()
    for descriptor in Path("/dev/fd").iterdir():
        try:
            status = os.fstat(int(descriptor.name))
        except OSError:  # the descriptor that listed the directory
            continue
        if stat.S_ISSOCK(status.st_mode):
            found.add(status.st_ino)
    return frozenset(found)


def _children() -> frozenset[int]:
    """Return the pids of our child processes, zombies too; none where the system has no /proc."""
    pids = set()
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            pids |= {int(pid) for pid in task.read_text().split()}
    kept = getattr(resource_tracker, "_resource_tracker")._pid  # noqa: B009 - the stubs do not know it
    return frozenset(pids - servers.running - {kept})


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() or "a zombie"
    except OSError:
        return "gone since"
