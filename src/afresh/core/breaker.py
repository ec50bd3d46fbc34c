"""When not to ask a server that hangs. Pure: the time goes in.

States::

    closed ──a flight times out──▶ open ──its pause is over──▶ half-open: one flight may try
       ▲                            ▲                             │
       └────────── it is answered ──┼─────────────────────────────┤
                                    └── it times out: twice the ──┘
                                        pause, up to a second

A connection that is refused is no reason to open: it costs nothing to be refused, and a server that is back is found at once.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Breaker"]

_FIRST_PAUSE_MS: Final = 100
_LONGEST_PAUSE_MS: Final = 1000


class Breaker:
    """What is known of one server's health. Threads may share it: at worst two flights try at once.

    Attributes:
        is_closed: all is well.
    """

    __slots__ = ("_is_trying", "_open_until_ms", "_pause_ms", "is_closed")

    def __init__(self) -> None:
        self.is_closed = True
        self._pause_ms = 0
        self._open_until_ms = 0
        self._is_trying = False

    @property
    def is_doubtful(self) -> bool:
        """Say whether one timeout alone has opened it."""
        return self._pause_ms == _FIRST_PAUSE_MS

    def admits(self, now_ms: int) -> bool:
        """Say whether a flight may go to the server now. Who is admitted says what became of it."""
        if self.is_closed:
            return True
        if self._is_trying or now_ms < self._open_until_ms:
            return False
        self._is_trying = True
        return True

    def answered(self) -> None:
        """The server answered."""
        self._pause_ms = 0
        self.is_closed = True
        self._is_trying = False

    def timed_out(self, now_ms: int) -> None:
        """It did not answer in time."""
        self._pause_ms = min(2 * self._pause_ms or _FIRST_PAUSE_MS, _LONGEST_PAUSE_MS)
        self._open_until_ms = now_ms + self._pause_ms
        self.is_closed = False
        self._is_trying = False

    def gave_up(self) -> None:
        """A flight that was admitted ended without telling: the next one may try."""
        self._is_trying = False
