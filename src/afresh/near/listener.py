"""The thread that hears what changes, and so keeps the near tier coherent.

It has a connection of its own, on which the server pushes names that have changed and answers heartbeats (`afresh.core.heartbeat` says
what these prove). While there is no such connection there is no generation to serve from::

    connecting ──tracking is on──▶ a generation, bound −∞ ──two beats──▶ served up to the bound, which each beat moves
        ▲                             │                                     │
        └──── pause, jittered ◀───────┴─── lost, refused, silent, closed ◀──┘    the generation ends

A server that does not push (too old, a proxy, an ACL) is reported once; the tier then keeps each entry for `max_stale`, without a thread.

A forked child has no such thread: it begins anew. `close` ends it; the next use starts it again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Protocol

from afresh.core.heartbeat import Heartbeat, next_pause_s, pause_s
from afresh.core.listening import Beat, Line
from afresh.core.ports import Events
from afresh.errors import StoreUnavailable, TrackingRefused
from afresh.near.clock import now_s

__all__ = ["Listener"]


class Tier(Protocol):
    """Whose generations begin and end with the connections."""

    def begin(self, *, max_age_s: float = inf) -> Generation: ...
    def end(self) -> None: ...


class Generation(Protocol):
    """One connection's life of the tier."""

    def pushed(self, *names: str) -> None: ...
    def pushed_all(self) -> None: ...
    def prove(self, bound_s: float) -> None: ...


class Listener:
    """Keeps one tier coherent with one server.

    Args:
        connect: opens a connection on which changes are pushed.
        tier: which to keep coherent.
        max_stale_s: how long after an invalidation the tier may still serve what was invalidated.
        events: told of each connection that was lost or refused.
    """

    def __init__(self, connect: Callable[[], Line], tier: Tier, *, max_stale_s: float, events: Events) -> None:
        self._connect = connect
        self._tier = tier
        self._max_stale_s = max_stale_s
        self._events = events
        self._line: Line | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()  # re-entrant: see FlightTable
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self.refusal: TrackingRefused | None = None

    def start(self) -> None:
        """Listen, unless that is under way or of no use."""
        if self._thread is not None or self.refusal is not None:
            return
        with self._lock:
            if self._thread is None and self.refusal is None:
                self._closing = threading.Event()
                thread = threading.Thread(target=self._run, args=(self._closing,), name="afresh-near", daemon=True)
                with suppress(RuntimeError):  # the system gives no more threads, or the interpreter ends: nothing is served from near
                    thread.start()
                    self._thread = thread

    def close(self) -> None:
        """Stop listening; nothing is served from the tier any more."""
        with self._lock:
            self._closing.set()
            self._thread, self.refusal = None, None
            if self._line is not None:
                self._line.wake()
            self._tier.end()

    def forget(self) -> None:
        """Begin anew in a forked child: the thread and its connection are the parent's."""
        self._begin_anew()
        if self._line is not None:
            self._line.leave()
            self._line = None

    def _run(self, closing: threading.Event) -> None:
        average_s = 0.0
        while not closing.is_set():
            began_s = now_s()
            try:
                self._listen(closing)
            except TrackingRefused as error:
                self._give_up(closing, error)
                return
            except Exception as error:  # noqa: BLE001  whatever it is: a thread that ends would leave the tier off for good
                if not closing.is_set():
                    self._events.suppressed("listen", error)
            average_s = next_pause_s(average_s, now_s() - began_s)
            closing.wait(pause_s(average_s, random.random()))  # noqa: S311  only spreads reconnects

    def _listen(self, closing: threading.Event) -> None:
        line = self._connect()
        try:
            with self._lock:
                if closing.is_set():
                    return
                self._line, generation = line, self._tier.begin()
            self._follow(line, generation)
        finally:
            with self._lock:
                if not closing.is_set():  # otherwise the tier, and perhaps a new line, are somebody else's
                    self._line = None
                    self._tier.end()
            line.close()

    def _follow(self, line: Line, generation: Generation) -> None:
        """Work off what the server says, in its order, until the connection is lost."""
        heartbeat = Heartbeat(self._max_stale_s)
        while True:
            at_s = now_s()
            if heartbeat.is_lost(at_s):
                msg = "the server has not answered the near tier's heartbeat for long: a new connection is tried."
                raise StoreUnavailable(msg, is_timeout=True)
            if heartbeat.is_due(at_s):
                heartbeat.sent(at_s)
                line.beat()
            for heard in line.hear(heartbeat.wait_s(at_s)):
                if isinstance(heard, Beat):
                    if heard.refusal is None:
                        generation.prove(heartbeat.answered())
                    elif heartbeat.refused(heard.refusal.code):
                        raise heard.refusal
                elif heard.names is None:
                    generation.pushed_all()
                else:
                    generation.pushed(*heard.names)

    def _give_up(self, closing: threading.Event, error: TrackingRefused) -> None:
        with self._lock:
            if closing.is_set():
                return
            self._thread, self.refusal = None, error
            self._tier.begin(max_age_s=self._max_stale_s).prove(inf)
        self._events.suppressed("listen", error)
