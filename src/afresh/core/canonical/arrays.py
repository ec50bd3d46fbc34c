"""How numpy's arrays, scalars and dtypes are taken apart for a key, without importing numpy.

An array is its dtype, its shape and its elements in row-major order, however it lies in memory: a sliced or transposed view has
the key of its copy, and is read in chunks, never copied as a whole. What is no part of the value, such as the padding inside
structured and extended elements, is left out.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from afresh.core.canonical.rule import Parts, Raw, Rule, type_name
from afresh.errors import UnkeyableArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ARRAY_RULES"]

_CHUNK = 1 << 20
_KINDS_IN_PLACE = "biufcmMSUV"
_KINDS_OF_OBJECTS = "OT"
_EXTENDED_MANTISSA = 63  # of x87's long double: ten bytes that matter, padded to twelve or sixteen
_EXTENDED_BYTES = 10


def _array(value: Any) -> Parts:
    array = value.view(sys.modules["numpy"].ndarray)  # without what a subclass has overridden
    return {"dtype": _dtype(array.dtype), "shape": array.shape, "data": _data(array)}


def _scalar(value: Any) -> Parts:
    array = sys.modules["numpy"].asarray(value)
    return {"dtype": _dtype(array.dtype), "data": _data(array)}


def _masked(value: Any) -> Parts:
    mask = sys.modules["numpy"].ma.getmaskarray(value)
    return {**_array(value), "mask": mask, "fill_value": value.fill_value}


def _dtype(dtype: Any) -> object:
    if dtype.names is not None:
        fields = [(name, dtype.fields[name][1], _dtype(dtype.fields[name][0])) for name in dtype.names]
        return (dtype.itemsize, fields)
    if dtype.subdtype is not None:
        element, shape = dtype.subdtype
        return (_dtype(element), shape)
    return dtype.str


def _data(array: Any) -> object:
    dtype = array.dtype
    if dtype.names is not None:
        return {name: array[name] for name in dtype.names}
    if dtype.kind in _KINDS_OF_OBJECTS:
        return array.ravel().tolist()
    if dtype.kind not in _KINDS_IN_PLACE:
        raise UnkeyableArgument(type_name(type(array)), reason=f"elements of dtype {dtype} are not laid out by value")
    if dtype.char in "gG" and sys.modules["numpy"].finfo(dtype).nmant == _EXTENDED_MANTISSA:
        numbers = array.size * (2 if dtype.char == "G" else 1)
        return Raw(numbers * _EXTENDED_BYTES, _extended(array))
    return Raw(array.nbytes, _memory(array))


def _memory(array: Any) -> Iterator[Any]:
    if not array.nbytes:
        return
    if array.flags.c_contiguous:
        yield array.reshape(-1).view("u1")
        return
    step = max(1, _CHUNK // array.itemsize)
    for start in range(0, array.size, step):
        yield array.flat[start : start + step].tobytes()


def _extended(array: Any) -> Iterator[bytes]:
    step = _CHUNK // array.itemsize
    padded = array.itemsize // (2 if array.dtype.char == "G" else 1)
    for start in range(0, array.size, step):
        numbers = array.flat[start : start + step].view("u1").reshape(-1, padded)
        yield numbers[:, :_EXTENDED_BYTES].tobytes()


ARRAY_RULES: dict[str, Rule] = {
    "numpy.ndarray": Rule(
        _array, "class, dtype with byte order, shape and elements (NaNs by their bits, objects one by one)", "numpy.array([[1, 2]])"
    ),
    "numpy.memmap": Rule(_array, "as an array; not by its file", 'numpy.memmap("grid", shape=(2, 3))', "refused"),
    "numpy.ma.MaskedArray": Rule(_masked, "as an array, with mask and fill value", "numpy.ma.array([1, 2], mask=[0, 1])", "refused"),
    "numpy.generic": Rule(_scalar, "class, dtype and bytes; not equal to Python's numbers", "numpy.float64(1.5)", "covered"),
    "numpy.dtype": Rule(lambda dtype: {"": _dtype(dtype)}, "class and layout", 'numpy.dtype("<f8")', "covered"),
}
