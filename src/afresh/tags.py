"""Tag templates: ``"user:{user_id}"``, ``"tenant:{self.tenant}"``, checked where the function is decorated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from string import Formatter
from typing import Any, NamedTuple

from afresh.core.suggest import listed
from afresh.errors import ConfigurationError

__all__ = ["TagTemplates", "rendered_by"]


class _Field(NamedTuple):
    before: str
    position: int
    path: tuple[str, ...]
    name: str


class TagTemplates:
    """The tags of a function's calls.

    Args:
        templates: text with ``{param}`` or ``{param.attribute}``.
        parameters: the function's parameters and their positions.

    Raises:
        ConfigurationError: for a parameter that does not exist, or more than names and attributes in the braces.
    """

    __slots__ = ("_templates", "constant")

    def __init__(self, templates: Iterable[str], parameters: Mapping[str, int]) -> None:
        parsed = [_parse(template, parameters) for template in listed("tags", templates)]
        self._templates = [pair for pair in parsed if pair[0]]
        self.constant = tuple(tail for fields, tail in parsed if not fields)

    def go_beyond(self, positions: Sequence[int]) -> bool:
        """Say whether some tag may change though the arguments at these positions are the same."""
        return any(field.path or field.position not in positions for fields, _ in self._templates for field in fields)

    def render(self, values: Sequence[Any]) -> tuple[str, ...]:
        """Return the tags of a call with these arguments, by position.

        Raises:
            ConfigurationError: for a value that is not str, int, UUID or enum: two of them might read the same.
        """
        if not self._templates:
            return self.constant
        return self.constant + tuple(
            "".join(field.before + _text(field, values[field.position]) for field in fields) + tail for fields, tail in self._templates
        )


def _parse(template: object, parameters: Mapping[str, int]) -> tuple[list[_Field], str]:
    if not isinstance(template, str) or not template:
        msg = f"tag {template!r} is not a template: give text such as 'user:{{user_id}}'."
        raise ConfigurationError(msg)
    fields: list[_Field] = []
    before = ""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        msg = f"tag template {template!r}: {error}. Write {{{{ and }}}} for braces."
        raise ConfigurationError(msg) from None
    for literal, name, spec, conversion in parts:
        before += literal
        if name is None:
            continue
        root, *path = name.split(".")
        if spec or conversion or "[" in name or not all(part.isidentifier() for part in (root, *path)):
            msg = f"tag template {template!r}: {{{name}}} must be a parameter, or an attribute of one as in {{user.id}}; nothing more."
            raise ConfigurationError(msg)
        if root not in parameters:
            msg = f"tag template {template!r} names {root!r}, which is no parameter. There are: {', '.join(parameters) or 'none'}."
            raise ConfigurationError(msg)
        fields.append(_Field(before, parameters[root], tuple(path), name))
        before = ""
    return fields, before


def _text(field: _Field, value: Any) -> str:
    for attribute in field.path:
        value = getattr(value, attribute)
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool) or not (isinstance(value, (str, int)) or _is_uuid(value)):
        msg = (
            f"a tag needs {{{field.name}}} to be a str, int, UUID or enum, not {type(value).__name__}: two values of other types might "
            f"read the same. Name an attribute, as in {{{field.name}.id}}, or pass tags= a function."
        )
        raise ConfigurationError(msg)
    return str(value)


def _is_uuid(value: object) -> bool:
    from uuid import UUID

    return isinstance(value, UUID)


def rendered_by(
    function: Callable[..., Iterable[str]], args: Sequence[Any], kwargs: Mapping[str, Any], *, what: str = "tags"
) -> tuple[str, ...]:
    """Return the tags that a user's function gives for a call; or, by the option `what`, for a result."""
    given = function(*args, **kwargs)
    tags = None if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
    if tags is None or not all(isinstance(tag, str) and tag for tag in tags):
        kinds = f" of {', '.join(sorted({type(tag).__name__ for tag in tags}))}" if tags else ""
        msg = f"the function given as {what}= must return an iterable of non-empty str, such as a list, not {type(given).__name__}{kinds}."
        raise ConfigurationError(msg)
    return tags
