"""Invalidations that the server may not have are repeated until it has them. See `afresh.core.late` for what holds until then.

One thread does it: it begins when there is something to repeat, and ends when there is nothing left. A forked child takes over a copy of
what its parent has to repeat, since nobody knows whether the parent lives on; twice does no harm. Closing tries once more, and so does the
end of the interpreter; what the server does not have even then is logged.

When the server turns out to be another one, or to have been restarted, what it was told last may be lost: then the invalidations of the
last minute are repeated, too.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final
from weakref import WeakSet

from afresh.core.keys import Namespace
from afresh.core.late import Late, folded, late_of, replay
from afresh.core.ports import Ports
from afresh.core.writes import Target
from afresh.errors import StoreError, StoreRefused, StoreUnavailable
from afresh.runtime.run_now import run_now

__all__ = ["Replays"]

# How many are repeated one by one; beyond that the whole namespace is bumped.
_MOST: Final = 10_000
_BATCH: Final = 500
# Between two tries: the first pause and the longest.
_PAUSES_S: Final = (0.1, 1.0)
# How far back what was applied is repeated on another server.
_RECENT_MS: Final = 60_000

_OPEN: WeakSet[Replays] = WeakSet()


class Replays:
    """The late invalidations of one engine. Threads may share it.

    Args:
        ports: gives the ports to repeat them through; called in the thread.
        namespace: what is bumped when there are too many.

    Attributes:
        lates: by name; see `Ports.withheld`. Changed in place.
    """

    def __init__(self, ports: Callable[[], Ports], namespace: Namespace) -> None:
        self.ports = ports
        self._namespace = namespace
        self.lates: dict[str, Late] = {}
        self._recent: deque[tuple[int, Sequence[Target]]] = deque(maxlen=_MOST)
        self._error: StoreError | None = None
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()  # re-entrant: see FlightTable
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._next = 0

    # ---- what is told

    def applied(self, targets: Sequence[Target], called_ms: int) -> None:
        """Remember for a minute what the server has, in case it loses it."""
        recent = self._recent
        recent.append((called_ms, targets))
        while recent[0][0] < called_ms - _RECENT_MS:
            recent.popleft()

    def failed(self, targets: Sequence[Target], called_ms: int, error: BaseException) -> None:
        """Withhold these and repeat them."""
        self._error = error if isinstance(error, StoreError) else None
        self._add(late_of(targets, called_ms))

    def reason(self) -> StoreError:
        """Return an error that says why some are withheld. Each is new: several threads may raise it."""
        error = self._error
        if isinstance(error, StoreRefused):
            return StoreRefused(error.code, str(error))
        return StoreUnavailable(str(error or "an invalidation was interrupted; it is repeated at once."))

    def repeat_recent(self) -> None:
        """Repeat what the server was told in the last minute: it is another one now."""
        recent = list(self._recent)
        self._error = StoreUnavailable("the server was restarted, or another took its place: recent invalidations are repeated at once.")
        self._add({name: late for called_ms, targets in recent for name, late in late_of(targets, called_ms).items()})

    def _add(self, lates: dict[str, Late]) -> None:
        with self._lock:
            self.lates.update(lates)
            if len(self.lates) > _MOST:
                kept, lost = folded(self.lates, self._namespace, _MOST)
                self.lates.update(kept)  # first, so that what is folded is withheld all the time
                for name in self.lates.keys() - kept.keys():
                    del self.lates[name]
                if lost:
                    _log("%s invalidations of keys outside the namespace are lost: too many could not be applied", len(lost))
            self._start()

    # ---- the thread

    def _start(self) -> None:
        if self._thread is None and self.lates:
            _OPEN.add(self)
            atexit.unregister(_at_exit)
            atexit.register(_at_exit)
            self._ending = threading.Event()
            thread = threading.Thread(target=self._run, args=(self._ending,), name="afresh-replays", daemon=True)
            with suppress(RuntimeError):  # the system gives no more threads, or the interpreter ends: the next one tries again
                thread.start()
                self._thread = thread

    def _run(self, ending: threading.Event) -> None:
        pause_s, longest_s = _PAUSES_S
        while not ending.wait(pause_s):
            pause_s = min(2 * pause_s, longest_s)
            with suppress(Exception):  # whatever it was: it is tried again
                if run_now(self._repeat(self.ports())):
                    pause_s = _PAUSES_S[0]
            with self._lock:
                if not self.lates and not ending.is_set():
                    self._thread = None
                    return

    async def _repeat(self, ports: Ports) -> bool:
        """Repeat some. True if the server has one more now."""
        with self._lock:
            every = list(self.lates.values())
            lates = every[self._next : self._next + _BATCH] or every[:_BATCH]
            # Where the server refuses some, others may have more luck. When all have had their turn, the first has it again.
            self._next = self._next + _BATCH if self._next + _BATCH < len(every) else 0
        done, error = await replay(ports, lates)
        with self._lock:
            self._error = error or self._error
            for late in done:
                if self.lates.get(late.name) is late:  # it was not called again meanwhile
                    del self.lates[late.name]
        return bool(done)

    # ---- the end

    async def close(self, ports: Callable[[], Ports]) -> None:
        """End the thread, and try once more, through these ports."""
        through = ports() if self.lates else None
        self._stop()
        while through is not None and self.lates and await self._repeat(through):
            pass
        if self.lates:
            _log("%s invalidations have not reached the server: what was to be forgotten may be served. %s", len(self.lates), self._error)

    def forget(self) -> None:
        """Go on in a forked child with a thread of its own."""
        self._begin()
        if self.lates:
            self._start()

    def resume(self) -> None:
        """Go on after `close`, if something is left."""
        if self.lates:
            with self._lock:
                self._start()

    def _stop(self) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
            self._ending.set()
            _OPEN.discard(self)
        if thread is not None and thread is not threading.current_thread():
            thread.join()


def _log(message: str, *facts: object) -> None:
    import logging  # seldom needed

    logging.getLogger("afresh").warning(message, *facts)


def _at_exit() -> None:
    for replays in list(_OPEN):
        run_now(replays.close(replays.ports))
