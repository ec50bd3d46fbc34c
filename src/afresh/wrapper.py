"""Functions generated for a signature: Python itself binds the arguments, so that every spelling of a call is one call.

The generated code is a dozen lines whatever the function::

    def profile(user_id, *, lang=_afresh_default_1):
        if _afresh_bypassed():
            return _afresh_fn(user_id, lang=lang)
        _afresh_got = _afresh_begin(_afresh_request((user_id, lang)))
        if _afresh_got.__class__ is _afresh_Hit:
            return _afresh_got.value
        if _afresh_got.__class__ is _afresh_Behind:
            return _afresh_behind(_afresh_got, _afresh_partial(_afresh_fn, user_id, lang=lang))
        try:
            _afresh_value = _afresh_fn(user_id, lang=lang)
        except _afresh_BaseException as _afresh_error:
            _afresh_kept = _afresh_abandon(_afresh_got, _afresh_error)
            if _afresh_kept is None:
                raise
            return _afresh_kept.value
        _afresh_commit(_afresh_got, _afresh_value)
        return _afresh_value

It calls the function itself: a traceback has one frame more than without it, and so has recursion.

Where a call's arguments can say all about its key (see `afresh.near.calls`), it begins with a look at the near tier, which makes no key,
takes no lock and calls nothing of ours. Not inside a compute, which depends on what it reads::

        if _afresh_surroundings() is None and _afresh_DISABLED not in _afresh_environment:
            try:
                _afresh_entry = _afresh_entries[user_id, lang, _afresh_type(user_id), _afresh_type(lang)]
            except _afresh_Exception:
                pass  # not there, or unhashable
            else:
                _afresh_bound = _afresh_entry.generation.bound_s
                if _afresh_entry.until_s > _afresh_now(_afresh_CLOCK) < _afresh_bound:
                    ...
                    return _afresh_entry.value

The bound is loaded before the entry is looked at, and then the clock is read: rule 5 of `afresh.near.generation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from afresh.errors import ConfigurationError
from afresh.near.clock import CLOCK
from afresh.runtime.surroundings import DISABLED

if TYPE_CHECKING:
    from inspect import Parameter

__all__ = ["Generator", "Spelling", "lookup"]

_OWN = "_afresh_"
# What generated code has of Python's own, whatever the parameters are called.
_BUILTINS = {_OWN + each.__name__: each for each in (BaseException, Exception, type)}

_BODY = """\
{a}def {name}({declared}):{first}{near}
    if _afresh_bypassed():
        return {w}_afresh_fn({forwarded})
    _afresh_got = {w}_afresh_begin(_afresh_request(({values})))
    if _afresh_got.__class__ is _afresh_Hit:{remember}
        return _afresh_got.value
    if _afresh_got.__class__ is _afresh_Behind:
        return {w}_afresh_behind(_afresh_got, _afresh_partial(_afresh_fn, {forwarded}))
    try:
        _afresh_value = {w}_afresh_fn({forwarded})
    except _afresh_BaseException as _afresh_error:
        _afresh_kept = {w}_afresh_abandon(_afresh_got, _afresh_error)
        if _afresh_kept is None:
            raise
        return _afresh_kept.value
    {w}_afresh_commit(_afresh_got, _afresh_value)
    return _afresh_value
"""
_NEAR = """
    if _afresh_surroundings() is None and _afresh_DISABLED not in _afresh_environment:
        try:
            _afresh_entry = _afresh_entries[{call}]
        except _afresh_Exception:
            pass
        else:
            _afresh_bound = _afresh_entry.generation.bound_s
            if {same_kind}_afresh_entry.until_s > _afresh_now(_afresh_CLOCK) < _afresh_bound:
                _afresh_value = _afresh_entry.value
                if _afresh_value is not _afresh_UNSHARED or (_afresh_value := _afresh_copy(_afresh_entry)) is not _afresh_UNSHARED:
                    _afresh_entry.visited = True
                    _afresh_tally.near_hits += 1
                    return _afresh_value"""
for _name, _constant in (("CLOCK", CLOCK), ("DISABLED", DISABLED)):  # a look at a global costs a hundredth of a hit
    _NEAR = _NEAR.replace(_OWN + _name, repr(_constant))
_REMEMBER = """
        if _afresh_got.near:
            _afresh_{remember}(({values}))"""
_BIND = """\
def {name}({declared}):
    return ({values})
