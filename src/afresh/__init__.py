"""afresh: caching for Python on Redis and Valkey that you can trust.

``Cache`` is where everything begins. Importing this package does no I/O and loads neither redis, asyncio nor django.
"""

from afresh.aio import AsyncCache
from afresh.cache import Cache
from afresh.codec.values import SignedPickle
from afresh.core.keys import Key
from afresh.core.ports import Codec
from afresh.core.results import Entry, Explanation, Lease, Receipt
from afresh.errors import (
    AfreshError,
    ComputeBackingOff,
    ComputeTimeout,
    ConfigurationError,
    EmbeddedServerError,
    LockLost,
    LockReentered,
    LockTimeout,
    NotAnInteger,
    NotAvailable,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    UncachedWarning,
    UnencodableValue,
    UnkeyableArgument,
)
from afresh.facade import MISSING
from afresh.many import AsyncMany, Many
from afresh.memoize import AsyncMemoized, Memoized
from afresh.near.options import Near
from afresh.recurrence import AsyncRecurrence, Recurrence
from afresh.telemetry.counters import FunctionStats

__all__ = [
    "MISSING",
    "AfreshError",
    "AsyncCache",
    "AsyncMany",
    "AsyncMemoized",
    "AsyncRecurrence",
    "Cache",
    "Codec",
    "ComputeBackingOff",
    "ComputeTimeout",
    "ConfigurationError",
    "EmbeddedServerError",
    "Entry",
    "Explanation",
    "FunctionStats",
    "Key",
    "Lease",
    "LockLost",
    "LockReentered",
    "LockTimeout",
    "Many",
    "Memoized",
    "Near",
    "NotAnInteger",
    "NotAvailable",
    "Receipt",
    "Recurrence",
    "SignedPickle",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "UncachedWarning",
    "UnencodableValue",
    "UnkeyableArgument",
]
