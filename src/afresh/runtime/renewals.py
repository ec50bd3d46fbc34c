"""Leases live as long as the computations that they protect, and hardly longer than the processes that hold them.

A lease is short, so that a process that dies while it computes makes nobody wait for long. One thread extends the leases of all the
computations that a process has under way; it starts with the first one and ends when there are none. Renewing compares: a lease that was
ended by an invalidation, a write or another claim stays ended (see extend.lua).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from afresh.core.commits import Claim, renew
from afresh.core.policy import LONGEST_COMPUTE_MS
from afresh.core.ports import Ports
from afresh.runtime.run_now import run_now

if TYPE_CHECKING:
    import asyncio

__all__ = ["Renewals"]

_PERIOD_S: Final = 1.5


class Renewals:
    """The leases that one engine keeps alive.

    Args:
        ports: gives the ports to renew them through; called in the thread.
    """

    def __init__(self, ports: Callable[[], Ports]) -> None:
        self._ports = ports
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a forked child: the thread is the parent's."""
        self._lock = threading.RLock()  # re-entrant: see FlightTable
        self._claims: dict[int, tuple[Claim, float]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def start(self, claim: Claim) -> None:
        """Keep a claim's lease alive from now on."""
        with self._lock:
            self._claims[id(claim)] = claim, time.monotonic()
            if self._thread is None:
                self._closing = threading.Event()
                thread = threading.Thread(target=self._run, args=(self._closing,), name="afresh-renewals", daemon=True)
                with suppress(RuntimeError):  # the system gives no more threads, or the interpreter ends: the lease lapses in time
                    thread.start()
                    self._thread = thread

    def start_for_task(self, claim: Claim) -> None:
        """Keep a claim's lease alive once it has lasted for a while: until then the task's own loop needs no thread."""
        import asyncio  # whoever has a task has loaded it

        self._timers[id(claim)] = asyncio.get_running_loop().call_later(_PERIOD_S, self.start, claim)

    def stop(self, claim: Claim) -> None:
        """Let it end."""
        timer = self._timers.pop(id(claim), None)
        if timer is not None:
            timer.cancel()
        with self._lock:
            self._claims.pop(id(claim), None)

    def close(self) -> None:
        """End the thread. What computes on keeps its lease for some seconds."""
        with self._lock:
            self._closing.set()
            self._thread = None

    def _run(self, closing: threading.Event) -> None:
        while not closing.wait(_PERIOD_S):
            due = self._due(closing)
            if due is None:
                return
            if due:
                run_now(renew(self._ports(), due))

    def _due(self, closing: threading.Event) -> list[Claim] | None:
        """Return the claims to renew now; None to end the thread."""
        with self._lock:
            if not self._claims or closing.is_set():
                if not closing.is_set():
                    self._thread = None
                return None
            now = time.monotonic()
            return [claim for claim, since in self._claims.values() if _PERIOD_S / 2 < now - since < LONGEST_COMPUTE_MS / 1000]
