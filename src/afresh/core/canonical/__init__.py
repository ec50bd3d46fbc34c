"""The canonical encoding of arguments: one byte string for each value, the same in every process, thread and hash seed.

Rule
    Two values share an encoding exactly when they have the same class and the same content, where content is all that can be
    read off a value, except the order of dicts and sets and what else refers to it. So what prints or computes differently is
    never one key, even where Python calls it equal: ``1``, ``1.0`` and ``True``; ``0.0`` and ``-0.0``; ``Decimal("1.0")`` and
    ``Decimal("1.00")``; two datetimes of one instant in two zones. Every NaN is one key. A class is its module and qualified
    name.

Bytes
    Keys are names on a server that other versions of afresh share, so this is a wire format. ``<n>`` is a count in decimal
    digits; every form ends where its own bytes say, so that no two sequences of values run together::

        n                    None
        T  F                 True, False
        i<hex>;              int: sign and lower-case hexadecimal digits (linear in its size, unlike decimal ones)
        f<8 bytes>           float: IEEE 754 binary64, little-endian; every NaN is 7ff8000000000000
        c<8 bytes><8 bytes>  complex: real and imaginary part, each as a float's
        s<n>:<bytes>         str: n characters, in UTF-8 with lone surrogates let through
        b<n>:<bytes>         bytes           B<n>:<bytes>  bytearray          r<n>:<bytes>  memory of an array
        t<n>:<items>         tuple           l<n>:<items>  list
        e<n>:<items>         set             E<n>:<items>  frozenset; items in the order of their encodings
        d<n>:<keys><values>  dict: the keys in the order of their encodings, then their values in that order
        o<module><name><n>:<names><values>
                             any other object: its class, the names of its parts (each a str as above) in the order of their
                             code points, then the parts; the modules beside this one say which parts a class has
        ^<n>;                the function or class that is open n levels further up (a function whose closure holds itself)

    A key carries ``:`` and a readable form of the arguments where they are few, short and plain, else ``#`` and 32 hex digits:
    BLAKE2b with a 16-byte digest of the encoding of the tuple of all arguments. Neither can spell the other.

Walk
    Each kind writes its own head and hands back what is inside; one loop does the rest. So nesting costs no stack, bytes go
    into the hash as they lie, and the path to an offending value is known only when it is asked for. Items of sets and keys
    of dicts alone are encoded in memory, to be sorted. A value that is met twice is encoded twice; one that is met inside itself
    is refused.
"""

from __future__ import annotations

import re
import struct
from math import isfinite
from operator import length_hint
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from afresh.core.canonical.identify import identify
from afresh.core.canonical.rule import Raw, type_name
from afresh.core.digest import blake2b
from afresh.errors import UnkeyableArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

__all__ = ["KINDS", "Kind", "digest", "encode", "render"]

# Children are labelled by position in a tuple, by key or part name in a dict.
Children: TypeAlias = "tuple[object, ...] | dict[Any, object]"
# A value that is being written: what is inside it, and an iterator that says how far that has got.
_Frame: TypeAlias = "tuple[object, Children, Iterator[object]]"

_CHUNK = 1 << 20
_READABLE = 80
_WIDEST_INT = 10**40
_FIRST_CYCLE_CHECK = 64
_DEEPEST = 1 << 17
_DEEPEST_UNORDERED = 32
_LONGEST_LABEL = 40
_LONGEST_PATH = 12

_float_bytes = struct.Struct("<d").pack
_NAN = bytes.fromhex("000000000000f87f")
_not_plain = re.compile(r"[^A-Za-z0-9_.@/+-]").search


def render(values: tuple[object, ...], names: tuple[str, ...]) -> str:
    """Return the arguments' part of a call's key.

    Injective over all calls: two calls get one text exactly when they have one encoding. Pure, and the same in every process.

    Args:
        values: the call's arguments, in the order of the function's parameters.
        names: what to call each of them in an error, as many as there are values.

    Returns:
        ``":7,'en',None"`` while at most 80 characters long and made of ``None``, bools, ints, finite floats and strings of
        letters, digits and ``_.@/+-``; else ``"#"`` and 32 hex digits.

    Raises:
        UnkeyableArgument: naming the argument that has no identity.

    Cost:
        Half a microsecond for two short scalars; no round trip.
    """
    readable = []
    value: Any
    for value in values:
        kind = type(value)
        if kind is str:
            if len(value) > _READABLE or _not_plain(value):
                break
            readable.append(f"'{value}'")
        elif kind is int:
            if not -_WIDEST_INT < value < _WIDEST_INT:
                break
            readable.append(f"{value}")
        elif value is None or kind is bool or (kind is float and isfinite(value)):
            readable.append(repr(value))
        else:
            break
    else:
        text = ":" + ",".join(readable)
        if len(text) <= _READABLE:
            return text
    hasher = blake2b(b"t%d:" % len(values), digest_size=16)
    writer = Writer(hasher.update)
    for name, value in zip(names, values, strict=True):
        writer.put(value, name)
    return "#" + hasher.hexdigest()


