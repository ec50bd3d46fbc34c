"""Durations and sizes as people write them, turned into milliseconds and bytes once, at the edge."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TypeAlias

from afresh.errors import ConfigurationError

__all__ = ["MAX_TTL_MS", "Duration", "Size", "duration_ms", "size_bytes"]

Duration: TypeAlias = float | str | timedelta
Size: TypeAlias = int | str

# A stored ttl is capped here: stamps of tags must outlive twice what is stored under them.
MAX_TTL_MS = 30 * 24 * 3600 * 1000

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)", re.ASCII)
_SIZE_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def duration_ms(value: object, *, what: str = "duration") -> int:
    """Return a duration in whole milliseconds, rounded up so that a positive one is never 0.

    Args:
        value: seconds (int or float), text such as ``"90s"``, ``"5m"``, ``"1h30m"``, ``"250ms"``, or a ``timedelta``; at least 0.
        what: the option's name, for the error.

    Raises:
        ConfigurationError: for anything else, negative and non-finite numbers, and ``None``.
    """
    seconds: float | None = None
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and _WHOLE.fullmatch(value):
        seconds = sum(float(number) * _UNIT_MS[unit] for number, unit in _PART.findall(value)) / 1000
    if seconds is None or not 0 <= seconds * 1000 < math.inf:
        hint = " Omit it to use the cache's default." if value is None else ""
        msg = f"{what}={value!r} is not a duration: give seconds, text such as '90s', '5m' or '1h30m', or a timedelta, from 0 up.{hint}"
        raise ConfigurationError(msg)
    return math.ceil(round(seconds * 1000, 6))


def size_bytes(value: object, *, what: str = "size") -> int:
    """Return a size in bytes.

    Args:
        value: a number of bytes, or text such as ``"64MiB"``, ``"10kB"``; at least 0.
        what: the option's name, for the error.

    Raises:
        ConfigurationError: for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)) and (size := float(match[1]) * _SIZE_BYTES[match[2]]) < math.inf:
        return int(size)
    msg = f"{what}={value!r} is not a size: give bytes, or text such as '64MiB' or '10kB', from 0 up."
    raise ConfigurationError(msg)
