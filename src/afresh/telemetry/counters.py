"""Counts per function: hits, misses by cause, computes and what they cost."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from types import FrameType, MappingProxyType
from typing import NamedTuple

from afresh.errors import UncachedWarning

__all__ = ["Counters", "FunctionStats", "Tallies"]

# Code that calls and is called on a user's behalf: our own, the wrappers that we generate, and asyncio's.
_PASSED_OVER = (__file__.removesuffix("telemetry/counters.py"), "<afresh ", os.__file__.removesuffix("os.py") + "asyncio/")
# A failing server is reported once per this time and operation, a failing function likewise: they would fill the log otherwise.
_QUIET_S = 30.0


class FunctionStats(NamedTuple):
    """What happened to one function's calls in this process, since it began.

    Attributes:
        hits: calls answered without a compute: by the near tier, by Redis, or by somebody else's computation of the same moment.
        near_hits: those among them answered by the near tier.
        stale_hits: those among them served past their ttl.
        misses: calls that found nothing to serve, by cause.
        computes: how often the function ran to its end.
        compute_s: how long these took together.
        not_stored: computed values that were not stored, by reason.
        failures: computes that raised while an old value was served, or behind their callers.
    """

    hits: int = 0
    stale_hits: int = 0
    misses: Mapping[str, int] = MappingProxyType({})
    computes: int = 0
    compute_s: float = 0.0
    not_stored: Mapping[str, int] = MappingProxyType({})
    near_hits: int = 0
    failures: int = 0


_NOTHING = FunctionStats()


class _Tally:
    """What was counted for one function.

    `hits` are those that were not near. Hits are counted without the lock: nothing can come between the parts of ``hits += 1``.
    """

    __slots__ = ("computes", "cost_us", "failures", "hits", "misses", "near_hits", "not_stored", "stale_hits")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.hits = self.near_hits = self.stale_hits = self.computes = self.cost_us = self.failures = 0
        self.misses: Counter[str] = Counter()
        self.not_stored: Counter[str] = Counter()


class _Known(dict[str, _Tally]):
    """Tallies by owner. Each hit asks for one: without a call, where there is one."""

    def __missing__(self, owner: str) -> _Tally:
        return self.setdefault(owner, _Tally())


class Tallies:
    """What was counted, by function. Serves all threads.

    Attributes:
        known: the tallies; one that is asked for is there.
    """

    def __init__(self) -> None:
        self.known: dict[str, _Tally] = _Known()
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a forked child."""
        self.lock = threading.RLock()  # re-entrant: see FlightTable
        self.suppressed: Counter[str] = Counter()
        for tally in list(self.known.values()):  # functions know theirs
            tally.forget()

    def stats(self, owner: str) -> FunctionStats:
        """Return a function's counts as of now."""
        with self.lock:
            return self._stats(self.known.get(owner) or _Tally())

    def all_stats(self) -> dict[str, FunctionStats]:
        """Return the counts of everything that was counted for."""
        with self.lock:
            every = {owner: self._stats(tally) for owner, tally in sorted(self.known.items())}
        return {owner: stats for owner, stats in every.items() if stats != _NOTHING}

    def of(self, owner: str) -> _Tally:
        """Return a function's own tally."""
        return self.known[owner]

    @staticmethod
    def _stats(tally: _Tally) -> FunctionStats:
        return FunctionStats(
            hits=tally.hits + tally.near_hits,
            near_hits=tally.near_hits,
            stale_hits=tally.stale_hits,
            misses=dict(tally.misses),
            computes=tally.computes,
            compute_s=tally.cost_us / 1e6,
            not_stored=dict(tally.not_stored),
            failures=tally.failures,
        )


def _callers_level() -> int:
    """Return the `stacklevel` that makes the warning of our caller one about the line that called afresh, past frames of event loops."""
    # What warnings.warn(skip_file_prefixes=) does from Python 3.12 on.
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  the documented name of the one way to walk the stack cheaply
    level = 1
    while frame is not None and frame.f_code.co_filename.startswith(_PASSED_OVER):
        frame, level = frame.f_back, level + 1
    return level if frame is not None else 1


class Counters:
    """Counts events, logs failures of the server, warns of values that cannot be cached. See `afresh.core.ports.Events`."""

    def __init__(self, tallies: Tallies | None = None) -> None:
        self._tallies = tallies or Tallies()
        self._logged_at: dict[str, float] = {}

    def hit(self, owner: str, *, stale: bool = False, near: bool = False, times: int = 1) -> None:
        """So many entries were served."""
        tally = self._tallies.known[owner]
        if near:
            tally.near_hits += times
        else:
            tally.hits += times
        if stale:
            tally.stale_hits += times

    def miss(self, owner: str, cause: str) -> None:
        """None was."""
        with self._tallies.lock:
            self._tallies.of(owner).misses[str(cause)] += 1

    def computed(self, owner: str, cost_us: int) -> None:
        """A compute returned."""
        with self._tallies.lock:
            tally = self._tallies.of(owner)
            tally.computes += 1
            tally.cost_us += cost_us

    def failed(self, owner: str, error: BaseException) -> None:
        """A compute raised and no caller was told: log it, for each function once in a while."""
        with self._tallies.lock:
            self._tallies.of(owner).failures += 1
        if self._is_news(owner):
            import logging

            logging.getLogger("afresh").error("%s raised, an old value is served meanwhile", owner, exc_info=error)

    def not_stored(self, owner: str, reason: str) -> None:
        """A computed value was not stored."""
        with self._tallies.lock:
            self._tallies.of(owner).not_stored[reason] += 1

    def unencodable(self, owner: str, error: Exception) -> None:
        """A value cannot be cached: warn, once per function and reason."""
        self.not_stored(owner, "unencodable")
        warnings.warn(f"{owner}: not cached: {error}", UncachedWarning, stacklevel=_callers_level())

    def suppressed(self, operation: str, error: Exception) -> None:
        """The server failed and the call went on without it."""
        with self._tallies.lock:
            self._tallies.suppressed[operation] += 1
        if self._is_news(operation):
            import logging

            logging.getLogger("afresh").warning("%s went on without the server: %s", operation, error)

    def _is_news(self, subject: str) -> bool:
        """Say whether to log, which silences the same for a while."""
        now = time.monotonic()
        with self._tallies.lock:
            if now - self._logged_at.get(subject, -_QUIET_S) < _QUIET_S:
                return False
            self._logged_at[subject] = now
            return True