def digest(value: object, argument: str = "") -> bytes:
    """Return the 16-byte BLAKE2b digest of a value's canonical encoding.

    Args:
        value: any value that has an identity, nested as deeply as need be.
        argument: what to call it in an error.

    Raises:
        UnkeyableArgument: naming the part that has no identity.

    Cost:
        Linear in the value's size. Bytes, text and arrays are hashed as they lie: beside the items of sets and the keys of
        dicts no copy is made.
    """
    hasher = blake2b(digest_size=16)
    Writer(hasher.update).put(value, argument)
    return hasher.digest()


def encode(value: object, argument: str = "") -> bytes:
    """Return a value's canonical encoding, whose digest ``digest`` returns.

    Args:
        value: as for ``digest``.
        argument: as for ``digest``.

    Raises:
        UnkeyableArgument: naming the part that has no identity.
    """
    pieces: list[bytes] = []
    Writer(pieces.append).put(value, argument)
    return b"".join(pieces)


class Writer:
    """Where an encoding goes, and the values that are open around the one being written.

    Args:
        write: takes the next bytes, of any type that has the buffer protocol.
    """

    __slots__ = ("_check_at", "_frames", "_unordered", "write")

    def __init__(self, write: Callable[[Any], object], unordered: int = 0) -> None:
        self.write = write
        self._unordered = unordered
        self._frames: list[_Frame] = []
        self._check_at = _FIRST_CYCLE_CHECK

    def put(self, value: object, argument: str) -> None:
        """Write a value and all that is in it."""
        frames = self._frames
        writers = _WRITERS
        frames.append((None, (value,), iter((value,))))
        try:
            while frames:
                for item in frames[-1][2]:
                    children = writers.get(type(item), _object)(item, self)
                    if children:
                        self._open(item, children)
                        break
                else:
                    self._close()
        except UnkeyableArgument as refusal:
            path = argument + self._path() + refusal.argument
            raise UnkeyableArgument(refusal.type_name, path, refusal.reason) from None

    def encodings(self, values: Collection[object], label: str) -> list[bytes]:
        """Return the encodings of values that are to be sorted."""
        if self._unordered == _DEEPEST_UNORDERED:
            raise UnkeyableArgument("set or dict", label, "it contains itself, or nests sets and keys of dicts too deeply")
        pieces: list[bytes] = []
        inner = Writer(pieces.append, self._unordered + 1)
        encodings = []
        for value in values:
            if type(value) is str:  # nearly every key of a dict
                encodings.append(_text(value))
            else:
                inner.put(value, label)
                encodings.append(b"".join(pieces))
                pieces.clear()
        return encodings

    def levels_up_to(self, value: object) -> int:
        """Return how many levels up a value is open, 0 if it is not."""
        for levels, (container, _, _) in enumerate(reversed(self._frames), 1):
            if container is value:
                return levels
        return 0

    def _open(self, container: object, children: Children) -> None:
        frames = self._frames
        frames.append((container, children, iter(children.values() if type(children) is dict else children)))
        if len(frames) >= self._check_at:
            self._refuse_cycle()
            self._check_at *= 2

    def _close(self) -> None:
        container, children, _ = self._frames.pop()
        if type(container) in (dict, list) and len(container) != len(children):  # type: ignore[arg-type]  # both have a length
            raise _changed(container)

    def _refuse_cycle(self) -> None:
        """Look for a value inside itself: at doubling depths only, so that it costs nothing where nothing is deep."""
        seen = set()
        for depth, (container, _, _) in enumerate(self._frames):
            if id(container) in seen:
                del self._frames[depth:]  # the path in the error ends where the circle closes
                raise UnkeyableArgument(type_name(type(container)), reason="it contains itself")
            seen.add(id(container))
        if len(self._frames) >= _DEEPEST:
            self._frames.pop()  # nothing in it has been looked at
            raise UnkeyableArgument(type_name(type(self._frames[1][0])), reason=f"it is nested deeper than {_DEEPEST} levels")

    def _path(self) -> str:
        frames = self._frames[1:]
        if len(frames) <= _LONGEST_PATH:
            return "".join(_label(*frame) for frame in frames)
        half = _LONGEST_PATH // 2
        return "…".join("".join(_label(*frame) for frame in end) for end in (frames[:half], frames[-half:]))


def _label(container: object, children: Children, items: Iterator[object]) -> str:
    """Return how Python would spell the step from a container to the child that is being written."""
    position = len(children) - length_hint(items) - 1
    if type(children) is not dict:
        return f"[{position}]"
    key = list(children)[position]
    if type(container) is not dict:
        return f".{key}" if key else ""
    text = repr(key) if type(key) in _SHOWN_KEYS else type_name(type(key))
    return f"[{text[:_LONGEST_LABEL]}]"


def _changed(container: object) -> UnkeyableArgument:
    return UnkeyableArgument(type_name(type(container)), reason="it changed while its key was made")


def _text(text: str) -> bytes:
    return f"s{len(text)}:{text}".encode("utf-8", "surrogatepass")


