"""Every exception afresh raises.

::

    AfreshError
    ├── ConfigurationError (ValueError)   a URL, option, duration, size, tag or namespace that cannot work
    │   └── NotAvailable                  a documented name that this version does not provide yet
    ├── UnkeyableArgument (TypeError)     an argument that has no identity to make a key of
    ├── UnencodableValue (TypeError)      a value that would not come back equal and of the same type
    ├── UndecodablePayload                stored bytes that do not decode (a miss inside afresh, never seen by callers)
    │   └── SchemaChanged                 they hold a class whose fields were others when they were written
    ├── NotAnInteger (ValueError)         incr() met an entry that holds something else
    ├── ComputeTimeout (TimeoutError)     a compute did not return within its compute_timeout, and there is no old value to serve
    ├── ComputeBackingOff                 a compute raised a moment ago, and there is no old value to serve
    ├── LockTimeout (TimeoutError)        a lock was not to be had within `wait`
    ├── LockLost                          a lock was not ours any more when its block ended
    ├── LockReentered (RuntimeError)      a thread or task waits for a lock that it holds itself
    ├── SuspendedError (RuntimeError)     a flow awaited real I/O under the sync driver: a bug in afresh
    └── StoreError                        the server
        ├── StoreUnavailable              refused, lost, timed out: nothing is known of the outcome
        ├── StoreRefused                  it answered with an error (full, read-only, loading, wrong type, no permission)
        │   └── TrackingRefused           it does not tell the near tier what changes (never seen by callers)
        └── EmbeddedServerError           the private server of ``embedded://`` cannot run here

and one warning, ``UncachedWarning``: a function returned a value that cannot be cached.

Messages end with what to do. None holds a cached value or a password.
"""

from __future__ import annotations

__all__ = [
    "AfreshError",
    "ComputeBackingOff",
    "ComputeTimeout",
    "ConfigurationError",
    "EmbeddedServerError",
    "LockLost",
    "LockReentered",
    "LockTimeout",
    "NotAnInteger",
    "NotAvailable",
    "SchemaChanged",
    "StoreError",
    "StoreRefused",
    "StoreUnavailable",
    "SuspendedError",
    "TrackingRefused",
    "UncachedWarning",
    "UndecodablePayload",
    "UnencodableValue",
    "UnkeyableArgument",
]


class AfreshError(Exception):
    """Root of every exception that afresh raises on purpose."""


class ConfigurationError(AfreshError, ValueError):
    """Raised where a cache is configured with something that cannot work."""


class NotAvailable(ConfigurationError):
    """Raised when a documented option is used that this version does not provide yet."""


class UnkeyableArgument(AfreshError, TypeError):
    """Raised when an argument of a memoized call has no identity to make a key of.

    Attributes:
        argument: the parameter's name, with the path into it (``"user.address[0]"``); empty where unknown.
        type_name: the offending object's type.
    """

    def __init__(self, type_name: str, argument: str = "", reason: str = "") -> None:
        self.type_name = type_name
        self.argument = argument
        self.reason = reason
        what = f"argument {argument!r}" if argument else "an argument"
        super().__init__(
            f"{what} of type {type_name} cannot be part of a key{': ' + reason if reason else ''}. Leave it out with "
            f"ignore=, name what identifies it with key=, or give the class a __cache_key__() method."
        )


class UnencodableValue(AfreshError, TypeError):
    """Raised when a value would not come back equal and of the same type, so that it is not cached.

    Attributes:
        path: where in the value the offending part is (``"value['a'][3]"``).
        type_name: its type.
    """

    def __init__(self, type_name: str, path: str = "value", reason: str = "") -> None:
        self.type_name = type_name
        self.path = path
        self.reason = reason
        super().__init__(
            f"{path} of type {type_name} cannot be cached faithfully{': ' + reason if reason else ''}. Return plain "
            f"data, or name a codec that can hold it."
        )


class UndecodablePayload(AfreshError):
    """Raised by a codec for bytes that it cannot decode or does not trust; the flows make it a counted miss."""


class SchemaChanged(UndecodablePayload):
    """Raised by a codec for a payload whose class has other fields here than where it was written: after a deploy, say."""


