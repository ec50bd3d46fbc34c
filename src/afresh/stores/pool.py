"""Who has which connection: at most so many at once, the warmest first; threads beyond that wait in turn.

A thread that finds a connection idle takes it without a lock. Only who finds none counts those that are open, under the lock, and opens
another or queues. A connection that comes back goes to whoever has waited longest. Open ones are counted by weak references: one that an
interrupted thread dropped between two lines is not counted for ever.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

__all__ = ["Pool"]


class _Closable(Protocol):
    def close(self) -> None: ...


L = TypeVar("L", bound=_Closable)


class _Gate(Generic[L]):
    """Where a thread waits, and what it is given."""

    __slots__ = ("_lock", "line")

    def __init__(self) -> None:
        self.line: L | None = None
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout_s: float) -> None:
        self._lock.acquire(timeout=max(0.0, timeout_s))

    def open(self, line: L | None) -> None:
        self.line = line
        self._lock.release()


class Pool(Generic[L]):
    """Connections that threads take and give back.

    Args:
        most: how many there are at most.
        make: returns a connection that is not open yet.

    Attributes:
        idle: the idle connections. Who pops one has it alone, and gives it back, or drops it.
    """

    def __init__(self, most: int, make: Callable[[], L]) -> None:
        self._most = most
        self._make = make
        self.idle: list[L] = []
        self._open: WeakSet[L] = WeakSet()
        self._waiting: deque[_Gate[L]] = deque()
        self._is_closed = False
        self._lock = threading.RLock()  # re-entrant: a signal's handler may call in the middle of a call

    def take(self, timeout_s: float) -> L:
        """Return a connection that is idle, new, or given back by another thread in time.

        Raises:
            TimeoutError: if none was.
        """
        gate: _Gate[L] = _Gate()
        with self._lock:
            if (line := self._idle()) is not None:
                return line
            if len(self._open) < self._most:
                return self._made()
            self._waiting.append(gate)
            self._serve()  # who gave one back just now has not seen this thread wait
        try:
            gate.wait(timeout_s)
        finally:
            with self._lock:
                if gate in self._waiting:
                    self._waiting.remove(gate)
        if gate.line is None:
            raise TimeoutError
        return gate.line

    def give(self, line: L) -> None:
        """Take a connection back, to be used again."""
        if self._is_closed:
            line.close()
            return
        self.idle.append(line)
        if self._waiting or self._is_closed:
            with self._lock:
                self._serve()

    def drop(self, line: L) -> None:
        """Close a connection instead of giving it back; who waits may open another."""
        line.close()
        with self._lock:
            self._open.discard(line)
            self._serve()

    def drop_idle(self) -> None:
        """Close the idle connections."""
        with self._lock:
            while (line := self._idle()) is not None:
                self._open.discard(line)
                line.close()

    def close(self) -> None:
        """Close the idle connections now, and those in use when they come back."""
        self._is_closed = True
        self.drop_idle()

    def _idle(self) -> L | None:
        with suppress(IndexError):
            return self.idle.pop()
        return None

    def _made(self) -> L:
        line = self._make()
        self._open.add(line)
        return line

    def _serve(self) -> None:
        """Give to those who wait what there is. The lock is held."""
        if self._is_closed:
            self.drop_idle()
        while self._waiting:
            line = self._idle()
            if line is None:
                if len(self._open) >= self._most:
                    return
                line = self._made()
            self._waiting.popleft().open(line)
