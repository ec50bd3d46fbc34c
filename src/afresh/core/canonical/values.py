"""How the values of the standard library are taken apart for a key.

Classes are named, not imported: a program that has no ``Decimal`` does not load ``decimal`` for its keys.
"""

from __future__ import annotations

from sys import byteorder
from typing import TYPE_CHECKING, Any

from afresh.core.canonical.rule import Parts, Raw, Rule
from afresh.errors import UnkeyableArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["VALUE_RULES"]

_CHUNK = 1 << 20


def _attributes(*names: str) -> Callable[[Any], Parts]:
    def parts(value: object) -> Parts:
        return {name: getattr(value, name) for name in names}

    return parts


def _nothing(_: object) -> Parts:
    return {}


def _text(value: object) -> Parts:
    return {"": str(value)}


def _state(value: object) -> Parts:
    return {"__dict__": dict(vars(value))}


def _reduced(value: Any) -> Parts:
    return {"__reduce__()": value.__reduce_ex__(2)}


def _zone(value: Any) -> Parts:
    if value.key is None:
        raise UnkeyableArgument("zoneinfo.ZoneInfo", reason="it was read from a file and has no key")
    return {"": value.key}


def _decimal(value: Any) -> Parts:
    sign, digits, exponent = value.as_tuple()
    return {"sign": sign, "digits": bytes(digits), "exponent": exponent}


def _ordered_dict(value: Any) -> Parts:
    return {"": list(value.items())}


def _default_dict(value: Any) -> Parts:
    return {"": dict(dict.items(value)), "default_factory": value.default_factory}


def _deque(value: Any) -> Parts:
    return {"": list(value), "maxlen": value.maxlen}


def _proxy(value: Any) -> Parts:
    return {"": dict(value)}


def _date(value: Any) -> Parts:
    return {"": f"{value.year}-{value.month}-{value.day}"}


def _time(value: Any) -> Parts:
    return {"": _clock(value), "fold": value.fold, "tzinfo": value.tzinfo}


def _datetime(value: Any) -> Parts:
    return {"": f"{value.year}-{value.month}-{value.day} {_clock(value)}", "fold": value.fold, "tzinfo": value.tzinfo}


def _clock(value: Any) -> str:
    return f"{value.hour}:{value.minute}:{value.second}.{value.microsecond}"


def _timedelta(value: Any) -> Parts:
    return {"": (value.days, value.seconds, value.microseconds)}


def _timezone(value: Any) -> Parts:
    return {"": value.utcoffset(None).total_seconds(), "name": value.tzname(None)}


def _array(value: Any) -> Parts:
    memory = memoryview(value)
    return {"typecode": value.typecode, "itemsize": value.itemsize, "byteorder": byteorder, "": Raw(memory.nbytes, (memory,))}


def _memoryview(value: memoryview) -> Parts:
    return {"format": value.format, "shape": value.shape, "": Raw(value.nbytes, _chunks(value))}


def _chunks(value: memoryview) -> Iterator[Any]:
    if value.ndim != 1:
        yield value.tobytes()  # only one dimension can be sliced
    elif value.c_contiguous:
        yield value
    else:
        for start in range(0, len(value), _CHUNK):
            yield value[start : start + _CHUNK].tobytes()


VALUE_RULES: dict[str, Rule] = {
    "builtins.ellipsis": Rule(_nothing, "itself", "..."),
    "builtins.NotImplementedType": Rule(_nothing, "itself", "NotImplemented"),
    "builtins.range": Rule(_attributes("start", "stop", "step"), "start, stop and step", "range(0, 10, 3)"),
    "builtins.slice": Rule(_attributes("start", "stop", "step"), "start, stop and step", "slice(1, None)"),
    "builtins.memoryview": Rule(_memoryview, "format, shape and content", 'memoryview(b"ab")'),
    "builtins.mappingproxy": Rule(_proxy, "its items, in any order", 'types.MappingProxyType({"a": 1})'),
    "array.array": Rule(_array, "typecode, item size, the machine's byte order and content", 'array.array("d", [1.5])'),
    "collections.ChainMap": Rule(_state, "its maps, in order", 'collections.ChainMap({"a": 1})', "covered"),
    "collections.OrderedDict": Rule(_ordered_dict, "its items, in order", "collections.OrderedDict(a=1)"),
    "collections.UserDict": Rule(_state, "its attributes", 'collections.UserDict({"a": 1})', "covered"),
    "collections.UserList": Rule(_state, "its attributes", "collections.UserList([1])", "covered"),
    "collections.UserString": Rule(_state, "its attributes", 'collections.UserString("a")', "covered"),
    "collections.defaultdict": Rule(_default_dict, "its items, in any order, and the factory", "collections.defaultdict(int, a=1)"),
    "collections.deque": Rule(_deque, "its items, in order, and maxlen", "collections.deque([1, 2], 5)"),
    "types.SimpleNamespace": Rule(_state, "its attributes", "types.SimpleNamespace(a=1)", "covered"),
    "datetime.date": Rule(_date, "year, month, day", "datetime.date(2024, 2, 29)"),
    "datetime.time": Rule(_time, "all fields, fold and tzinfo", "datetime.time(12, 30)"),
    "datetime.datetime": Rule(
        _datetime,
        "all fields, fold and tzinfo: one instant in two zones is two arguments",
        'datetime.datetime(2024, 2, 29, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))',
    ),
    "datetime.timedelta": Rule(_timedelta, "days, seconds, microseconds", "datetime.timedelta(hours=36)"),
    "datetime.timezone": Rule(_timezone, "offset and name", "datetime.timezone.utc"),
    "datetime.tzinfo": Rule(_reduced, "class and what it pickles to (``pytz``, your own)", "", "covered"),
    "zoneinfo.ZoneInfo": Rule(_zone, "its key; refused without one", 'zoneinfo.ZoneInfo("Europe/Paris")'),
    "decimal.Decimal": Rule(_decimal, "sign, digits and exponent: 1.0 and 1.00 differ", 'decimal.Decimal("1.50")'),
    "fractions.Fraction": Rule(_attributes("numerator", "denominator"), "numerator and denominator", "fractions.Fraction(1, 3)"),
    "uuid.UUID": Rule(_attributes("int"), "its 128 bits", "uuid.UUID(int=1)"),
    "pathlib.PurePath": Rule(_text, "class (pure or not, flavour) and text; never resolved", 'pathlib.PurePosixPath("/etc")'),
    "re.Pattern": Rule(_attributes("pattern", "flags"), "pattern and flags", 're.compile("a+", re.I)'),
    "operator.itemgetter": Rule(_reduced, "its items", 'operator.itemgetter("a")'),
    "operator.attrgetter": Rule(_reduced, "its attributes", 'operator.attrgetter("a.b")'),
    "operator.methodcaller": Rule(_reduced, "method and arguments", 'operator.methodcaller("strip", "-")'),
    **dict.fromkeys(("ipaddress.IPv4Address", "ipaddress.IPv6Address"), Rule(_text, "its text", 'ipaddress.ip_address("::1")')),
    **dict.fromkeys(
        ("ipaddress.IPv4Interface", "ipaddress.IPv6Interface", "ipaddress.IPv4Network", "ipaddress.IPv6Network"),
        Rule(_text, "its text", 'ipaddress.ip_network("10.0.0.0/8")', "refused"),
    ),
}
