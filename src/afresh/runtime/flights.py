"""Single-flight within the process: one computation per key, over threads and event loops alike.

A flight begins when its leader finds nothing to serve. Others take a seat. Those whose calls began before the leader's last `mark` are
*early*: the operation whose result is shared began after them, so its result is younger than their calls. Later ones share it only with
the proof that the commit brings (see core/flows.py, rule 4). Everybody else is told to look again, and the first of them leads the next
flight, for which all of them are early: however many wait, two computes are enough.

Nobody joins a flight that needs this very caller to proceed: one that it leads itself, directly or through the flights that those wait
for; nor, from a plain function on an event loop's thread, one that a task of that loop leads.

Races considered: a flight ends while somebody takes a seat (one lock covers both); two take seats in each other's flights before either
waits (who waits looks again, under the lock that says so to the other); a waiter gives up as it is woken (waking is
idempotent); a loop closes before its task is woken (nobody is there to wake); a coroutine is closed from elsewhere, where other context
variables hold (the seat knows who waits, and the context is gone with its task); a fork while others compute (the child starts empty).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import asyncio

__all__ = ["AsyncFlights", "Flight", "FlightTable", "Outcome", "Seat", "SyncFlights"]

# The flights that this thread or task leads, outermost first. Tasks that a compute starts inherit it.
_LEADING: ContextVar[tuple[Flight, ...]] = ContextVar("afresh_leading", default=())


class Outcome(NamedTuple):
    """What a flight left for a seat. See `afresh.core.ports.Outcome`."""

    envelope: bytes | None
    alone: bool


class Seat:
    """A place in somebody else's flight, for a call that `arrived` then.

    Attributes:
        blocked: the loop that stands while the seat's holder waits, if any does.
        waits: the flight whose compute waits in it, if any does.
    """

    __slots__ = ("arrived", "blocked", "flight", "outcome", "waits", "wake")
    leads: Literal[False] = False

    def __init__(self, flight: Flight, arrived: int, blocked: object) -> None:
        self.flight = flight
        self.arrived = arrived
        self.blocked = blocked
        self.waits: Flight | None = None
        self.outcome: Outcome | None = None
        self.wake: Callable[[], object] | None = None


class Flight:
    """One computation, as its leader sees it. See `afresh.core.ports.Flight`."""

    __slots__ = ("_key", "_leading", "_marked", "_seats", "_table", "loop", "outer", "refreshes", "waits_for")
    leads: Literal[True] = True

    def __init__(self, table: FlightTable, key: str, loop: object, outer: Flight | None, *, refreshes: bool = False) -> None:
        self._table = table
        self._key = key
        self._seats: list[Seat] | None = []
        self._marked = 0
        self.loop = loop
        self.outer = outer
        self.refreshes = refreshes
        self.waits_for: list[Flight] = []  # several, if tasks of its compute wait
        self._leading: Token[tuple[Flight, ...]] | None = None

    def start_compute(self) -> None:
        """Note that what this thread or task calls from now on is called by the leader's compute."""
        self._leading = _LEADING.set((*_LEADING.get(), self))

    def end_compute(self) -> None:
        """End what `start_compute` began, in the same thread or task, or wherever its coroutine is closed."""
        token, self._leading = self._leading, None
        if token is not None:
            with suppress(ValueError):  # another context: that of the compute is gone
                _LEADING.reset(token)

    def take_seat(self, arrived: int, blocked: object) -> Seat:
        """Add a seat. The table's lock is held, and the flight is in the table."""
        seat = Seat(self, arrived, blocked)
        assert self._seats is not None
        self._seats.append(seat)
        return seat

    def mark(self) -> None:
        """Make the calls that arrived so far early ones, whether or not they have taken their seats."""
        self._marked = self._table.arrive()

    def close(self) -> None:
        """Let nobody join any more."""
        with self._table.lock:
            self._table.drop(self._key, self)

    def finish(self, envelope: bytes | None, *, proven: bool = False, alone: bool = False) -> None:
        """Leave an outcome for every seat and wake it. Later calls change nothing."""
        with self._table.lock:
            self._table.drop(self._key, self)
            seats, self._seats = self._seats, None
            if seats is None:
                return
            if self.outer is not None:
                self.outer.waits_for.remove(self)
            for seat in seats:
                shared = envelope if seat.arrived < self._marked or proven else None
                seat.outcome = Outcome(shared, alone)
            wakes = [seat.wake for seat in seats if seat.wake is not None]
        for wake in wakes:
            wake()


