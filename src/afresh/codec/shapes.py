"""The kinds of users' classes that are kept: how an instance is taken apart, and put together without running constructors.

No library is imported: who holds an instance of its class has it loaded.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import Enum, Flag
from types import MemberDescriptorType, NoneType
from typing import Any, ClassVar

from afresh.codec.refusal import Refused

__all__ = ["SHAPES", "Shape", "shape_of"]


class Shape(ABC):
    """How instances of one class are stored; there is a subclass for each kind of class.

    Attributes:
        title: the kind, for the reference and the fingerprint.
        stored: for the reference: what the parts are.
        limits: for the reference: what is refused, or not kept.
    """

    title: ClassVar[str]
    stored: ClassVar[str]
    limits: ClassVar[str] = ""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    @staticmethod
    @abstractmethod
    def fits(candidate: type) -> bool:
        """Return whether a class is of this kind."""

    @abstractmethod
    def fields(self) -> Iterable[str]:
        """Return the fields, which the fingerprint covers together with their annotations."""

    @abstractmethod
    def take(self, value: Any) -> list[Any]:
        """Take an instance apart. Raises ``Refused``."""

    @abstractmethod
    def build(self, parts: list[Any]) -> object:
        """Put an instance together from parts that may be hostile; may raise anything."""


def shape_of(cls: type) -> Shape | None:
    """Return how instances of a class are stored; None if it is of no known kind."""
    for shape in SHAPES:
        if shape.fits(cls):
            return shape(cls)
    return None


class _FlagMember(Shape):
    title = "enum.Flag"
    stored = "its integer"

    @staticmethod
    def fits(candidate: type) -> bool:
        return issubclass(candidate, Flag)

    def fields(self) -> Iterable[str]:
        return _members(self._cls)

    def take(self, value: Flag) -> list[Any]:
        return [value.value]

    def build(self, parts: list[Any]) -> object:
        return self._cls(*parts)


class _EnumMember(Shape):
    title = "enum.Enum"
    stored = "its name"
    limits = "to change, add or remove any member changes the class"

    @staticmethod
    def fits(candidate: type) -> bool:
        return issubclass(candidate, Enum)

    def fields(self) -> Iterable[str]:
        return _members(self._cls)

    def take(self, value: Enum) -> list[Any]:
        return [value._name_]

    def build(self, parts: list[Any]) -> object:
        return self._cls.__members__[parts[0]]


class _NamedTuple(Shape):
    title = "NamedTuple, namedtuple"
    stored = "its items"
    limits = "refused with attributes of its own"

    @staticmethod
    def fits(candidate: type) -> bool:
        return issubclass(candidate, tuple) and hasattr(candidate, "_fields") and hasattr(candidate, "_make")

    def fields(self) -> Iterable[str]:
        return tuple(self._cls._fields)

    def take(self, value: Any) -> list[Any]:
        if getattr(value, "__dict__", None):
            raise Refused(value, "it has attributes of its own, which are not kept")
        return list(value)

    def build(self, parts: list[Any]) -> object:
        if len(parts) != len(self._cls._fields):
            msg = "another number of fields"
            raise ValueError(msg)
        return tuple.__new__(self._cls, parts)


class _Struct(Shape):
    title = "msgspec.Struct"
    stored = "its fields, and attributes where it allows some"
    limits = "the constructor runs; where that calls a __post_init__, the fields are then set to what was stored"

    @staticmethod
    def fits(candidate: type) -> bool:
        msgspec = sys.modules.get("msgspec")
        return msgspec is not None and issubclass(candidate, msgspec.Struct)

    def fields(self) -> Iterable[str]:
        return tuple(self._cls.__struct_fields__)

    def take(self, value: Any) -> list[Any]:
        return [{name: getattr(value, name) for name in self.fields()}, dict(getattr(value, "__dict__", {}))]

    def build(self, parts: list[Any]) -> object:
        fields, attributes = parts
        value = self._cls(**fields)
        if hasattr(value, "__post_init__"):
            for name, item in fields.items():
                sys.modules["msgspec"].structs.force_setattr(value, name, item)
        if attributes:
            vars(value).update(attributes)
        return value


class _Attributes(Shape):
    title = "dataclass, attrs class"
    stored = "its attributes, in slots or not, fields or not"
    limits = "refused where it inherits from a builtin type; the arguments of a generic alias that it was made by are not kept"

    def __init__(self, cls: Any) -> None:
        super().__init__(cls)
        self._slots = {
            name: member
            for base in reversed(cls.__mro__)
            for name, member in vars(base).items()
            if isinstance(member, MemberDescriptorType)
        }

    @staticmethod
    def fits(candidate: type) -> bool:
        if not hasattr(candidate, "__dataclass_fields__") and not hasattr(candidate, "__attrs_attrs__"):
            return False
        try:
            object.__new__(candidate)
        except TypeError:  # it has state that a builtin base holds for it
            return False
        return True

    def fields(self) -> Iterable[str]:
        if hasattr(self._cls, "__dataclass_fields__"):
            return tuple(self._cls.__dataclass_fields__)
        return tuple(attribute.name for attribute in self._cls.__attrs_attrs__)

    def take(self, value: Any) -> list[Any]:
        state = dict(getattr(value, "__dict__", {}))
        state.pop("__orig_class__", None)  # set by typing on instances of generic classes
        for name, member in self._slots.items():
            try:
                state[name] = member.__get__(value)
            except AttributeError:  # a field that was never set
                continue
        if "_attrs_cached_hash" in state:
            state["_attrs_cached_hash"] = None  # hashes differ between processes; attrs computes it again
        return [state]

    def build(self, parts: list[Any]) -> object:
        (state,) = parts
        if type(state) is not dict:
            msg = "not the state of an object"
            raise TypeError(msg)
        value = object.__new__(self._cls)
        for name, member in self._slots.items():
            if name in state:
                member.__set__(value, state.pop(name))  # past a frozen class's __setattr__
        if state:
            value.__dict__.update(state)
        return value


class _Model(Shape):
    title = "pydantic.BaseModel"
    stored = "its attributes, extra and private ones, and which fields were set"
    limits = "no validation on the way back"

    _STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")

    def __init__(self, cls: Any) -> None:
        super().__init__(cls)
        self._base = sys.modules["pydantic.main"].BaseModel

    @staticmethod
    def fits(candidate: type) -> bool:
        pydantic = sys.modules.get("pydantic.main")
        return pydantic is not None and issubclass(candidate, pydantic.BaseModel)

    def fields(self) -> Iterable[str]:
        return (*self._cls.__pydantic_fields__, *sorted(self._cls.__private_attributes__))

    def take(self, value: Any) -> list[Any]:
        state = self._base.__getstate__(value)
        return [state[name] for name in self._STATE]

    def build(self, parts: list[Any]) -> object:
        attributes, fields_set, *_ = parts
        if type(attributes) is not dict or type(fields_set) is not set:
            msg = "not the state of a model"
            raise TypeError(msg)
        value = object.__new__(self._cls)
        self._base.__setstate__(value, dict(zip(self._STATE, parts, strict=True)))
        return value


class _Url(Shape):
    title = "pydantic.AnyUrl"
    stored = "its text"
    limits = "no validation on the way back; refused if an equal one cannot be made of its text"

    _CLASSES: ClassVar[dict[str, str]] = {"_BaseUrl": "Url", "_BaseMultiHostUrl": "MultiHostUrl"}

    @staticmethod
    def fits(candidate: type) -> bool:
        return any(base.__module__ == "pydantic.networks" and base.__qualname__ in _Url._CLASSES for base in candidate.__mro__)

    def fields(self) -> Iterable[str]:
        return ()

    def take(self, value: Any) -> list[Any]:
        parts = [str(value)]
        if getattr(value, "__dict__", {}).keys() > {"_url"} or self.build(parts) != value:
            raise Refused(value, "it is more than its text: return that")
        return parts

    def build(self, parts: list[Any]) -> object:
        (text,) = parts
        core = next(self._CLASSES[base.__qualname__] for base in self._cls.__mro__ if base.__qualname__ in self._CLASSES)
        value = object.__new__(self._cls)
        value._url = getattr(sys.modules["pydantic_core"], core)(text)  # past constructors, which are the users'
        return value


# The first that fits: an enum may be made of dataclasses, a pydantic dataclass is a dataclass.
SHAPES: tuple[type[Shape], ...] = (_FlagMember, _EnumMember, _NamedTuple, _Struct, _Attributes, _Model, _Url)


def _members(cls: Any) -> list[str]:
    return [f"{name}={_constant(member.value)}" for name, member in cls.__members__.items()]


def _constant(value: object) -> str:
    if type(value) is tuple:
        return f"({','.join(map(_constant, value))})"
    return repr(value) if type(value) in {bool, bytes, float, int, str, NoneType} else type(value).__qualname__
