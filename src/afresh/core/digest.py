"""BLAKE2b by itself: `hashlib` loads OpenSSL with it, which is a tenth of what importing afresh costs."""

from __future__ import annotations

try:
    from _blake2 import blake2b  # where hashlib has it from
except ImportError:  # pragma: no cover  another Python than CPython
    from hashlib import blake2b

__all__ = ["blake2b"]
