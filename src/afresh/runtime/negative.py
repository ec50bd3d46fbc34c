"""Negative entries: exceptions that are kept, as `memoize(negative={Error: ttl})` asks for.

What is stored is the class's name, the arguments and the attributes, by the function's own codec. On a hit the class is looked up among
the modules that are loaded, must still be one of those declared, and its instance is made without running its constructor.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

__all__ = ["described", "rebuilt"]


def described(error: BaseException) -> tuple[str, str, tuple[Any, ...], dict[str, Any]]:
    """Return an exception as plain data."""
    return type(error).__module__, type(error).__qualname__, error.args, dict(vars(error))


def rebuilt(description: Any, declared: Sequence[type[BaseException]]) -> BaseException | None:
    """Return an exception like the one described; None if it is no declared one by now, or was not described by us."""
    try:
        module, qualname, args, state = description
        kind = attrgetter(qualname)(sys.modules[module])
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
    if not (isinstance(kind, type) and issubclass(kind, BaseException) and issubclass(kind, tuple(declared))):
        return None
    error: BaseException = kind.__new__(kind, *args)
    error.args = tuple(args)
    vars(error).update(state)
    return error
