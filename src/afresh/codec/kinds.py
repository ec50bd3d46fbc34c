"""The types that msgpack has no word for: how each is taken apart into simpler values, and put together again.

On the wire such a value is an array whose first item is an extension of no bytes; the extension's type is the kind's code::

    (1, "a")  =  93             array of 3
                 c7 00 10       extension, 0 bytes, type 16: tuple
                 01  a1 61      1, "a"

A plain list never begins with such an extension, since only ``lowering`` makes them, so the two cannot be confused; and one
pass of a msgpack parser reads any value, however nested. (Parts packed inside the extension would need a parser inside a
parser at each level: some 12 kB of hostile bytes are then enough to exhaust an 8 MB stack.)

Codes are part of the wire format: a code is never given to another kind.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, timezone
from importlib import import_module
from typing import Any, Final, NamedTuple

from afresh.codec import ndarray
from afresh.codec.refusal import Refused

__all__ = ["DICT", "KINDS", "KINDS_BY_CODE", "LARGE_INT", "OBJECT", "SURROGATE_STR", "Kind", "class_of", "kind_of"]

# Codes that the walks treat themselves: the type is one that msgpack knows, but for this value, or it is the user's.
DICT: Final = 1
LARGE_INT: Final = 2
SURROGATE_STR: Final = 3
OBJECT: Final = 4


class Kind(NamedTuple):
    """One type, exactly: never a subclass of it.

    Attributes:
        code: what names it on the wire, up to 127.
        home: the module where it is found; imported only to decode it.
        name: the class's name there, and its ``__name__``.
        dump: takes a value apart; its parts are lowered in turn. Raises ``Refused``.
        load: puts one together from the class and the parts; whatever it raises, the payload is undecodable. Parts may be
            hostile: nothing may be allocated by a number that stands in them.
        stored: for the reference: what the parts are.
        limits: for the reference: what is refused, or not kept.
    """

    code: int
    home: str
    name: str
    dump: Callable[[Any], list[Any]]
    load: Callable[[Any, list[Any]], object]
    stored: str
    limits: str = ""


def kind_of(cls: type) -> Kind | None:
    """Return the kind of a class, by identity: another class of the same name has none. Imports nothing."""
    kind = _KINDS_BY_NAME.get(cls.__name__)
    if kind is not None and getattr(sys.modules.get(kind.home), kind.name, None) is cls:
        return kind
    return _NUMPY_SCALAR if ndarray.is_scalar(cls) else None


def class_of(kind: Kind) -> Any:
    """Return a kind's class; its module is imported if need be: one of the table below, never one that a payload names."""
    return getattr(sys.modules.get(kind.home) or import_module(kind.home), kind.name)


def _from_items(cls: Any, parts: list[Any]) -> object:
    return cls(parts)


def _from_arguments(cls: Any, parts: list[Any]) -> object:
    return cls(*parts)


def _text(value: object) -> list[Any]:
    return [str(value)]


def _from_text(cls: Any, parts: list[Any]) -> object:
    (text,) = parts
    return cls(_exactly(str, text))


def _from_dict(cls: Any, parts: list[Any]) -> object:
    (items,) = parts
    return cls(_exactly(dict, items))


def _exactly(cls: type, part: Any) -> Any:
    # Constructors take any iterable: a range of 2**40 numbers, a network of as many addresses.
    if type(part) is not cls:
        msg = f"a part is no {cls.__name__}"
        raise TypeError(msg)
    return part


def _range(value: Any) -> list[Any]:
    return [value.start, value.stop, value.step]


def _mapping(value: Any) -> list[Any]:
    if vars(value):
        raise Refused(value, "it has attributes of its own, which are not kept")
    return [dict(value)]


_FACTORIES: dict[str | None, type | None] = {
    None: None,
    **{factory.__name__: factory for factory in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)},
}


def _dump_defaultdict(value: Any) -> list[Any]:
    name = getattr(value.default_factory, "__name__", None)
    if _FACTORIES.get(name) is not value.default_factory:
        raise Refused(value, "its default_factory is not a builtin type: return dict(...) of it")
    return [name, dict(value)]


def _load_defaultdict(cls: Any, parts: list[Any]) -> object:
    factory, items = parts
    return cls(_FACTORIES[factory], _exactly(dict, items))


def _load_bytearray(cls: Any, parts: list[Any]) -> object:
    return cls(_exactly(bytes, parts[0]))  # bytearray(n) would allocate n bytes


def _load_deque(cls: Any, parts: list[Any]) -> object:
    items, maxlen = parts
    return cls(_exactly(list, items), maxlen)


def _load_array(cls: Any, parts: list[Any]) -> object:
    typecode, items = parts
    return cls(typecode, _exactly(list, items))


def _load_namespace(cls: Any, parts: list[Any]) -> object:
    namespace = cls()
    vars(namespace).update(_exactly(dict, parts[0]))
    return namespace


def _dump_pattern(value: Any) -> list[Any]:
    if value.flags & re.DEBUG:
        raise Refused(value, "it was compiled with re.DEBUG")
    return [value.pattern, value.flags]


def _load_pattern(_cls: Any, parts: list[Any]) -> object:
    pattern, flags = parts
    return re.compile(pattern, flags & ~re.DEBUG)  # a payload must not make us print


def _is_unnamed(zone: timezone) -> bool:
    return zone.tzname(None) == timezone(zone.utcoffset(None)).tzname(None)


def _dump_moment(value: Any) -> list[Any]:
    zone = value.tzinfo
    if not value.fold and (zone is None or zone is UTC or (type(zone) is timezone and _is_unnamed(zone))):
        return [value.isoformat()]
    return [value.replace(tzinfo=None).isoformat(), value.fold, zone]


