"""What lapses lives as long as the work that it protects, and hardly longer than the process that holds it.

Leases are short, so that a process that dies while it computes makes nobody wait for long; so are the marks of transactions, and locks
as their users wish. One thread renews all that a process holds; it starts with the first and ends when there are none. Renewing
compares: a lease that was ended by an invalidation, a write or another claim stays ended (see extend.lua).
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from afresh.core.policy import LEASE_RENEWAL_MS
from afresh.core.ports import Events, Ports
from afresh.core.renewing import Renewable, renew
from afresh.runtime.run_now import run_now

if TYPE_CHECKING:
    import asyncio

__all__ = ["Renewals"]


class _Held:
    """Something to renew, how often, when next, and until when at all, s."""

    __slots__ = ("due", "period", "until", "what")

    def __init__(self, what: weakref.ref[Renewable], period: float, due: float, until: float | None) -> None:
        self.what = what
        self.period = period
        self.due = due
        self.until = until


class Renewals:
    """What one engine keeps alive.

    Args:
        ports: gives the ports to renew it through; called in the thread.
        events: told what goes wrong there.
    """

    def __init__(self, ports: Callable[[], Ports], events: Events) -> None:
        self._ports = ports
        self._events = events
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a forked child: the thread, and what is held, are the parent's."""
        self._lock = threading.RLock()  # re-entrant: see FlightTable
        # Weakly: who is torn from a computation by an interrupt drops its claim without a word.
        self._held: dict[int, _Held] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        # Wakes the thread; another one, or none, and it ends.
        self._signal: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._sleeps_until = 0.0

    def start(self, what: Renewable) -> None:
        """Renew it from now on."""
        now = time.monotonic()
        until = None if what.renewed_for_ms is None else now + what.renewed_for_ms / 1000
        with self._lock:
            period = what.renewed_every_ms / 1000
            held = self._held[id(what)] = _Held(weakref.ref(what), period, now + period, until)
            if self._signal is None:
                self._start_thread()
            elif held.due < self._sleeps_until:
                self._signal.set()

    def start_for_task(self, what: Renewable) -> None:
        """Renew it once it has lasted for a while: until then the task's own loop needs no thread."""
        import asyncio  # whoever has a task has loaded it

        self._cancel(id(what))  # of one that was dropped, and whose number this one has
        later = asyncio.get_running_loop().call_later
        self._timers[id(what)] = later(what.renewed_every_ms / 2000, self._start_late, id(what), weakref.ref(what))

    def _start_late(self, number: int, reference: weakref.ref[Renewable]) -> None:
        self._timers.pop(number, None)
        if (what := reference()) is not None:
            self.start(what)

    def stop(self, what: Renewable) -> bool:
        """Let it end. Says whether it was held: a forked child holds nothing of its parent's."""
        was_due = self._cancel(id(what))
        with self._lock:
            return self._held.pop(id(what), None) is not None or was_due

    def _cancel(self, number: int) -> bool:
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def close(self) -> None:
        """End the thread, and wait for what it is about to send. What is still held lapses in time."""
        with self._lock:
            signal, self._signal = self._signal, None
            thread, self._thread = self._thread, None
            if signal is not None:
                signal.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start_thread(self) -> None:
        signal = threading.Event()
        self._sleeps_until = 0.0
        thread = threading.Thread(target=self._run, args=(signal,), name="afresh-renewals", daemon=True)
        with suppress(RuntimeError):  # the system gives no more threads, or the interpreter ends: what is held lapses in time
            thread.start()
            self._signal, self._thread = signal, thread

    def _run(self, signal: threading.Event) -> None:
        goes_on = True
        while goes_on:
            signal.wait(self._pause_s())
            signal.clear()
            goes_on = self._renew_due(signal)

    def _renew_due(self, signal: threading.Event) -> bool:
        """Renew what is due; False to end the thread. When this returns, the thread holds nothing: it would keep alive what was dropped."""
        due = self._due(signal)
        if due is None:
            return False
        try:
            if due:
                run_now(renew(self._ports(), due))
        except Exception as error:  # noqa: BLE001  whatever it was: there is more to renew in a while
            self._events.suppressed("renew", error)
        return True

    def _pause_s(self) -> float:
        """Return how long to sleep. A thread that has nothing to do lingers for a while: the next computation may begin soon."""
        with self._lock:
            now = time.monotonic()
            self._sleeps_until = min((held.due for held in self._held.values()), default=now + LEASE_RENEWAL_MS / 1000)
            return max(0.0, self._sleeps_until - now)

    def _due(self, signal: threading.Event) -> list[Renewable] | None:
        """Return what to renew now, also what would be soon, for the same round trip; None to end the thread."""
        with self._lock:
            if self._signal is not signal:
                return None
            alive = [(held, what) for held in self._held.values() if (what := held.what()) is not None]
            self._held = {id(what): held for held, what in alive}
            if not alive:
                self._signal = self._thread = None
                return None
            now = time.monotonic()
            due = []
            for held, what in alive:
                if held.due - held.period / 2 <= now:
                    held.due = now + held.period
                    if held.until is None or now < held.until:
                        due.append(what)
            return due
