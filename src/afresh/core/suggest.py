"""Errors for misspelt options that name the nearest right one, and for decorators without parentheses."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["names_nearest_option"]

F = TypeVar("F", bound=Callable[..., Any])


def names_nearest_option(function: F) -> F:
    """Make a function's TypeError for an unknown keyword say which one may have been meant. For what is called rarely."""
    parameters = inspect.signature(function).parameters
    known = [name for name in parameters if name != "self"]
    most = sum(parameter.kind is not parameter.KEYWORD_ONLY for parameter in parameters.values())

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                from difflib import get_close_matches

                nearest = get_close_matches(name, known, 1)
                hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
                msg = f"{function.__qualname__}() has no option {name!r}.{hint} There are: {', '.join(known)}."
                raise TypeError(msg)
        if len(args) > most and callable(args[most]):
            name = function.__name__
            msg = f"{name}() takes options by name only, not {args[most]!r}: a decorator is written with parentheses, @cache.{name}()."
            raise TypeError(msg)
        return function(*args, **kwargs)

    return cast("F", checked)