def _load_moment(cls: Any, parts: list[Any]) -> object:
    text, *rest = parts
    moment = cls.fromisoformat(text)
    if rest:
        fold, zone = rest
        moment = moment.replace(fold=fold, tzinfo=zone)
    return moment


def _load_date(cls: Any, parts: list[Any]) -> object:
    (text,) = parts
    return cls.fromisoformat(text)


def _dump_timezone(value: timezone) -> list[Any]:
    offset = value.utcoffset(None)
    return [offset] if _is_unnamed(value) else [offset, value.tzname(None)]


def _dump_zoneinfo(value: Any) -> list[Any]:
    if value.key is None or type(value)(value.key) is not value:
        raise Refused(value, "it is not the one that ZoneInfo(key) gives")
    return [value.key]


def _load_fraction(cls: Any, parts: list[Any]) -> object:
    numerator, denominator = parts
    return cls(_exactly(int, numerator), _exactly(int, denominator))  # Fraction("1e999999999") would compute that power


def _load_uuid(cls: Any, parts: list[Any]) -> object:
    return cls(bytes=parts[0])


KINDS: Final = (
    Kind(16, "builtins", "tuple", list, _from_items, "its items"),
    Kind(17, "builtins", "set", list, _from_items, "its items"),
    Kind(18, "builtins", "frozenset", list, _from_items, "its items"),
    Kind(19, "builtins", "bytearray", lambda value: [bytes(value)], _load_bytearray, "its bytes"),
    Kind(20, "builtins", "complex", lambda value: [value.real, value.imag], _from_arguments, "real and imaginary part"),
    Kind(21, "builtins", "range", _range, _from_arguments, "start, stop, step"),
    Kind(22, "builtins", "slice", _range, _from_arguments, "start, stop, step"),
    Kind(23, "types", "EllipsisType", lambda _value: [], _from_arguments, "nothing else"),
    Kind(24, "types", "SimpleNamespace", lambda value: [dict(vars(value))], _load_namespace, "its attributes"),
    Kind(25, "collections", "deque", lambda value: [list(value), value.maxlen], _load_deque, "its items, maxlen"),
    Kind(26, "collections", "OrderedDict", _mapping, _from_dict, "its items", "refused with attributes of its own"),
    Kind(27, "collections", "Counter", _mapping, _from_dict, "its items", "refused with attributes of its own"),
    Kind(
        28,
        "collections",
        "defaultdict",
        _dump_defaultdict,
        _load_defaultdict,
        "name of the factory, its items",
        f"refused with a factory other than {', '.join(map(str, _FACTORIES))}",
    ),
    Kind(29, "array", "array", lambda value: [value.typecode, value.tolist()], _load_array, "typecode, items"),
    Kind(30, "re", "Pattern", _dump_pattern, _load_pattern, "pattern, flags", "refused with re.DEBUG"),
    Kind(32, "datetime", "date", _text, _load_date, "ISO 8601"),
    Kind(33, "datetime", "time", _dump_moment, _load_moment, "ISO 8601; fold and zone where it has them", "zones: as datetime"),
    Kind(
        34,
        "datetime",
        "datetime",
        _dump_moment,
        _load_moment,
        "ISO 8601; fold and zone where it has them",
        "refused with a zone other than datetime.timezone and zoneinfo.ZoneInfo",
    ),
    Kind(
        35,
        "datetime",
        "timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        _from_arguments,
        "days, seconds, microseconds",
    ),
    Kind(36, "datetime", "timezone", _dump_timezone, _from_arguments, "offset; name where it was given one"),
    Kind(37, "zoneinfo", "ZoneInfo", _dump_zoneinfo, _from_text, "its key", "refused when made by no_cache or from_file"),
    Kind(40, "decimal", "Decimal", _text, _from_text, "its text: exponent, sign of zero and NaN payload are kept"),
    Kind(41, "fractions", "Fraction", lambda v: [v.numerator, v.denominator], _load_fraction, "numerator, denominator"),
    Kind(42, "uuid", "UUID", lambda value: [value.bytes], _load_uuid, "its 16 bytes", "is_safe is not kept"),
    Kind(48, "pathlib", "PosixPath", _text, _from_text, "its text", "decodes on POSIX systems only"),
    Kind(49, "pathlib", "WindowsPath", _text, _from_text, "its text", "decodes on Windows only"),
    Kind(50, "pathlib", "PurePosixPath", _text, _from_text, "its text"),
    Kind(51, "pathlib", "PureWindowsPath", _text, _from_text, "its text"),
    Kind(56, "ipaddress", "IPv4Address", _text, _from_text, "its text"),
    Kind(57, "ipaddress", "IPv6Address", _text, _from_text, "its text"),
    Kind(58, "ipaddress", "IPv4Network", _text, _from_text, "its text"),
    Kind(59, "ipaddress", "IPv6Network", _text, _from_text, "its text"),
    Kind(60, "ipaddress", "IPv4Interface", _text, _from_text, "its text"),
    Kind(61, "ipaddress", "IPv6Interface", _text, _from_text, "its text"),
    Kind(64, "numpy", "ndarray", ndarray.dump, ndarray.load, "dtype, shape, bytes", ndarray.LIMITS),
    Kind(65, "numpy", "generic", ndarray.dump_scalar, ndarray.load_scalar, "dtype, bytes", ndarray.SCALAR_LIMITS),
)

KINDS_BY_CODE: Final = {kind.code: kind for kind in KINDS}
_NUMPY_SCALAR = KINDS_BY_CODE[65]
_KINDS_BY_NAME = {kind.name: kind for kind in KINDS}
_KINDS_BY_NAME["ellipsis"] = _KINDS_BY_NAME["EllipsisType"]  # the one class here whose __name__ is another
