"""The clock that coherence is measured by: it counts on while the machine sleeps, and nobody sets it."""

from __future__ import annotations

import time
from functools import partial

__all__ = ["CLOCK", "now_s"]

# A machine that wakes up has missed pushes for as long as it slept. Not on every platform.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
now_s = partial(time.clock_gettime, CLOCK)
