"""The record of a failed compute, which holds the lease for a back-off.

::

    F: | digest of the stamps (8) | class of the exception, as "module.Name"

Whoever would compute under the same stamps is held back: it serves an old value, or raises. Under other stamps something was invalidated
since, so that the failure says nothing of a compute that begins now. Scripts read the first ten bytes (claim.lua), and tell a record from
a claim's mark by its length: a mark has 12 bytes.
"""

from __future__ import annotations

from typing import Final

from afresh.core.digest import blake2b
from afresh.errors import ComputeBackingOff

__all__ = ["MARK_BYTES", "digest_of", "failure_record", "is_failure", "refusal"]

# Of a claim's mark: a number of its own, and what the last compute took in ms.
MARK_BYTES: Final = 12
_HEAD: Final = b"F:"
_DIGEST_BYTES: Final = 8


def digest_of(vector: bytes | None) -> bytes:
    """Return what a claim under these stamps is compared by; without all of them it is held back by no record."""
    return b"" if vector is None else blake2b(vector, digest_size=_DIGEST_BYTES).digest()


def failure_record(vector: bytes, error: BaseException) -> bytes:
    """Return the record of a compute that began under these stamps."""
    kind = type(error)
    return _HEAD + digest_of(vector) + f"{kind.__module__}.{kind.__qualname__}".encode("utf-8", "replace")


def is_failure(held: bytes) -> bool:
    """Tell a record from a claim's mark and from an envelope."""
    return len(held) > MARK_BYTES and held.startswith(_HEAD)


def refusal(function: str, record: bytes) -> ComputeBackingOff:
    """Return what a caller is told that is held back and has nothing to be served."""
    return ComputeBackingOff(function, record[len(_HEAD) + _DIGEST_BYTES :].decode("utf-8", "replace"))