class FlightTable:
    """The flights of one engine, by key."""

    def __init__(self) -> None:
        # Re-entrant: a signal's handler, or an object's finalizer, may call in the middle of a call.
        self.lock = threading.RLock()
        self._flights: dict[str, Flight] = {}
        self._moments = count(1)

    def arrive(self) -> int:
        """Return this moment's number. Later ones are higher."""
        return next(self._moments)

    def forget(self) -> None:
        """Begin anew after a fork: the leaders are threads of the parent."""
        self.lock = threading.RLock()
        self._flights = {}

    def drop(self, key: str, flight: Flight) -> None:
        """Take a flight out, if it is still in. The lock is held."""
        if self._flights.get(key) is flight:
            del self._flights[key]

    def follow(self, key: str, arrived: int, loop: object, *, blocks: bool) -> Seat | None:
        """Take a seat, if there is a flight, nothing to serve meanwhile, and this caller may wait for it."""
        if key not in self._flights:
            return None
        with self.lock:
            flight = self._flights.get(key)
            return None if flight is None or flight.refreshes else _seat_in(flight, arrived, loop if blocks else None)

    def enter(self, key: str, arrived: int, loop: object, *, blocks: bool, refreshes: bool = False) -> Flight | Seat | None:
        """Take a seat, or lead; None if there is a flight that this caller must not wait for."""
        leading = _LEADING.get()
        with self.lock:
            flight = self._flights.get(key)
            if flight is not None:
                return _seat_in(flight, arrived, loop if blocks else None)
            outer = leading[-1] if leading else None
            flight = self._flights[key] = Flight(self, key, loop, outer, refreshes=refreshes)
            if outer is not None:
                outer.waits_for.append(flight)
            return flight

    def start_waiting(self, seat: Seat, wake: Callable[[], object]) -> Outcome | None:
        """Ask to be woken, unless the outcome is there."""
        leading = _LEADING.get()
        with self.lock:
            if seat.outcome is None:
                if _needs_caller(seat.flight, seat.blocked):
                    return Outcome(None, alone=True)
                seat.wake = wake
                if leading:
                    seat.waits = leading[-1]
                    seat.waits.waits_for.append(seat.flight)
            return seat.outcome

    def stop_waiting(self, seat: Seat) -> Outcome | None:
        """Return the outcome, if there is one by now."""
        with self.lock:
            seat.wake = None
            if seat.waits is not None:
                seat.waits.waits_for.remove(seat.flight)
                seat.waits = None
            return seat.outcome


def _seat_in(flight: Flight, arrived: int, blocked: object) -> Seat | None:
    return None if _needs_caller(flight, blocked) else flight.take_seat(arrived, blocked)


def _needs_caller(flight: Flight, blocked: object) -> bool:
    """Say whether the flight can only proceed if this caller does, or the loop that stands while it waits."""
    leading = _LEADING.get()
    ahead = [flight]
    for each in ahead:
        if each in leading or (blocked is not None and each.loop is blocked):
            return True
        ahead += [other for other in each.waits_for if other not in ahead]
    return False


class SyncFlights:
    """The table as threads see it."""

    def __init__(self, table: FlightTable) -> None:
        self._table = table

    def arrive(self) -> int:
        """See `afresh.core.ports.Flights`."""
        return self._table.arrive()

    def follow(self, key: str, arrived: int, /) -> Seat | None:
        """See `afresh.core.ports.Flights`."""
        return self._table.follow(key, arrived, _running_loop(), blocks=True)

    def enter(self, key: str, arrived: int, /, *, refreshes: bool = False) -> Flight | Seat | None:
        """See `afresh.core.ports.Flights`."""
        return self._table.enter(key, arrived, _running_loop(), blocks=True, refreshes=refreshes)

    async def wait(self, seat: Any, timeout_ms: float, /) -> Outcome | None:
        """Block this thread until the flight's end."""
        gate = threading.Lock()
        gate.acquire()
        outcome = self._table.start_waiting(seat, gate.release)
        if outcome is not None:
            return outcome
        try:
            gate.acquire(timeout=min(max(timeout_ms, 0) / 1000, threading.TIMEOUT_MAX))
        finally:
            outcome = self._table.stop_waiting(seat)
        return outcome


class AsyncFlights:
    """The table as tasks see it."""

    def __init__(self, table: FlightTable) -> None:
        self._table = table

    def arrive(self) -> int:
        """See `afresh.core.ports.Flights`."""
        return self._table.arrive()

    def follow(self, key: str, arrived: int, /) -> Seat | None:
        """See `afresh.core.ports.Flights`."""
        return self._table.follow(key, arrived, _running_loop(), blocks=False)

    def enter(self, key: str, arrived: int, /, *, refreshes: bool = False) -> Flight | Seat | None:
        """See `afresh.core.ports.Flights`."""
        return self._table.enter(key, arrived, _running_loop(), blocks=False, refreshes=refreshes)

    async def wait(self, seat: Any, timeout_ms: float, /) -> Outcome | None:
        """Suspend this task until the flight's end."""
        import asyncio

        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        outcome = self._table.start_waiting(seat, lambda: _wake(loop, woken))
        if outcome is not None:
            return outcome
        try:
            await asyncio.wait((woken,), timeout=max(timeout_ms, 0) / 1000)
        finally:
            outcome = self._table.stop_waiting(seat)
        return outcome


def _wake(loop: asyncio.AbstractEventLoop, woken: asyncio.Future[None]) -> None:
    try:
        loop.call_soon_threadsafe(_end, woken)
    except RuntimeError:  # the loop is closed: its task is gone
        return


def _end(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _running_loop() -> object:
    # A thread cannot run a loop of a library that nobody has imported.
    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()  # noqa: SLF001  documented for this use
