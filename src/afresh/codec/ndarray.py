"""numpy's arrays and scalars, by dtype and bytes. Imports nothing: who holds an array has numpy loaded already."""

from __future__ import annotations

import sys
from typing import Any, Final

from afresh.codec.refusal import Refused

__all__ = ["LIMITS", "SCALAR_LIMITS", "dump", "dump_scalar", "is_scalar", "load", "load_scalar"]

LIMITS: Final = "numbers, bool, datetime64, timedelta64, fixed-size text and bytes; writable and in C order afterwards"
SCALAR_LIMITS: Final = "as arrays; refused where the dtype's code names another type on this platform (longlong)"

# The kinds of dtype that are their bytes: no objects, no records, no text of variable size.
_PLAIN_KINDS = frozenset("biufcmMSU")


def is_scalar(cls: type) -> bool:
    """Return whether a class is one of numpy's own scalar types."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and cls.__module__ == "numpy" and issubclass(cls, numpy.generic)


def dump(array: Any) -> list[Any]:
    """Take an array apart: dtype, shape, bytes."""
    dtype = array.dtype
    if dtype.kind not in _PLAIN_KINDS or not dtype.itemsize or type(array)((), dtype.str).dtype != dtype:
        raise Refused(array, f"its dtype {dtype.name} has no portable form: return .tolist() of it")
    return [dtype.str, list(array.shape), array.tobytes()]


def load(ndarray: Any, parts: list[Any]) -> object:
    """Put an array together, in memory of its own."""
    code, shape, data = parts
    array = _view(ndarray, code, shape, data)
    if not array.dtype.itemsize:
        msg = "items of no size: their number would not be bounded by the payload"
        raise ValueError(msg)
    if array.dtype.kind == "U":
        array.tolist()  # raises for what is no code point, which else would surface when somebody looks at it
    return array.copy()


def dump_scalar(scalar: Any) -> list[Any]:
    """Take a scalar apart: dtype, bytes."""
    dtype = scalar.dtype
    if dtype.kind not in _PLAIN_KINDS or sys.modules["numpy"].dtype(dtype.str).type is not type(scalar):
        raise Refused(scalar, f"its dtype {dtype.name} has no portable form: return .item() of it")
    return [dtype.str, scalar.tobytes()[: dtype.itemsize]]  # numpy gives empty text the bytes of one character


def load_scalar(_generic: Any, parts: list[Any]) -> object:
    """Put a scalar together."""
    code, data = parts
    return _view(sys.modules["numpy"].ndarray, code, (), data)[()]


def _view(ndarray: Any, code: Any, shape: Any, data: Any) -> Any:
    array = ndarray(shape, code, memoryview(data))  # over bytes that are there: numpy allocates nothing
    if type(code) is not str or array.dtype.kind not in _PLAIN_KINDS or array.nbytes != len(data):
        msg = "not the bytes of such an array"
        raise ValueError(msg)
    return array
