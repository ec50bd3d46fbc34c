"""Single-flight within the process: one computation per key, over threads and event loops alike.

A flight begins when its leader finds nothing to serve. Others take a seat. Those whose calls began before the leader's last `mark` are
*early*: the operation whose result is shared began after them, so its result is younger than their calls. Later ones share it only with
the proof that the commit brings (see core/flows.py, rule 4). Everybody else is told to look again, and the first of them leads the next
flight, for which all of them are early: however many wait, two computes are enough.

Looking is shared in the same way, once more than a few look for one key at once: somebody leads the *look*, the others take seats. They get
what is found, if the reading began after their calls; if nothing is, the look becomes the flight that computes, and they keep their seats.
So a thousand callers at one moment cost the server a handful of commands, and no connection each.

Nobody joins a flight that needs this very caller to proceed: one that it leads itself, directly or through the flights that those wait
for; nor, from a plain function, one that a task of this thread's event loop leads.

A leader may be interrupted between any two of its steps: by a signal's handler that raises, or an exception that another thread sends.
Only the leader holds the `Flight`; table, seats and other flights hold its `Cabin`. So what nobody leads any more ends by itself.

Races considered: a flight ends while somebody takes a seat (one lock covers both); two take seats in each other's flights before either
waits (who waits looks again, under the lock that says so to the other); a waiter gives up as it is woken (waking is
idempotent); a loop closes before its task is woken (nobody is there to wake); a coroutine is closed from elsewhere, where other context
variables hold (the seat knows who waits, and the context is gone with its task); a leader is interrupted and calls again while the
exception still holds its frames (it waits for nothing that it leads); a fork while others compute (the child starts empty).
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from itertools import count
from typing import Any, Literal, NamedTuple

from afresh.core.ports import Duty
from afresh.runtime.apart import is_apart
from afresh.runtime.callers import Caller, TaskGate, ThreadGate, this_task, this_thread
from afresh.runtime.looking import LOOKING_ALONE, Looking

__all__ = ["AsyncFlights", "Flight", "FlightTable", "Outcome", "Seat", "SyncFlights"]

# The flights that this thread or task leads, outermost first. Tasks that a compute starts inherit it.
_LEADING: ContextVar[tuple[Cabin, ...]] = ContextVar("afresh_leading", default=())


_NOBODY = Caller(0)


class Outcome(NamedTuple):
    """What a flight left for a seat. See `afresh.core.ports.Outcome`."""

    envelope: bytes | None
    alone: bool
    looked: bool = False


class Cabin:
    """What others hold of a flight.

    Attributes:
        leader: who leads it.
        seats: those who wait for its end; None once it has come.
        outer: the flight whose compute began this one.
        refreshes: there is something to serve while it computes.
        looks: nothing is computed in it, as yet.
        waits_for: those that its own compute waits for; several, if tasks of it wait.
        marked: see `Flight.mark`.
        duty: see `Flight.carry`.
    """

    __slots__ = ("duty", "leader", "looks", "marked", "outer", "refreshes", "seats", "waits_for")

    def __init__(self, leader: Caller, *, refreshes: bool = False, looks: bool = False) -> None:
        self.leader = leader
        self.marked = 0
        self.duty: weakref.ref[Duty] | None = None
        self.outer: Cabin | None = None
        self.refreshes = refreshes
        self.looks = looks
        self.seats: list[Seat] | None = []
        self.waits_for: list[Cabin] = []


class Seat:
    """A place in somebody else's flight, for a call that `arrived` then.

    Attributes:
        caller: who sits there.
        waits: the flight whose compute waits in it, if any does.
    """

    __slots__ = ("arrived", "cabin", "caller", "outcome", "waits", "wake")
    leads: Literal[False] = False

    def __init__(self, cabin: Cabin, arrived: int, caller: Caller) -> None:
        self.cabin = cabin
        self.arrived = arrived
        self.caller = caller
        self.waits: Cabin | None = None
        self.outcome: Outcome | None = None
        self.wake: Callable[[], object] | None = None


class Flight:
    """One computation, as its leader alone sees it. See `afresh.core.ports.Flight`."""

    __slots__ = ("_caller", "_key", "_leading", "_table", "cabin")
    leads: Literal[True] = True

    def __init__(self, table: FlightTable, key: str, cabin: Cabin, caller: Callable[[], Caller]) -> None:
        self._table = table
        self._key = key
        self.cabin = cabin
        self._caller = caller
        self._leading: Token[tuple[Cabin, ...]] | None = None

    def __del__(self) -> None:
        """End what its leader was torn from."""
        if hasattr(self, "_leading"):  # else it was torn from making it
            self.finish(None)

    def carry(self, duty: Duty, /) -> None:
        """Let go of it if the leader turns out to be gone."""
        self.cabin.duty = weakref.ref(duty)

    def hand_over(self) -> None:
        """Note that whoever calls `start_compute` leads it from now on."""
        self.cabin.leader = _NOBODY

    def start_compute(self) -> None:
        """Note that what this thread or task calls from now on is called by the leader's compute."""
        self.cabin.leader = self._caller()
        # What has ended is there no more, but where somebody was torn from a compute.
        self._leading = _LEADING.set((*(cabin for cabin in _LEADING.get() if cabin.seats is not None), self.cabin))

    def end_compute(self) -> None:
        """End what `start_compute` began, in the same thread or task, or wherever its coroutine is closed."""
        token, self._leading = self._leading, None
        if token is not None:
            with suppress(ValueError):  # another context: that of the compute is gone
                _LEADING.reset(token)

    def mark(self) -> None:
        """Make the calls that arrived so far early ones, whether or not they have taken their seats."""
        self.cabin.marked = self._table.arrive()

    def close(self) -> None:
        """Let nobody join any more."""
        with self._table.lock:
            self._table.drop(self._key, self.cabin)

    def finish(self, envelope: bytes | None, *, proven: bool = False, alone: bool = False) -> None:
        """Leave an outcome for every seat and wake it. Later calls change nothing."""
        self._table.end(self._key, self.cabin, envelope, proven=proven, alone=alone)


