"""What a memoized function is called in keys, so that no two functions share a name and every process gives the same ones.

A function of a module or class is its module and qualified name. Others have no name of their own and get a digest with it:

=========================  ======================================================================================================
in ``__main__``            the script's name and a digest of its path stand for the module
lambdas, local functions   the code and what the closure holds, as far as that cannot change (numbers, text, functions, classes)
partials, bound methods    the function and its arguments, or the object
functions memoized before  their name and their namespace's
a second function of       its code, if that differs; else a random number: two closures over objects without identity
the same name              share nothing, not even with themselves in other processes. ``name=`` makes them shareable
=========================  ======================================================================================================
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, MutableMapping
from types import FunctionType
from typing import Any

from afresh.core.canonical import digest
from afresh.core.canonical.callables import speaker_of
from afresh.errors import ConfigurationError, UnkeyableArgument

__all__ = ["base_name", "name_of"]

_DIGITS = 8
_CHANGEABLE = (list, dict, set, bytearray)


def name_of(fn: Callable[..., Any], taken: MutableMapping[str, Callable[..., Any]]) -> str:
    """Return a function's name, and note it as taken.

    Args:
        fn: what is memoized.
        taken: the functions that have names already, by name.

    Raises:
        ConfigurationError: for something that has no name.
    """
    name = base_name(fn)
    if not isinstance(fn, FunctionType) or speaker_of(fn) is not None:
        name += _mark(_digest(fn) or os.urandom(_DIGITS))
    elif "<" in fn.__qualname__ or _cells(fn):
        name += _mark(digest((_code(fn), tuple(_unchanging(cell) for cell in _cells(fn)))))
    other = taken.get(name)
    if other is not None and not _is_same(fn, other):
        name += _mark(os.urandom(_DIGITS) if _code(fn) == _code(other) else _code(fn))
    taken[name] = fn
    return name


def base_name(fn: Callable[..., Any]) -> str:
    """Return module and qualified name.

    Raises:
        ConfigurationError: for something that has none.
    """
    target: Any = fn
    while not hasattr(target, "__qualname__") and hasattr(target, "func"):  # functools.partial
        target = target.func
    qualname = getattr(target, "__qualname__", None)
    if qualname is None:
        msg = f"an object of type {type(fn).__name__} has no name of its own: pass name=."
        raise ConfigurationError(msg)
    module = getattr(target, "__module__", None) or "?"
    return f"{_script(target) if module == '__main__' else module}.{qualname}"


def _script(fn: Any) -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).removesuffix(".__main__")
    from inspect import unwrap  # slow to import

    code = getattr(unwrap(fn), "__code__", None)
    path = os.path.normpath(code.co_filename) if code else "script"  # `python job.py` and `python ./job.py` run one script
    return os.path.splitext(os.path.basename(path))[0] + _mark(digest(path))  # noqa: PTH119, PTH122  pathlib is slow to import


def _mark(identity: bytes) -> str:
    return "~" + identity.hex()[:_DIGITS]


def _code(fn: Callable[..., Any]) -> bytes:
    return digest((getattr(fn, "__code__", None), getattr(fn, "__name__", None)))


def _cells(fn: FunctionType) -> list[Any]:
    """Return the cells of the closure, without the one that `super()` makes."""
    return [cell for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True) if name != "__class__"]


def _unchanging(cell: Any) -> bytes | str:
    """Return what a cell holds, or its type if that may change or has no identity; empty while a function refers to itself."""
    try:
        held = cell.cell_contents
    except ValueError:
        return ""
    return type(held).__qualname__ if isinstance(held, _CHANGEABLE) else _digest(held) or type(held).__qualname__


def _digest(value: object) -> bytes | None:
    try:
        return digest(value)
    except UnkeyableArgument:
        return None


def _is_same(fn: Callable[..., Any], other: Callable[..., Any]) -> bool:
    if fn is other:
        return True
    if not isinstance(fn, FunctionType) or not isinstance(other, FunctionType):
        return (known := _digest(fn)) is not None and known == _digest(other)
    if _code(fn) != _code(other):
        return False
    return all(_holds_same(one, two) for one, two in zip(_cells(fn), _cells(other), strict=True))


def _holds_same(one: Any, two: Any) -> bool:
    kinds = _unchanging(one), _unchanging(two)
    if isinstance(kinds[0], bytes) or not kinds[0]:
        return kinds[0] == kinds[1]
    return kinds[0] == kinds[1] and one.cell_contents is two.cell_contents
