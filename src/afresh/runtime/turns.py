"""The lines of those in this process who want one lock, threads and tasks alike.

The first in a line speaks for all of it (see core/locks.py); the others wait here, and ask the server nothing. Whoever leaves the line lets
the next one speak.

Races considered: somebody is woken before it waits (a turn remembers that), or twice (waking is idempotent); a waiter is torn from its
place by an interrupt (the line holds turns weakly, and one that goes wakes the next); a holder is, too, and another thread gets its number
(only who keeps the `Holding` holds the lock); a loop closes before its task is woken; a fork (the child begins with new lines).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from afresh.core.locks import Holding, Wanted
from afresh.errors import LockReentered
from afresh.runtime.callers import Caller, TaskGate, ThreadGate, this_task, this_thread

__all__ = ["AsyncTurns", "SyncTurns", "Turn", "TurnTable"]


class Turn:
    """A place in a line. See `afresh.core.locks.Turn`."""

    __slots__ = ("__weakref__", "_is_called", "_is_over", "_line", "_wake", "caller", "token", "waits")

    def __init__(self, line: Line, token: bytes, caller: Caller, *, waits: bool) -> None:
        self._line = line
        self.token = token
        self.caller = caller
        self.waits = waits
        self._is_called = False
        self._wake: Callable[[], object] | None = None
        self._is_over = False

    def __del__(self) -> None:
        """Let the next one speak where its owner was torn from it."""
        if not getattr(self, "_is_over", True):
            self.leave()

    @property
    def speaks(self) -> bool:
        """Whether it is first."""
        return self._line.first() is self

    @property
    def is_held_here(self) -> bool:
        """Whether this process holds the lock."""
        return self._line.holding() is not None

    def behind(self) -> list[bytes]:
        """Return the tokens of the others, in order: those who wait, not those who try once."""
        return [turn.token for turn in self._line.waiting() if turn is not self and turn.waits]

    def leave(self) -> None:
        """See `afresh.core.locks.Turns.leave`."""
        self._is_over = True
        self._line.leave(self)

    def hold(self, holding: Holding) -> None:
        """See `afresh.core.locks.Turns.hold`."""
        self._is_over = True
        self._line.hold(self, holding)

    def call(self) -> None:
        """Wake it, or let it not wait."""
        self._is_called = True
        if (wake := self._wake) is not None:
            wake()

    async def wait(self, gate: ThreadGate | TaskGate, timeout_ms: float) -> None:
        """Wait at a gate for being called, unless that has happened since the last time."""
        self._wake = gate.open
        try:
            if not self._is_called:
                await gate.wait(timeout_ms)
        finally:
            self._wake = None
            self._is_called = False


class Line:
    """Those who wait for one lock, and who holds it."""

    def __init__(self, table: TurnTable, key: str) -> None:
        self._table = table
        self._key = key
        self._waiting: list[weakref.ref[Turn]] = []
        self._holding: weakref.ref[Holding] | None = None
        self._holder: Caller | None = None

    def waiting(self) -> list[Turn]:
        return [turn for reference in list(self._waiting) if (turn := reference()) is not None]

    def first(self) -> Turn | None:
        with self._table.lock:
            return next((turn for reference in self._waiting if (turn := reference()) is not None), None)

    def holding(self) -> Holding | None:
        holding = self._holding() if self._holding is not None else None
        return None if holding is None or holding.is_lost else holding

    def take(self, wanted: Wanted, token: bytes, caller: Caller) -> Turn:
        if self.holding() is not None and self._holder is not None and caller.must_act_for(self._holder):
            raise LockReentered(wanted.name)
        turn = Turn(self, token, caller, waits=wanted.wait_ms > 0)
        with self._table.lock:
            self._waiting.append(weakref.ref(turn))
            speaker = self.first()
        if speaker is not None and speaker is not turn and turn.waits:
            speaker.call()  # the server shall know of the newcomer now: there may be others in other processes
        return turn

    def hold(self, turn: Turn, holding: Holding) -> None:
        with self._table.lock:
            self._holding, self._holder = weakref.ref(holding), turn.caller
        self._go(turn)

    def leave(self, turn: Turn) -> None:
        with self._table.lock:
            holding = self._holding() if self._holding is not None else None
            if holding is None or holding.turn is turn:
                self._holding = self._holder = None
        self._go(turn)

    def _go(self, turn: Turn) -> None:
        """Take a turn out of the line, and call who speaks now."""
        with self._table.lock:
            self._waiting = [reference for reference in self._waiting if reference() not in {None, turn}]
            speaker = self.first()
            if speaker is None and self._holding is None:
                self._table.drop(self._key, self)
        if speaker is not None:
            speaker.call()

    def lose(self) -> None:
        """Let the holder know that it holds nothing."""
        if (holding := self.holding()) is not None:
            holding.lose()


class TurnTable:
    """The lines of one engine, by lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # re-entrant: see FlightTable
        self._lines: dict[str, Line] = {}

    def forget(self) -> None:
        """Begin anew after a fork: who waits and who holds are the parent's."""
        self.lock = threading.RLock()
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.lose()

    def take(self, wanted: Wanted, token: bytes, caller: Caller) -> Turn:
        """See `afresh.core.locks.Turns.take`."""
        key = wanted.names.holder
        with self.lock:
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = Line(self, key)
            return line.take(wanted, token, caller)

    def drop(self, key: str, line: Line) -> None:
        """Take an empty line out. The lock is held."""
        if self._lines.get(key) is line:
            del self._lines[key]


class _Turns:
    """What both colours share.

    Args:
        table: the lines.
    """

    def __init__(self, table: TurnTable) -> None:
        self._table = table

    @staticmethod
    def hold(turn: Turn, holding: Holding, /) -> None:
        """See `afresh.core.locks.Turns`."""
        turn.hold(holding)

    @staticmethod
    def leave(turn: Turn, /) -> None:
        """See `afresh.core.locks.Turns`."""
        turn.leave()


class SyncTurns(_Turns):
    """The lines as threads see them."""

    def take(self, wanted: Wanted, token: bytes, /) -> Turn:
        """See `afresh.core.locks.Turns`."""
        return self._table.take(wanted, token, this_thread())

    @staticmethod
    async def wait(turn: Turn, timeout_ms: float, /) -> None:
        """Block this thread."""
        await turn.wait(ThreadGate(), timeout_ms)


class AsyncTurns(_Turns):
    """The lines as tasks see them."""

    def take(self, wanted: Wanted, token: bytes, /) -> Turn:
        """See `afresh.core.locks.Turns`."""
        return self._table.take(wanted, token, this_task())

    @staticmethod
    async def wait(turn: Turn, timeout_ms: float, /) -> None:
        """Suspend this task."""
        await turn.wait(TaskGate(), timeout_ms)