def _none(_: None, out: Writer) -> Children:
    out.write(b"n")
    return ()


def _bool(value: bool, out: Writer) -> Children:  # noqa: FBT001  # the value itself
    out.write(b"T" if value else b"F")
    return ()


def _int(value: int, out: Writer) -> Children:
    out.write(b"i%x;" % value)
    return ()


def _float(value: float, out: Writer) -> Children:
    out.write(b"f" + (_float_bytes(value) if value == value else _NAN))  # noqa: PLR0124  # only a NaN differs from itself
    return ()


def _complex(value: complex, out: Writer) -> Children:
    out.write(b"c")
    for part in (value.real, value.imag):
        out.write(_float_bytes(part) if part == part else _NAN)  # noqa: PLR0124  # as above
    return ()


def _str(value: str, out: Writer) -> Children:
    if len(value) <= _CHUNK:
        out.write(_text(value))
        return ()
    out.write(b"s%d:" % len(value))
    for start in range(0, len(value), _CHUNK):
        out.write(value[start : start + _CHUNK].encode("utf-8", "surrogatepass"))
    return ()


def _bytes(value: bytes, out: Writer) -> Children:
    out.write(b"b%d:" % len(value))
    out.write(value)
    return ()


def _bytearray(value: bytearray, out: Writer) -> Children:
    out.write(b"B%d:" % len(value))
    out.write(value)
    return ()


def _raw(value: Raw, out: Writer) -> Children:
    out.write(b"r%d:" % value.size_bytes)
    for chunk in value.chunks:
        out.write(chunk)
    return ()


def _tuple(value: tuple[object, ...], out: Writer) -> Children:
    out.write(b"t%d:" % len(value))
    return value


def _list(value: list[object], out: Writer) -> Children:
    items = tuple(value)
    out.write(b"l%d:" % len(items))
    return items


def _set(value: set[object] | frozenset[object], out: Writer) -> Children:
    items = tuple(value)
    encodings = out.encodings(items, "{element}")
    if len(value) != len(items):
        raise _changed(value)
    out.write((b"e%d:" if type(value) is set else b"E%d:") % len(items))
    out.write(b"".join(sorted(encodings)))
    return ()


def _dict(value: dict[object, object], out: Writer) -> Children:
    items = dict(value)
    by_encoding = dict(zip(out.encodings(items, "{key}"), items.items(), strict=True))
    if len(by_encoding) != len(items):
        raise UnkeyableArgument(type_name(type(value)), reason="two of its keys cannot be told apart")
    encodings = sorted(by_encoding)
    out.write(b"d%d:" % len(items))
    out.write(b"".join(encodings))
    return dict([by_encoding[encoding] for encoding in encodings])


def _object(value: object, out: Writer) -> Children:
    if isinstance(value, FunctionType | type) and (levels := out.levels_up_to(value)):
        out.write(b"^%d;" % levels)
        return ()
    module, qualname, parts = identify(value)
    names = sorted(parts)
    labels = "".join([f"s{len(name)}:{name}" for name in names])
    head = f"os{len(module)}:{module}s{len(qualname)}:{qualname}{len(names)}:{labels}"
    out.write(head.encode("utf-8", "surrogatepass"))
    return {name: parts[name] for name in names}


class Kind(NamedTuple):
    """How a plain built-in value is encoded.

    Attributes:
        write: writes the value's head and returns what is inside it.
        keyed_by: what enters the key, in words, for the reference.
        example: an expression, for the reference.
    """

    write: Callable[[Any, Writer], Children]
    keyed_by: str
    example: str


KINDS: dict[type, Kind] = {
    type(None): Kind(_none, "itself", "None"),
    bool: Kind(_bool, "itself, never as an int", "True"),
    int: Kind(_int, "its value, of any size", "7"),
    float: Kind(_float, "its 64 bits: -0.0 is not 0.0; every NaN is one key", "1.5"),
    complex: Kind(_complex, "both parts, as floats", "1j"),
    str: Kind(_str, "its characters, lone surrogates too", '"en"'),
    bytes: Kind(_bytes, "its bytes", 'b"en"'),
    bytearray: Kind(_bytearray, "its bytes; not equal to bytes", 'bytearray(b"en")'),
    tuple: Kind(_tuple, "its items, in order", '(1, "a")'),
    list: Kind(_list, "its items, in order; not equal to a tuple", '[1, "a"]'),
    set: Kind(_set, "its items, in any order", "{1, 2}"),
    frozenset: Kind(_set, "its items, in any order; not equal to a set", "frozenset({1, 2})"),
    dict: Kind(_dict, "its items, in any order", '{"a": 1}'),
}
"""The values that are encoded by themselves; all others are objects, which ``identify`` takes apart."""

_WRITERS: dict[type, Callable[[Any, Writer], Children]] = {Raw: _raw, **{cls: kind.write for cls, kind in KINDS.items()}}
_SHOWN_KEYS = (str, int, bool, type(None), float, bytes)