class FlightTable:
    """The flights of one engine, by key.

    Args:
        alone: how many look for one key at once before others wait for one of them.
    """

    def __init__(self, alone: int = LOOKING_ALONE) -> None:
        # Re-entrant: a signal's handler, or an object's finalizer, may call in the middle of a call.
        self.lock = threading.RLock()
        self._flights: dict[str, Cabin] = {}
        self._looks: dict[str, Cabin] = {}
        self.alone = Looking(alone, self._flights, self._looks)
        # Returns this moment's number. Later ones are higher.
        self.arrive: Callable[[], int] = count(1).__next__

    def forget(self) -> None:
        """Begin anew after a fork: the leaders are threads of the parent."""
        self.lock = threading.RLock()
        self._flights.clear()
        self._looks.clear()
        self.alone.forget()

    def drop(self, key: str, cabin: Cabin) -> None:
        """Take a flight out, if it is still in. The lock is held."""
        if self._flights.get(key) is cabin:
            del self._flights[key]
        if self._looks.get(key) is cabin:
            del self._looks[key]

    def end(self, key: str, cabin: Cabin, envelope: bytes | None = None, *, proven: bool = False, alone: bool = False) -> None:
        """See `Flight.finish`."""
        with self.lock:
            self.drop(key, cabin)
            seats = cabin.seats
            if seats is None:
                return
            if cabin.outer is not None:
                with suppress(ValueError):  # an earlier try was interrupted
                    cabin.outer.waits_for.remove(cabin)
            for seat in seats:
                if seat.outcome is None:
                    seat.outcome = Outcome(envelope if seat.arrived < cabin.marked or proven else None, alone, cabin.looks)
        for seat in seats:
            if (wake := seat.wake) is not None:
                wake()
        cabin.seats = None

    def _find(self, key: str, where: dict[str, Cabin]) -> Cabin | None:
        """Return what others fly there, if somebody leads it still. The lock is held."""
        cabin = where.get(key)
        if cabin is not None and cabin.leader.is_gone:
            self.end(key, cabin)
            if cabin.duty is not None and (duty := cabin.duty()) is not None:
                duty.let_go()
            return None
        return cabin

    def look(self, key: str, arrived: int, caller: Callable[[], Caller]) -> Flight | Seat | None:
        """See `afresh.core.ports.Flights`."""
        if self.alone.start(key) or is_apart():
            return None
        me = caller()
        with self.lock:
            cabin = self._find(key, self._flights)
            if cabin is None or cabin.refreshes:
                cabin = self._find(key, self._looks)
            if cabin is not None:
                return _seat_in(cabin, arrived, me)
            self.alone.stop_all(key)
            return self._lead(self._looks, key, Cabin(me, looks=True), caller)

    def enter(
        self, key: str, arrived: int, caller: Callable[[], Caller], *, refreshes: bool = False, look: Flight | None = None
    ) -> Flight | Seat | None:
        """See `afresh.core.ports.Flights`."""
        if is_apart():
            return None
        me = caller()
        with self.lock:
            cabin = self._find(key, self._flights)
            if cabin is not None:
                cabin.refreshes &= refreshes  # where one finds nothing to serve, others need not look
                return _seat_in(cabin, arrived, me)
            if look is not None and not refreshes:
                self.drop(key, look.cabin)
                self._flights[key] = look.cabin
                look.cabin.looks = False
                return look
            if look is None and (cabin := self._find(key, self._looks)) is not None:
                return _seat_in(cabin, arrived, me)
            return self._lead(self._flights, key, Cabin(me, refreshes=refreshes), caller)

    def _lead(self, where: dict[str, Cabin], key: str, cabin: Cabin, caller: Callable[[], Caller]) -> Flight:
        """Return a new flight. The lock is held."""
        flight = Flight(self, key, cabin, caller)
        leading = _LEADING.get()
        if leading:
            cabin.outer = leading[-1]
            cabin.outer.waits_for.append(cabin)
        where[key] = cabin
        return flight

    def start_waiting(self, seat: Seat, wake: Callable[[], object]) -> Outcome | None:
        """Ask to be woken, unless the outcome is there."""
        leading = _LEADING.get()
        with self.lock:
            if seat.outcome is None:
                if _needs(seat.caller, seat.cabin):
                    return Outcome(None, alone=True)
                seat.wake = wake
                if leading:
                    seat.waits = leading[-1]
                    seat.waits.waits_for.append(seat.cabin)
            return seat.outcome

    def stop_waiting(self, seat: Seat) -> Outcome | None:
        """Return the outcome, if there is one by now."""
        if seat.outcome is not None and seat.waits is None:
            return seat.outcome  # without the lock, which all those want that are woken together
        with self.lock:
            seat.wake = None
            if seat.waits is not None:
                seat.waits.waits_for.remove(seat.cabin)
                seat.waits = None
            return seat.outcome


