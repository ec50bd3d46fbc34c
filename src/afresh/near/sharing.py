"""Which values may be handed to several callers: those that none of them can change."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from sys import getsizeof
from types import NoneType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

__all__ = ["immutable_bytes"]

# Exact classes: a subclass may have attributes.
_SCALARS = frozenset((bool, bytes, complex, dt.date, dt.timedelta, Decimal, float, Fraction, int, NoneType, str, UUID))
_OF_ZONES = frozenset((dt.datetime, dt.time))
_ZONES = frozenset((NoneType, dt.timezone, ZoneInfo))
_COLLECTIONS = frozenset((tuple, frozenset))


def immutable_bytes(value: Any) -> int | None:
    """Return how much memory an immutable value takes, about; None for a value that somebody could change, or that we do not know."""
    kind = type(value)
    if kind in _SCALARS or (kind in _OF_ZONES and type(value.tzinfo) in _ZONES):
        return getsizeof(value)
    if kind in _COLLECTIONS:
        sizes = [immutable_bytes(item) for item in value]
        return None if None in sizes else getsizeof(value) + sum(size for size in sizes if size)
    return 0 if isinstance(value, Enum) else None