class NotAnInteger(AfreshError, ValueError):
    """Raised by ``incr`` when the entry holds something other than an integer."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the entry of key {key!r} does not hold an integer; incr() needs one: set() it to an int first.")


class ComputeTimeout(AfreshError, TimeoutError):
    """Raised by a call whose compute has not returned within ``compute_timeout``.

    The compute goes on behind the call; what it returns is stored.

    Attributes:
        function: its name.
        timeout_s: how long the call waited, seconds.
    """

    def __init__(self, function: str, timeout_s: float) -> None:
        self.function = function
        self.timeout_s = timeout_s
        super().__init__(
            f"{function} did not return within its compute_timeout of {timeout_s:g} s; it runs on, and what it returns is stored. "
            f"Call again later, or give it stale_if_error= to be served an old value meanwhile."
        )

    def __reduce__(self) -> tuple[type[ComputeTimeout], tuple[str, float]]:
        return type(self), (self.function, self.timeout_s)


class ComputeBackingOff(AfreshError):
    """Raised by a call that does not compute, because a compute for the same key raised less than ``backoff`` ago, in whichever process.

    Attributes:
        function: its name.
        raised: the class of what it raised, as ``module.Name``.
    """

    def __init__(self, function: str, raised: str) -> None:
        self.function = function
        self.raised = raised
        super().__init__(
            f"{function} raised {raised} a moment ago, and is not called again before its backoff= is over. Call again later, or give it "
            f"stale_if_error= to be served an old value meanwhile."
        )

    def __reduce__(self) -> tuple[type[ComputeBackingOff], tuple[str, str]]:
        return type(self), (self.function, self.raised)


class LockTimeout(AfreshError, TimeoutError):
    """Raised by ``lock()`` when others hold the lock, or wait in front of us, for longer than `wait`.

    Attributes:
        lock: its name.
        wait_s: how long was waited.
    """

    def __init__(self, lock: str, wait_s: float) -> None:
        self.lock = lock
        self.wait_s = wait_s
        super().__init__(f"the lock {lock!r} was not to be had within {wait_s:g} s: do without it, try again later, or raise wait=.")


class LockLost(AfreshError):
    """Raised at the end of a ``lock()`` block when the lock was not ours any more: somebody else may have been in it, too.

    Attributes:
        lock: its name.
    """

    def __init__(self, lock: str) -> None:
        self.lock = lock
        super().__init__(
            f"the lock {lock!r} was lost before its block ended: the server evicted it or lost its data, or this process stood still for "
            f"longer than ttl. Have what it protects refuse older fences, ask lease.is_lost before what cannot be undone, or raise ttl=."
        )


class LockReentered(AfreshError, RuntimeError):
    """Raised by ``lock()`` when the caller holds the lock already: waiting for itself, it would wait in vain.

    Attributes:
        lock: its name.
    """

    def __init__(self, lock: str) -> None:
        self.lock = lock
        super().__init__(f"the lock {lock!r} is held by this very thread or task: a lock is not re-entrant; take it once, further out.")


class SuspendedError(AfreshError, RuntimeError):
    """Raised when a flow suspends under the sync driver: its port awaited real I/O."""


class StoreError(AfreshError):
    """Root of what goes wrong between afresh and the server."""


class StoreUnavailable(StoreError):
    """Raised when the server was not reached or did not answer in time; the outcome is unknown.

    Attributes:
        is_timeout: it did not answer in time.
    """

    def __init__(self, message: str, *, is_timeout: bool = False) -> None:
        self.is_timeout = is_timeout
        super().__init__(message)


class StoreRefused(StoreError):
    """Raised when the server answered with an error.

    Attributes:
        code: the first word of the server's error (``OOM``, ``READONLY``, ``WRONGTYPE``, …).
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class TrackingRefused(StoreRefused):
    """Raised inside afresh where the server will not tell what changes; the near tier then keeps an entry for `max_stale` only."""


class EmbeddedServerError(StoreError):
    """Raised when the private server of ``embedded://`` cannot be found, started or reached."""


class UncachedWarning(UserWarning):
    """Issued when a computed value cannot be cached faithfully: the call returns it, and the next one computes again.

    Make it an error in tests: ``filterwarnings = ["error::afresh.errors.UncachedWarning"]``.
    """
