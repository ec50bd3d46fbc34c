"""What is true, and what a reader may not be told any more: counters that processes share in a file.

Each process counts its own writes to each key. `written` is the truth: a compute returns the writes of all processes. `dropped` are those
of them that an invalidation has been acknowledged for: whoever asks from then on must be told of at least these. A process writes to
counters of its own only, 8 bytes at a time, so one that is killed leaves nothing locked or half done.
"""

from __future__ import annotations

import mmap
import threading
from pathlib import Path

__all__ = ["History", "Told"]

Told = list[int]
"""How many writes of each process a value knows of."""

_COUNTER_BYTES = 8


class History:
    """The counters of one run.

    Args:
        file: shared by the processes; made if need be.
        processes: how many write.
        keys: how many keys there are.
        own: which process this is.
    """

    def __init__(self, file: Path, *, processes: int, keys: int, own: int = 0) -> None:
        size = 2 * processes * keys * _COUNTER_BYTES
        if not file.exists():
            file.write_bytes(bytes(size))
        with file.open("r+b") as opened:
            self._counters = memoryview(mmap.mmap(opened.fileno(), size)).cast("Q")
        self._lock = threading.Lock()
        self._processes, self._keys, self._own = processes, keys, own

    def _at(self, process: int, key: int, *, dropped: bool) -> int:
        return (2 * process + dropped) * self._keys + key

    def written(self, key: int) -> Told:
        """Return the writes to a key as of now."""
        return [self._counters[self._at(process, key, dropped=False)] for process in range(self._processes)]

    def floor(self, key: int) -> Told:
        """Return the writes that whoever begins to read now must be told of."""
        return [self._counters[self._at(process, key, dropped=True)] for process in range(self._processes)]

    def write(self, key: int) -> int:
        """Write to a key. Returns the write's number, for `drop`."""
        with self._lock:
            at = self._at(self._own, key, dropped=False)
            self._counters[at] += 1
            return self._counters[at]

    def drop(self, key: int, write: int) -> None:
        """Note that an invalidation that began after this write was acknowledged."""
        with self._lock:
            at = self._at(self._own, key, dropped=True)
            self._counters[at] = max(self._counters[at], write)
