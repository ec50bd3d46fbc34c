"""Integers as digits, so that a script of the server can add to them and people can read them.

Up to 4,000 decimal digits an integer is written in decimal, beyond that as ``0x…``: Python's decimal conversion takes
quadratic time and stops at ``sys.get_int_max_str_digits()`` digits, which is the program's to set, not ours.
"""

from __future__ import annotations

import re

from afresh.errors import UndecodablePayload

__all__ = ["decode_int", "encode_int"]

_DECIMAL_BOUND = 10**4_000
# No program can set the limit of decimal conversion lower than this (sys.int_info.str_digits_check_threshold).
_CHUNK_DIGITS = 640
_CHUNK: int = 10**_CHUNK_DIGITS

_is_canonical = re.compile(rb"0|-?(?:[1-9][0-9]{0,3999}|0x[1-9a-f][0-9a-f]*)").fullmatch


def encode_int(value: int) -> bytes:
    """Return the digits of an integer of any size.

    Args:
        value: exactly an ``int``; the caller has told ``bool`` and other subclasses apart.
    """
    if -_DECIMAL_BOUND < value < _DECIMAL_BOUND:
        return (_decimal(value) if value >= 0 else "-" + _decimal(-value)).encode()
    return hex(value).encode()


def decode_int(payload: bytes | memoryview) -> int:
    """Return the integer that ``encode_int`` wrote.

    Raises:
        UndecodablePayload: for anything but one canonical integer: no blanks, signs of plus, leading zeros or underscores.
    """
    digits = bytes(payload)
    if not _is_canonical(digits):
        raise UndecodablePayload("the payload is no integer")
    if b"x" in digits:
        return int(digits, 16)
    return -_integer(digits[1:]) if digits.startswith(b"-") else _integer(digits)


def _decimal(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # beyond the limit that this program has set
        high, low = divmod(value, _CHUNK)
        return _decimal(high) + str(low).zfill(_CHUNK_DIGITS)


def _integer(digits: bytes) -> int:
    try:
        return int(digits)
    except ValueError:  # beyond the limit that this program has set
        high, low = digits[:-_CHUNK_DIGITS], digits[-_CHUNK_DIGITS:]
        return _integer(high) * _CHUNK + int(low)