"""


_SAME_KIND = f"{_OWN}type({{name}}) is {_OWN}entry.kind and "
_LOOKUP = "def lookup(key):" + _NEAR.format(call="key", same_kind=_SAME_KIND.format(name="key")) + f"\n    return {_OWN}missing"


def lookup(names: Mapping[str, Any], missing: object) -> Callable[[Any], Any]:
    """Return a function from one plain argument to its near hit, or `missing`. `names` are what near hits need: see `Generator`."""
    scope: dict[str, Any] = {_OWN + name: value for name, value in names.items()} | _BUILTINS | {f"{_OWN}missing": missing}
    exec(compile(_LOOKUP, "<afresh near lookup>", "exec"), scope)  # noqa: S102  the point of this module
    made: Callable[[Any], Any] = scope["lookup"]
    return made


class Spelling:
    """A function's parameters as source text.

    Attributes:
        positions: each parameter's place in the tuple of its call's values.
        first: the parameter that a method's instance goes to; None if it has none of its own.
        defaults: what the generated code calls the defaults by.

    Raises:
        ConfigurationError: if the signature cannot be read, or uses afresh's own names.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        from inspect import signature  # slow to import

        try:
            parameters = signature(function).parameters
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
        self._variadic = {at for at, each in enumerate(parameters.values()) if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD}}
        first = next(iter(parameters.values()), None)
        takes_instance = first is not None and first.kind in {first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD}
        self.first: str | None = next(iter(parameters)) if takes_instance else None
        # What stands for the first parameter of a bound call is positional only: the others may have any name.
        self._slash = () if first is not None and first.POSITIONAL_ONLY in kinds else ("/",)

    def _add(self, at: int, parameter: Parameter, kinds: list[Any]) -> None:
        name, kind = parameter.name, parameter.kind
        text = name
        if parameter.default is not parameter.empty:
            text = f"{name}={_OWN}default_{at}"
            self.defaults[f"{_OWN}default_{at}"] = parameter.default
        if kind is parameter.VAR_POSITIONAL:
            text = f"*{name}"
        elif kind is parameter.VAR_KEYWORD:
            text = f"**{name}"
        if kind is parameter.KEYWORD_ONLY and parameter.VAR_POSITIONAL not in kinds and parameter.KEYWORD_ONLY not in kinds[:at]:
            self._declared.append("*")
        self._declared.append(text)
        if kind is parameter.POSITIONAL_ONLY and parameter.POSITIONAL_ONLY not in kinds[at + 1 :]:
            self._declared.append("/")
        self._forwarded.append(f"{name}={name}" if kind is parameter.KEYWORD_ONLY else text if text[0] == "*" else name)

    def have_fixed(self, positions: Iterable[int]) -> bool:
        """Say whether each of these parameters is one argument, not any number of them."""
        return self._variadic.isdisjoint(positions)

    def fields(self) -> dict[str, str]:
        """Return the pieces for the templates."""
        return {
            "declared": ", ".join(self._declared),
            "declared_after_first": ", ".join((f"{_OWN}self", *self._slash, *self._declared[1:])),
            "forwarded": ", ".join(self._forwarded),
            "values": "".join(f"{name}, " for name in self.positions),
        }

    def call_fields(self, positions: Sequence[int], *, of_method: bool = False) -> dict[str, str]:
        """Return what the parameters at these positions are looked up by: see `afresh.near.calls`."""
        names = [*self.positions]
        wanted = [names[at] for at in positions]
        if of_method:
            me, *wanted = wanted
            return {"call": _tuple(f"{_OWN}identity({me})", *wanted, *map(_type_of, wanted)), "same_kind": ""}
        if len(wanted) == 1:
            return {"call": wanted[0], "same_kind": _SAME_KIND.format(name=wanted[0])}
        return {"call": _tuple(*wanted, *map(_type_of, wanted)), "same_kind": ""}


def _type_of(name: str) -> str:
    return f"{_OWN}type({name})"


def _tuple(*parts: str) -> str:
    return "".join(("(", *(f"{part}, " for part in parts), ")"))


class Generator:
    """Makes functions with the signature of a user's.

    Args:
        spelling: of the user's function.
        name: for tracebacks and error messages about arguments.
        is_async: make coroutine functions.
        names: what the body needs: ``bypassed``, ``fn``, ``begin``, ``request``, ``Hit``, ``Behind``, ``behind``, ``partial``,
            ``abandon``, ``commit``; and for near hits ``surroundings``, ``environment``, ``entries``, ``now``, ``UNSHARED``, ``copy``,
            ``tally``, ``remember``, ``identity``, ``remember_method``.
        found_by: the positions of the parameters that near hits are found by; None where they cannot be.
    """

    def __init__(
        self, spelling: Spelling, name: str, *, is_async: bool, names: Mapping[str, Any], found_by: Sequence[int] | None = None
    ) -> None:
        self._name = name
        self._shown = name if name.isidentifier() else "memoized"
        self._scope: dict[str, Any] = {_OWN + key: value for key, value in names.items()} | _BUILTINS | spelling.defaults
        self._spelling = spelling
        self._found_by = found_by
        self._fields = spelling.fields() | {"name": self._shown, "a": "async " if is_async else "", "w": "await " if is_async else ""}
        self._fields |= {"first": "", "near": "", "remember": ""}
        if found_by is not None:
            self._fields |= self._near_fields(found_by)

    def call(self) -> Callable[..., Any]:
        """Return the function that calls through the cache."""
        return self._made(_BODY)

    def bound_call(self) -> Callable[..., Any] | None:
        """Return the method that does so for a handle that is bound to the first argument; None for a signature that has none."""
        me, found_by = self._spelling.first, self._found_by
        if me is None:
            return None
        near = self._near_fields(found_by, of_method=True) if found_by is not None and 0 in found_by else {}
        return self._made(_BODY, declared=self._fields["declared_after_first"], first=f"\n    {me} = {_OWN}self.__self__", **near)

    def _near_fields(self, found_by: Sequence[int], *, of_method: bool = False) -> dict[str, str]:
        remember = {"remember": "remember_method" if of_method else "remember", "values": self._fields["values"]}
        near = _NEAR.format_map(self._spelling.call_fields(found_by, of_method=of_method))
        return {"near": near, "remember": _REMEMBER.format_map(remember)}

    def bind(self) -> Callable[..., tuple[Any, ...]]:
        """Return a function that only binds arguments to the tuple of values."""
        return self._made(_BIND)

    def _made(self, template: str, **others: str) -> Callable[..., Any]:
        scope = dict(self._scope)
        code = compile(template.format_map(self._fields | others), f"<afresh wrapper of {self._name}>", "exec")
        exec(code, scope)  # noqa: S102  the point of this module
        made: Callable[..., Any] = scope[self._shown]
        return made
