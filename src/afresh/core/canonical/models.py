"""How instances of classes that declare their fields are taken apart for a key: dataclasses, attrs, msgspec, pydantic.

All fields count, also those that the class leaves out of ``==``: what a function reads may be any of them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from afresh.core.canonical.rule import Parts, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["FIELDS", "MODEL_RULES"]

FIELDS: dict[str, Callable[[Any], Iterable[str]]] = {
    "__dataclass_fields__": lambda cls: [field.name for field in sys.modules["dataclasses"].fields(cls)],
    "__attrs_attrs__": lambda cls: [field.name for field in cls.__attrs_attrs__],
}
"""The mark that a decorator leaves on a class, and how to read the names of that class's fields."""


def _struct(value: Any) -> Parts:
    return {name: getattr(value, name) for name in value.__struct_fields__ if hasattr(value, name)}


def _model(value: Any) -> Parts:
    state = vars(value)  # which also holds cached properties
    fields = {name: state[name] for name in type(value).__pydantic_fields__ if name in state}
    return {
        **fields,
        "__pydantic_extra__": value.__pydantic_extra__,
        "__pydantic_fields_set__": value.__pydantic_fields_set__,
        "__pydantic_private__": value.__pydantic_private__,
    }


def _url(value: Any) -> Parts:
    return {"_url": str(value)}


MODEL_RULES: dict[str, Rule] = {
    "msgspec.Struct": Rule(_struct, "class and all fields", "", "covered"),
    "pydantic.main.BaseModel": Rule(
        _model,
        "class, all fields, private attributes, extras, and which fields were set (``exclude_unset`` shows it)",
        "",
        "covered",
    ),
    **dict.fromkeys(
        ("pydantic.networks._BaseUrl", "pydantic.networks._BaseMultiHostUrl"),
        Rule(_url, "class (``HttpUrl``, ``PostgresDsn``, …) and text"),
    ),
}