def _seat_in(cabin: Cabin, arrived: int, caller: Caller) -> Seat | None:
    if cabin.seats is None or _needs(caller, cabin):
        return None
    seat = Seat(cabin, arrived, caller)
    cabin.seats.append(seat)
    return seat


def _needs(caller: Caller, cabin: Cabin) -> bool:
    """Say whether the flight can only proceed if this caller does."""
    leading = _LEADING.get()
    ahead = [cabin]
    for each in ahead:
        if each in leading or caller.must_act_for(each.leader):
            return True
        ahead += [other for other in each.waits_for if other not in ahead]
    return False


class _Flights:
    """The table as callers of one colour see it."""

    def __init__(self, table: FlightTable, caller: Callable[[], Caller]) -> None:
        self._table = table
        self._caller = caller

    def arrive(self) -> int:
        """See `afresh.core.ports.Flights`."""
        return self._table.arrive()

    def look(self, key: str, arrived: int, /) -> Flight | Seat | None:
        """See `afresh.core.ports.Flights`."""
        return self._table.look(key, arrived, self._caller)

    def looked(self, key: str, /) -> None:
        """See `afresh.core.ports.Flights`."""
        self._table.alone.stop(key)

    def enter(self, key: str, arrived: int, /, *, refreshes: bool = False, look: Any = None) -> Flight | Seat | None:
        """See `afresh.core.ports.Flights`."""
        return self._table.enter(key, arrived, self._caller, refreshes=refreshes, look=look)

    async def _wait(self, seat: Seat, gate: ThreadGate | TaskGate, timeout_ms: float) -> Outcome | None:
        outcome = self._table.start_waiting(seat, gate.open)
        if outcome is not None:
            return outcome
        try:
            await gate.wait(timeout_ms)
        finally:
            outcome = self._table.stop_waiting(seat)
        return outcome


class SyncFlights(_Flights):
    """The table as threads see it.

    Args:
        table: the table.
        caller: says who calls.
    """

    def __init__(self, table: FlightTable, caller: Callable[[], Caller] = this_thread) -> None:
        super().__init__(table, caller)

    @staticmethod
    async def assemble() -> None:
        """Let other threads have the interpreter that wait for it."""
        time.sleep(0)  # noqa: ASYNC251  it is for threads: see run_now

    async def wait(self, seat: Any, timeout_ms: float, /) -> Outcome | None:
        """Block this thread until the flight's end."""
        return await self._wait(seat, ThreadGate(), timeout_ms)


class AsyncFlights(_Flights):
    """The table as tasks see it."""

    def __init__(self, table: FlightTable) -> None:
        super().__init__(table, this_task)

    @staticmethod
    async def assemble() -> None:
        """Let the other tasks run that are ready."""
        import asyncio  # whoever has a task has loaded it

        await asyncio.sleep(0)

    async def wait(self, seat: Any, timeout_ms: float, /) -> Outcome | None:
        """Suspend this task until the flight's end."""
        return await self._wait(seat, TaskGate(), timeout_ms)
