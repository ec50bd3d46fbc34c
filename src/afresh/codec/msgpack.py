"""The codec of plain values: self-describing msgpack that is faithful, or refuses.

Plain trees of dict, list, str, bytes, int, float, bool and None are what ormsgpack makes of them, at its speed. Everything else
is first lowered to such a tree (``lowering``; ``kinds`` shows the bytes) and lifted after parsing.

What ormsgpack would change in silence, it is not given: its pass-through options are on, so that subclasses, tuples,
dataclasses, enums, datetimes and UUIDs are refused rather than sliced; keys other than str are refused at first (with
``OPT_NON_STR_KEYS`` an enum would become its value, a UUID its text) and packed once lowering has checked them. It takes
bytearray and memoryview for bytes: so where its output may hold bytes at all, the value is walked. Its own ``Ext`` and
``Fragment`` pass inside plain trees; they are means of writing msgpack, not values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import ormsgpack
from ormsgpack import packb, unpackb

from afresh.codec.annotations import AnnotatedTypes
from afresh.codec.classes import Classes
from afresh.codec.lifting import Extension, lift
from afresh.codec.lowering import AS_IS, MAX_DEPTH, WITH_CARE, lower
from afresh.codec.refusal import Refused, type_name
from afresh.errors import UndecodablePayload, UnencodableValue

__all__ = ["MsgpackCodec", "codec_for"]

_NOTHING_SLICED: Final = (
    ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
_ANY_KEYS: Final = ormsgpack.OPT_NON_STR_KEYS


class MsgpackCodec:
    """Encodes values as msgpack: what comes back equals what went in and is of the same type, all the way down, or is refused.

    Equality is kept, identity is not: two references to one list come back as two lists. Threads may share a codec.

    Args:
        types: users' classes that no module shows under their name (local ones). Iterated once, when a class is first met.

    Attributes:
        codec_id: what names this codec in an envelope.
        schema: 0: payloads carry the fingerprints of their classes themselves.
    """

    codec_id: Final = 0
    schema: Final = 0

    def __init__(self, types: Iterable[type] = ()) -> None:
        self._classes = Classes(types)

    def encode(self, value: object) -> bytes:
        """Return the payload.

        Raises:
            UnencodableValue: if the value would not come back equal and of the same type; names the path to the part.

        Cost: that of ``ormsgpack.packb`` for plain trees; some 0.1 µs for each part of other values.
        """
        try:
            packed = packb(value, option=_NOTHING_SLICED)
        except TypeError:
            return self._encode_lowered(value, None)
        # 0xc4 to 0xc6 begin bytes in msgpack, which may have been a bytearray. Integers as needles: a search in C.
        if 196 in packed or 197 in packed or 198 in packed:
            return self._encode_lowered(value, packed)
        return packed

    def decode(self, payload: bytes | memoryview) -> Any:
        """Return the value of a payload; nobody else holds any mutable part of it.

        No module of a user's is imported, no constructor of theirs is run (but for msgspec's Structs). Memory is bounded by a
        multiple of the payload's size, recursion by ormsgpack's limit of 1,024 levels and Python's.

        Raises:
            UndecodablePayload: for bytes that no codec like this one wrote, and for classes that are not loaded here.
            SchemaChanged: for a class whose fields were others.

        Cost: that of ``ormsgpack.unpackb`` for plain trees.
        """
        try:
            return unpackb(payload, option=_ANY_KEYS)
        except ValueError:  # an extension, most likely
            return self._decode_lowered(payload)

    def _encode_lowered(self, value: object, packed: bytes | None) -> bytes:
        try:
            for plain in (AS_IS, WITH_CARE):
                lowered = lower(value, self._classes, plain)
                if lowered is value and packed is not None:
                    return packed
                try:
                    return packb(lowered, option=_NOTHING_SLICED | _ANY_KEYS)
                except TypeError:  # a large integer, a surrogate, or too deep
                    continue
        except Refused as refused:
            raise refused.as_error() from None
        except RecursionError:
            pass  # the same to callers as a tree that is too deep for ormsgpack
        except Exception as error:
            raise UnencodableValue(type_name(type(value)), reason=f"reading it raised {type(error).__name__}") from error
        raise UnencodableValue(type_name(type(value)), reason=f"it is nested deeper than {MAX_DEPTH} levels")

    def _decode_lowered(self, payload: bytes | memoryview) -> Any:
        try:
            return lift(unpackb(payload, ext_hook=Extension, option=_ANY_KEYS), self._classes)
        except UndecodablePayload:
            raise
        except Exception as error:  # noqa: BLE001  # hostile bytes make any constructor raise anything
            raise UndecodablePayload(f"the payload does not decode: {type(error).__name__}") from None


def codec_for(annotation: object, function: Callable[..., object] | None = None) -> MsgpackCodec:
    """Return a codec that finds the classes that an annotation reaches, local ones included.

    Names in strings are looked up when a class is first met, so they may be defined later; what does not resolve is ignored.

    Args:
        annotation: what a function returns: a class, a union, a generic, a string, anything else.
        function: whose globals and closure give names in strings their meaning.

    Returns:
        Without a function, one codec for each annotation, shared by those who ask for it.
    """
    if function is None and isinstance(annotation, Hashable):
        with suppress(TypeError):  # Annotated[int, []] has a hash method that raises
            return _shared(annotation)
    return MsgpackCodec(AnnotatedTypes(annotation, function))


@lru_cache(maxsize=256)
def _shared(annotation: Hashable) -> MsgpackCodec:
    return MsgpackCodec(AnnotatedTypes(annotation))
