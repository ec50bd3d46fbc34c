"""Functions generated for a signature: Python itself binds the arguments, so that every spelling of a call is one call.

The generated code is a dozen lines whatever the function::

    def __call__(_afresh_self, /, user_id, *, lang=_afresh_default_1):
        if _afresh_bypassed():
            return _afresh_fn(user_id, lang=lang)
        _afresh_got = _afresh_begin(_afresh_request((user_id, lang)))
        if _afresh_got.__class__ is _afresh_Hit:
            return _afresh_got.value
        if _afresh_got.__class__ is _afresh_Behind:
            return _afresh_behind(_afresh_got, _afresh_partial(_afresh_fn, user_id, lang=lang))
        try:
            _afresh_value = _afresh_fn(user_id, lang=lang)
        except BaseException as _afresh_error:
            _afresh_kept = _afresh_abandon(_afresh_got, _afresh_error)
            if _afresh_kept is None:
                raise
            return _afresh_kept.value
        _afresh_commit(_afresh_got, _afresh_value)
        return _afresh_value

It calls the function itself: a traceback has one frame more than without it, and so has recursion.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

from afresh.errors import ConfigurationError

__all__ = ["Spelling", "generate"]

_OWN = "_afresh_"

_BODY = """\
{a}def {name}(_afresh_self, {declared}):
    if _afresh_bypassed():
        return {w}_afresh_fn({forwarded})
    _afresh_got = {w}_afresh_begin(_afresh_request(({values})))
    if _afresh_got.__class__ is _afresh_Hit:
        return _afresh_got.value
    if _afresh_got.__class__ is _afresh_Behind:
        return {w}_afresh_behind(_afresh_got, _afresh_partial(_afresh_fn, {forwarded}))
    try:
        _afresh_value = {w}_afresh_fn({forwarded})
    except BaseException as _afresh_error:
        _afresh_kept = {w}_afresh_abandon(_afresh_got, _afresh_error)
        if _afresh_kept is None:
            raise
        return _afresh_kept.value
    {w}_afresh_commit(_afresh_got, _afresh_value)
    return _afresh_value
"""
_BIND = """\
def {name}({bound}):
    return ({values})
"""


class Spelling:
    """A function's parameters as source text.

    Attributes:
        positions: each parameter's place in the tuple of its call's values.
        defaults: what the generated code calls the defaults by.

    Raises:
        ConfigurationError: if the signature cannot be read, or uses afresh's own names.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError) as error:
            msg = f"the signature of {function!r} cannot be read ({error}): wrap it in a function of your own."
            raise ConfigurationError(msg) from None
        if any(name.startswith(_OWN) for name in parameters):
            msg = f"{function!r} has a parameter that begins with {_OWN!r}: rename it."
            raise ConfigurationError(msg)
        self.positions: Mapping[str, int] = {name: at for at, name in enumerate(parameters)}
        self.defaults: dict[str, Any] = {}
        self._declared: list[str] = []
        self._forwarded: list[str] = []
        kinds = [parameter.kind for parameter in parameters.values()]
        for at, parameter in enumerate(parameters.values()):
            self._add(at, parameter, kinds)
        # `self` of the generated method is positional only, so that a parameter may have any name.
        self._slash = () if Parameter.POSITIONAL_ONLY in kinds else ("/",)

    def _add(self, at: int, parameter: Parameter, kinds: list[Any]) -> None:
        name, kind = parameter.name, parameter.kind
        text = name
        if parameter.default is not Parameter.empty:
            text = f"{name}={_OWN}default_{at}"
            self.defaults[f"{_OWN}default_{at}"] = parameter.default
        if kind is Parameter.VAR_POSITIONAL:
            text = f"*{name}"
        elif kind is Parameter.VAR_KEYWORD:
            text = f"**{name}"
        if kind is Parameter.KEYWORD_ONLY and Parameter.VAR_POSITIONAL not in kinds and Parameter.KEYWORD_ONLY not in kinds[:at]:
            self._declared.append("*")
        self._declared.append(text)
        if kind is Parameter.POSITIONAL_ONLY and Parameter.POSITIONAL_ONLY not in kinds[at + 1 :]:
            self._declared.append("/")
        self._forwarded.append(f"{name}={name}" if kind is Parameter.KEYWORD_ONLY else text if text[0] == "*" else name)

    def fields(self) -> dict[str, str]:
        """Return the pieces for the templates."""
        return {
            "declared": ", ".join((*self._slash, *self._declared)),
            "bound": ", ".join(self._declared),
            "forwarded": ", ".join(self._forwarded),
            "values": "".join(f"{name}, " for name in self.positions),
        }


def generate(
    spelling: Spelling, name: str, *, is_async: bool, names: Mapping[str, Any]
) -> tuple[Callable[..., Any], Callable[..., tuple[Any, ...]]]:
    """Return the method that calls through the cache, and a function that only binds arguments to the tuple of values.

    Args:
        spelling: of the user's function.
        name: for tracebacks and error messages about arguments.
        is_async: make a coroutine function.
        names: what the body needs: ``bypassed``, ``fn``, ``begin``, ``request``, ``Hit``, ``Behind``, ``behind``, ``partial``,
            ``abandon``, ``commit``.
    """
    shown = name if name.isidentifier() else "memoized"
    fields = spelling.fields() | {"name": shown, "a": "async " if is_async else "", "w": "await " if is_async else ""}
    made: list[Callable[..., Any]] = []
    for template in (_BODY, _BIND):
        scope: dict[str, Any] = {_OWN + key: value for key, value in names.items()} | spelling.defaults
        exec(compile(template.format_map(fields), f"<afresh wrapper of {name}>", "exec"), scope)  # noqa: S102  the point of this module
        made.append(scope[shown])
    return made[0], made[1]
