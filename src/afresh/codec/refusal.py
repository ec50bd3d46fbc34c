"""Why a value is refused, and what to return instead."""

from __future__ import annotations

from typing import Self

from afresh.errors import UnencodableValue

__all__ = ["REASONS", "Refused", "reason_for", "type_name"]

# By the name of a class or of one of its bases; whole packages by their name. The reference page lists them.
REASONS = {
    "builtins.memoryview": "it is a window on somebody's memory: return bytes(...) of it",
    "builtins.type": "a class is not data",
    "builtins.function": "a function is not data",
    "builtins.method": "a method is not data",
    "builtins.builtin_function_or_method": "a function is not data",
    "builtins.generator": "it can be read only once: return a list",
    "builtins.coroutine": "it can be awaited only once: return what it returns",
    "builtins.map": "it can be read only once: return a list",
    "builtins.filter": "it can be read only once: return a list",
    "builtins.zip": "it can be read only once: return a list",
    "builtins.dict_keys": "it is a window on a dict: return a list",
    "builtins.dict_values": "it is a window on a dict: return a list",
    "builtins.dict_items": "it is a window on a dict: return a list",
    "builtins.mappingproxy": "it is a window on a dict: return dict(...) of it",
    "builtins.module": "a module is not data",
    "builtins.BaseException": "its traceback and cause would be lost: return what it says as plain data",
    "_io._IOBase": "an open file is not data: return what is in it",
    "collections.ChainMap": "the maps that it chains are shared with others: return dict(...) of it",
    "datetime.tzinfo": "only zones of datetime.timezone and zoneinfo.ZoneInfo are kept",
    "pandas": "return what .to_dict(), .to_numpy() or, for a Timestamp, .to_pydatetime() gives",
}

_LONGEST_TRAIL = 12


class Refused(Exception):
    """Raised on the way down a value; gathers the path to the refused part on its way up."""

    def __init__(self, value: object, reason: str) -> None:
        super().__init__(reason)
        self._type_name = type_name(type(value))
        self._reason = reason
        self._trail: list[str] = []

    def inside(self, label: str) -> Self:
        """Note that the refused part lies under ``label`` of what is being walked."""
        self._trail.append(label)
        return self

    def as_error(self) -> UnencodableValue:
        """Return what callers see: path, type, reason; no part of the value."""
        labels = self._trail[::-1]
        if len(labels) > _LONGEST_TRAIL:
            labels[_LONGEST_TRAIL // 2 : -_LONGEST_TRAIL // 2] = "…"
        return UnencodableValue(self._type_name, "value" + "".join(labels), self._reason)


def reason_for(cls: type) -> str:
    """Return why values of a class that has no encoding are refused."""
    for base in cls.__mro__:
        package = base.__module__.partition(".")[0]
        reason = REASONS.get(f"{base.__module__}.{base.__qualname__}") or REASONS.get(package)
        if reason:
            return reason
    for base in cls.__mro__[1:-1]:
        if base.__module__ in {"builtins", "datetime", "decimal", "uuid", "fractions", "collections", "numpy"}:
            return f"it would come back as {base.__name__}: convert it to {base.__name__}"
    return "only plain data, dataclasses, NamedTuples, enums, attrs classes, pydantic models and msgspec Structs are kept"


def type_name(cls: type) -> str:
    """Return a class's name as a reader of an error would write it."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
