"""The vocabulary of keyed objects: what a rule says of a class, and when a name leads to an object."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from afresh.errors import UnkeyableArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["HEAP_TYPE", "Identity", "Parts", "Raw", "Rule", "class_name", "is_found", "type_name"]

Parts: TypeAlias = dict[str, object]
"""What an object is made of, by name. The name ``""`` is for its own content: the items of a list's subclass, say."""


Identity: TypeAlias = tuple[str, str, Parts]
"""What tells an object from all others: its class, by module and qualified name, and its parts."""


class Rule(NamedTuple):
    """How the instances of one class are keyed.

    Attributes:
        parts: takes an instance apart; what it returns is what enters the key.
        keyed_by: the same in words, for the reference.
        example: an expression, for the reference.
        subclasses: what becomes of a subclass's instances: ``"attributes"`` adds the attributes that they have besides;
            ``"covered"`` where the parts hold these already; ``"refused"`` where they cannot be told from the class's own.
    """

    parts: Callable[[Any], Parts]
    keyed_by: str
    example: str = ""
    subclasses: Literal["attributes", "covered", "refused"] = "attributes"


class Raw(NamedTuple):
    """Bytes that enter a key as they lie in memory, chunk by chunk."""

    size_bytes: int
    chunks: Iterable[Any]  # of whatever has the buffer protocol


HEAP_TYPE = 1 << 9
"""The bit in ``type.__flags__`` of the classes that a program makes as it runs, unlike those compiled into a C module."""

# Where classes moved or were renamed, keys keep to one name in all versions.
_MOVED = {
    "pathlib._local": "pathlib",
    "numpy.ma.core": "numpy.ma",
    "pandas._libs.interval": "pandas",
    "pandas._libs.tslibs.period": "pandas",
    "pandas._libs.tslibs.timedeltas": "pandas",
    "pandas._libs.tslibs.timestamps": "pandas",
    "pandas.core.arrays.base": "pandas.api.extensions",
    "pandas.core.frame": "pandas",
    "pandas.core.indexes.base": "pandas",
    "pandas.core.indexes.category": "pandas",
    "pandas.core.indexes.datetimes": "pandas",
    "pandas.core.indexes.interval": "pandas",
    "pandas.core.indexes.multi": "pandas",
    "pandas.core.indexes.period": "pandas",
    "pandas.core.indexes.range": "pandas",
    "pandas.core.indexes.timedeltas": "pandas",
    "pandas.core.series": "pandas",
}
_RENAMED = {
    ("numpy", "bool_"): ("numpy", "bool"),
    ("types", "UnionType"): ("typing", "Union"),
    ("typing", "_UnionGenericAlias"): ("typing", "Union"),
}


def class_name(cls: type) -> tuple[str, str]:
    """Return the module and qualified name by which keys know a class."""
    module = cls.__module__
    if not isinstance(module, str):
        raise UnkeyableArgument(cls.__qualname__, reason="its class has no module")
    name = _MOVED.get(module, module), cls.__qualname__
    return _RENAMED.get(name, name)


def type_name(cls: type) -> str:
    """Return a class's name for an error."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def is_found(value: object, module: str, qualname: str) -> bool:
    """Tell whether a name leads to this very object."""
    found: object = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found is value
