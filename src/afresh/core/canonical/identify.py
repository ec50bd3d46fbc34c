"""From an object to what tells it from all others.

Asked in this order: a ``__cache_key__`` method; a rule for the very class; a class; an enum member; then together the rule of the
nearest base class, the content of a built-in base class, declared fields, and the attributes that none of these covers. What
nothing is known of is refused: a ``repr`` may be cut short, and an address may be another object's tomorrow.
"""

from __future__ import annotations

from enum import Enum, Flag
from types import FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any

from afresh.core.canonical.arrays import ARRAY_RULES
from afresh.core.canonical.callables import CALLABLE_RULES, identify_class, speaker_of
from afresh.core.canonical.frames import FRAME_RULES
from afresh.core.canonical.models import FIELDS, MODEL_RULES
from afresh.core.canonical.rule import HEAP_TYPE, Identity, Parts, Rule, class_name, is_found, type_name
from afresh.core.canonical.values import VALUE_RULES
from afresh.errors import UnkeyableArgument

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CONTENT", "RULES", "identify"]

_TABLES = (VALUE_RULES, CALLABLE_RULES, ARRAY_RULES, FRAME_RULES, MODEL_RULES)
RULES: dict[tuple[str, ...], Rule] = {tuple(name.rsplit(".", 1)): rule for table in _TABLES for name, rule in table.items()}
"""The rule of each class that has one, by the module and the qualified name that keys know it by."""


def _items_of(cls: Any) -> Callable[[Any], object]:
    iterate = cls.__iter__

    def items(value: object) -> object:
        return cls(iterate(value))

    return items


# By the built-in class's own methods: those of the subclass may say anything.
CONTENT: dict[type, Callable[[Any], object]] = {
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: bytes.__bytes__,
    bytearray: bytearray.copy,
    tuple: _items_of(tuple),
    list: _items_of(list),
    set: _items_of(set),
    frozenset: _items_of(frozenset),
    dict: lambda value: dict(dict.items(value)),
}
"""What an instance of a subclass holds as an instance of a built-in class."""


def identify(value: Any) -> Identity:
    """Return what tells an object from all others.

    Args:
        value: anything but the plain built-in values, which are encoded as they are.

    Raises:
        UnkeyableArgument: for an object that has no identity, without the path to it.
    """
    if isinstance(value, FunctionType) and (speaker := speaker_of(value)) is not None:
        value = speaker  # a memoized function
    cls = type(value)
    module, qualname = name = class_name(cls)
    if hasattr(cls, "__cache_key__"):
        if not callable(value.__cache_key__):
            raise UnkeyableArgument(type_name(cls), reason="its __cache_key__ is no method")
        return module, qualname, {"__cache_key__()": value.__cache_key__()}
    if rule := RULES.get(name):
        parts = rule.parts(value)
        if rule.subclasses == "attributes" and (state := getattr(value, "__dict__", None)):
            parts["__dict__"] = state
        return module, qualname, parts
    if issubclass(cls, type):
        return identify_class(value)
    if issubclass(cls, Enum):
        return module, qualname, _member(value, cls)
    return module, qualname, _parts(value, cls)


def _member(member: Enum, cls: type[Enum]) -> Parts:
    if issubclass(cls, Flag) or not is_found(cls, cls.__module__, cls.__qualname__):
        return {"name": member._name_, "value": member._value_}
    return {"name": member._name_}


def _parts(value: Any, cls: type) -> Parts:
    ruled, builtin = _known_bases(cls)
    rule = RULES.get(class_name(ruled))
    mark = next((mark for mark in FIELDS if hasattr(cls, mark)), "")
    if not rule and builtin is object and not mark:
        raise _no_identity(cls)
    if rule and rule.subclasses == "refused":
        raise UnkeyableArgument(type_name(cls), reason=f"what it adds to {type_name(ruled)} cannot be told from that class's own")
    parts = rule.parts(value) if rule else {}
    if not issubclass(ruled, builtin):
        parts |= _content(value, cls, builtin)
    if mark:
        parts |= {name: getattr(value, name) for name in FIELDS[mark](cls) if hasattr(value, name)}
    if mark not in vars(cls) and not (rule and rule.subclasses == "covered"):
        parts |= _attributes(value, cls, ruled if rule else builtin, parts)
    return parts


def _known_bases(cls: type) -> tuple[type, type]:
    """Return the nearest base class that has a rule, and the built-in one; ``object`` where there is none."""
    ruled: type = object
    builtin: type = object
    for base in reversed(cls.__mro__):
        if class_name(base) in RULES:
            ruled = base
        if base in CONTENT:
            builtin = base
    return ruled, builtin


def _content(value: Any, cls: type, builtin: type) -> Parts:
    parts: Parts = {"": CONTENT[builtin](value)}
    if builtin is tuple and hasattr(cls, "_fields"):
        parts["_fields"] = cls._fields
    return parts


def _attributes(value: Any, cls: type, base: type, known: Parts) -> Parts:
    """Return what an instance carries beside what its base class holds."""
    attributes: Parts = {}
    for owner in cls.__mro__[: cls.__mro__.index(base)]:
        if not owner.__flags__ & HEAP_TYPE:
            raise UnkeyableArgument(type_name(cls), reason=f"what the compiled {type_name(owner)} adds to {type_name(base)} is hidden")
        for name, slot in vars(owner).items():
            if isinstance(slot, MemberDescriptorType) and name not in known and hasattr(value, name):
                attributes.setdefault(name, slot.__get__(value))
    state = getattr(value, "__dict__", {})
    if state is not value and (unknown := {name: held for name, held in state.items() if name not in known}):
        attributes["__dict__"] = unknown  # (a dict whose attributes are its own items holds nothing besides)
    return attributes


def _no_identity(cls: type) -> UnkeyableArgument:
    if any(hasattr(cls, name) for name in ("__next__", "__anext__", "__await__")):
        return UnkeyableArgument(type_name(cls), reason="reading it would use it up")
    return UnkeyableArgument(type_name(cls), reason="nothing says what makes two of them the same")
