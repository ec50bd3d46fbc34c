"""How the near tier's listener knows that nothing was missed: its heartbeat, as decisions without clock or socket.

The server pushes what changes to the listener's connection, in the order of its changes and before later replies. A beat on the same
connection that is answered proves that pushes arrive. Rules, each with what would go wrong without it:

1. A beat is a *write*. A primary that was demoted, or that runs somebody's script, still answers PING, while changes happen elsewhere,
   or wait behind the script. It refuses to write. (`UNLINK` of a name that does not exist: docs/adr/0007.)
2. Only a number counts as an answer. BUSY proves nothing, but does no harm; any other refusal ends the connection.
3. A beat is sent once the one before is answered, and an answered beat proves what had changed when **the one before it was sent**. Pushes
   leave at the end of a turn of the server's event loop, replies sometimes earlier: what changed in the same turn may come after the reply.
   The beat before was answered before this one was sent, so its turn is over.
4. A beat's time is read before it is sent, by a clock that counts on while process or machine sleep. So the bound is never too late:
   whoever was stopped finds it in the past.
"""

from __future__ import annotations

from math import inf
from typing import Final

__all__ = ["Heartbeat", "next_pause_s", "pause_s"]

_LONGEST_PERIOD_S: Final = 0.5
# A server that hangs shortly finds the entries still there; nothing is served meanwhile.
_SHORTEST_PATIENCE_S: Final = 2.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 5.0


class Heartbeat:
    """The beats of one connection.

    Args:
        max_stale_s: how long after an invalidation the near tier may still serve what was invalidated.
    """

    __slots__ = ("_answered_at", "_max_stale_s", "_next_at", "_period_s", "_sent_at")

    def __init__(self, max_stale_s: float) -> None:
        self._max_stale_s = max_stale_s
        self._period_s = min(_LONGEST_PERIOD_S, max_stale_s / 4)
        self._next_at = -inf  # the first two follow at once: together they are the first proof
        self._sent_at: float | None = None
        self._answered_at: float | None = None

    def is_due(self, now_s: float) -> bool:
        """Say whether a beat is to be sent now."""
        return self._sent_at is None and now_s >= self._next_at

    def is_lost(self, now_s: float) -> bool:
        """Say whether the connection is to be given up: a beat was not answered for long."""
        return self._sent_at is not None and now_s > self._sent_at + self._patience_s

    def wait_s(self, now_s: float) -> float:
        """Return how long to listen before looking at `is_due` and `is_lost` again."""
        until = self._next_at if self._sent_at is None else self._sent_at + self._patience_s
        return max(0.0, until - now_s)

    def sent(self, now_s: float) -> None:
        """Note that a beat will be sent; the time was read just before."""
        self._sent_at = now_s
        self._next_at = now_s + self._period_s

    def answered(self) -> float:
        """Note that the beat was done, and return the bound: until when the near tier may serve. Minus infinity: not yet."""
        sent_at, before = self._sent_at, self._answered_at
        self._answered_at, self._sent_at = sent_at, None
        if before is None:
            self._next_at = -inf
            return -inf
        return before + self._max_stale_s

    def refused(self, code: str) -> bool:
        """Note that the beat was refused with this error. True if the connection is to be given up."""
        self._sent_at = None
        return code != "BUSY"

    @property
    def _patience_s(self) -> float:
        return max(self._max_stale_s, _SHORTEST_PATIENCE_S)


def next_pause_s(last_s: float, lived_s: float) -> float:
    """Return how long to pause, on average, after a connection that lived for so long; it doubles while they live no longer than that.

    Args:
        last_s: the pause before that connection; 0 for the first.
        lived_s: from the beginning of the attempt to its end.
    """
    if not last_s or lived_s > _LONGEST_PAUSE_S:
        return _FIRST_PAUSE_S
    return min(2 * last_s, _LONGEST_PAUSE_S)


def pause_s(average_s: float, rand: float) -> float:
    """Return a pause between half of the average and one and a half, so that the listeners of many processes do not come all at once."""
    return average_s * (0.5 + rand)
