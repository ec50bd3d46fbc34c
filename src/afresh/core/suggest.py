"""Options that cannot be: misspelt names, decorators without parentheses, one text where a list belongs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

from afresh.errors import ConfigurationError

__all__ = ["flag", "listed", "names_nearest_option"]

F = TypeVar("F", bound=Callable[..., Any])


def names_nearest_option(function: F) -> F:
    """Make a function's TypeError for an unknown keyword say which one may have been meant. For what is called rarely."""
    code = cast("FunctionType", function).__code__
    most = code.co_argcount
    known = [name for name in code.co_varnames[: most + code.co_kwonlyargcount] if name != "self"]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                from difflib import get_close_matches

                nearest = get_close_matches(name, known, 1)
                hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
                msg = f"{_shown(function)}() has no option {name!r}.{hint} There are: {', '.join(known)}."
                raise TypeError(msg)
        if len(args) > most:
            raise TypeError(_not_by_name(function, args[most]))
        return function(*args, **kwargs)

    return cast("F", checked)


def _not_by_name(function: Callable[..., Any], given: object) -> str:
    if callable(given):
        name = function.__name__
        return f"{name}() takes options by name only, not {given!r}: a decorator is written with parentheses, @cache.{name}()."
    return f"{_shown(function)}() takes options by name only, and this {type(given).__name__} has none."


def _shown(function: Callable[..., Any]) -> str:
    """Return what one calls: the class for its constructor, a method without the class that it happens to be in."""
    owner, _, name = function.__qualname__.rpartition(".")
    return owner if name == "__init__" else name


def flag(what: str, given: object) -> bool:
    """Return an option that is True or False.

    Raises:
        ConfigurationError: for anything else, though it may be true or false to Python.
    """
    if not isinstance(given, bool):
        msg = f"{what}={given!r} must be True or False."
        raise ConfigurationError(msg)
    return given


def listed(what: str, given: Any) -> tuple[Any, ...]:
    """Return the items of an option that is a list.

    Raises:
        ConfigurationError: for one text, and for what has no items.
    """
    if isinstance(given, (str, bytes)):
        msg = f"{what}={given!r} is one string: give a list, {what}=[{given!r}]."
        raise ConfigurationError(msg)
    try:
        return tuple(given)
    except TypeError:
        msg = f"{what}={given!r} is no list: leave it out, or give {what}=[…]."
        raise ConfigurationError(msg) from None
