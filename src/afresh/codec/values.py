"""From a value to an envelope's payload and back: integers as digits, everything else by a codec, compressed and signed where wanted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from afresh.codec.compression import SMALLEST_BYTES, compress, decompress
from afresh.codec.dictionaries import Dictionaries
from afresh.codec.integers import decode_int, encode_int
from afresh.core.envelope import Entry, Flag
from afresh.core.ports import Codec, Encoded
from afresh.errors import ConfigurationError, UndecodablePayload, UnencodableValue

if TYPE_CHECKING:
    from afresh.codec.signing import Signer

__all__ = ["FOREIGN", "INTEGER", "MAX_VALUE_BYTES", "CodecValues", "Codecs", "SignedPickle", "check_codec"]

# The codec byte of an integer's digits; incr.lua knows it, too.
INTEGER: Final = 1
MAX_VALUE_BYTES: Final = 64 * 2**20
# Codecs from outside afresh have the numbers from here on.
FOREIGN: Final = 128
_TREATED: Final = Flag.SIGNED | Flag.COMPRESSED


class CodecValues:
    """What turns the values of one function, or of one cache, into entries.

    Attributes:
        codec: for everything but integers; for these as well, where there is a signer, or the codec is not afresh's own.
        signer: authenticates what the codec made; required by codecs whose decoding can run code.
        max_bytes: the largest payload that is stored, and that compressed bytes may grow to.
        dictionaries: of the function whose values these are.
        schema: the codec's fingerprint of its type.
        plain: the codec byte of payloads that need nothing but to be decoded, -1 if there are none, and what decodes.
    """

    __slots__ = ("_plain_below", "codec", "dictionaries", "max_bytes", "plain", "schema", "signer")

    def __init__(
        self, codec: Codec, signer: Signer | None = None, max_bytes: int = MAX_VALUE_BYTES, dictionaries: Dictionaries | None = None
    ) -> None:
        self.codec = codec
        self.signer = signer
        self.max_bytes = max_bytes
        self.dictionaries = dictionaries
        self.schema = codec.schema
        self.plain = (codec.codec_id if signer is None else -1), codec.decode
        # Payloads of fewer bytes are stored as they are.
        self._plain_below = 0 if signer is not None or dictionaries is not None else min(SMALLEST_BYTES, max_bytes + 1)

    def with_dictionaries(self, dictionaries: Dictionaries) -> CodecValues:
        """Return the same for the values of one function."""
        return CodecValues(self.codec, self.signer, self.max_bytes, dictionaries)

    @property
    def _has_digits(self) -> bool:
        """Say whether integers are stored as digits, for all to read and add to."""
        return self.signer is None and self.codec.codec_id < FOREIGN

    def encode(self, value: object, /) -> Encoded:
        """Return the payload.

        Raises:
            UnencodableValue: if the codec cannot hold the value, whatever it raised, or if that takes too much space.
        """
        if value.__class__ is int and self._has_digits:
            return Encoded(INTEGER, 0, encode_int(value))
        try:
            payload = self.codec.encode(value)
        except UnencodableValue:
            raise
        except Exception as error:
            raise UnencodableValue(type(value).__name__, reason=f"{type(self.codec).__name__} raised {type(error).__name__}") from error
        if len(payload) < self._plain_below:
            # What Encoded(…) does before this takes as long as packing a small value.
            return tuple.__new__(Encoded, (self.codec.codec_id, 0, payload, 0))
        return self._reduced(value, payload)

    def _reduced(self, value: object, payload: bytes) -> Encoded:
        if len(payload) > self.max_bytes:
            reason = f"it takes {len(payload):,} bytes, and max_value_bytes is {self.max_bytes:,}"
            raise UnencodableValue(type(value).__name__, reason=reason)
        flags = Flag.SIGNED if self.signer else 0
        number = 0
        if self.dictionaries is not None or len(payload) >= SMALLEST_BYTES:
            number, packed = self._compressed(payload)
            if packed is not None:
                payload, flags = packed, flags | Flag.COMPRESSED
        return Encoded(self.codec.codec_id, flags, payload, number)

    def _compressed(self, payload: bytes) -> tuple[int, bytes | None]:
        """Return the dictionary's number, 0 for none, and the compressed payload, None where it stays as it is."""
        if self.codec.codec_id >= FOREIGN:
            return 0, None
        return (self.dictionaries and self.dictionaries.compress(payload)) or (0, compress(payload))

    def seal(self, key: str, prefix: bytes, encoded: Encoded, /) -> bytes:
        """Return the whole envelope."""
        if encoded.flags & Flag.SIGNED and self.signer is not None:
            return prefix + self.signer.seal(key.encode("utf-8", "surrogatepass"), _lasting(prefix), encoded.payload)
        return prefix + encoded.payload

    def decode(self, key: str, entry: Entry, /) -> object:
        """Return an entry's value.

        Raises:
            UndecodablePayload: for what the codec does not decode, whatever it raised, what was written under other options, and what is
                not signed by us where it must be.
        """
        codec, decode = self.plain
        if entry.codec == codec and not entry.flags & _TREATED:
            payload = entry.payload
        elif entry.codec == INTEGER and self._has_digits and not entry.flags & Flag.SIGNED:
            return decode_int(entry.payload)
        else:
            payload = self._treated(key, entry)
        try:
            return decode(payload)
        except UndecodablePayload:
            raise
        except Exception as error:
            msg = f"{type(self.codec).__name__} raised {type(error).__name__}"
            raise UndecodablePayload(msg) from error

    def _treated(self, key: str, entry: Entry) -> bytes | memoryview:
        """Return what the codec made, of a payload that was signed or compressed after that."""
        payload = entry.payload
        signer = self.signer
        if (signer is not None) != bool(entry.flags & Flag.SIGNED):
            msg = "the entry was written with another codec"
            raise UndecodablePayload(msg)
        if signer is not None:
            payload = signer.open(key.encode("utf-8", "surrogatepass"), _lasting(entry.prefix), payload)
        if entry.codec != self.codec.codec_id:
            msg = f"the entry was written with codec {entry.codec}, not {self.codec.codec_id}"
            raise UndecodablePayload(msg)
        if entry.flags & Flag.COMPRESSED:
            payload = self._decompressed(entry.dictionary, payload)
        return payload

    def _decompressed(self, number: int, payload: bytes | memoryview) -> bytes:
        if not number:
            return decompress(payload, self.max_bytes)
        if self.dictionaries is None:
            msg = f"the entry was compressed with dictionary {number} of another function"
            raise UndecodablePayload(msg)
        return self.dictionaries.decompress(number, payload, self.max_bytes)


def _lasting(prefix: bytes) -> bytes:
    """Return what a signature covers of a prefix: all but "fresh until", which touch.lua changes in place."""
    return prefix[:16] + prefix[24:]


class SignedPickle:
    """Name this as ``codec=`` to cache what only pickle can hold.

    Each entry is authenticated with its key and header, all but when it ceases to be fresh, by keyed BLAKE2b (RFC 7693): who can write
    to the server but does not know a key cannot make a program unpickle anything, nor swap two entries. Such entries are misses.

    Args:
        keys: secrets of at least 16 bytes each. The first one signs, all verify: put a new one in front, and drop the last one later.

    Raises:
        ConfigurationError: for no key, or a short one.
    """

    def __init__(self, *keys: bytes | str) -> None:
        from afresh.codec.signing import Signer

        self._keys = keys
        self._signer = Signer(keys)

    def __repr__(self) -> str:
        return "SignedPickle(…)"

    def __reduce__(self) -> tuple[type[SignedPickle], tuple[bytes | str, ...]]:
        """Pickle by configuration, as the caches that name it do."""
        return SignedPickle, self._keys

    def values(self, max_bytes: int) -> CodecValues:
        """Return what encodes with these keys."""
        from afresh.codec.pickle import PickleCodec

        return CodecValues(PickleCodec(), self._signer, max_bytes)


class Codecs(NamedTuple):
    """How a cache encodes: by its own codec or the default one, for a type or for any value.

    Attributes:
        codec: instead of the default, which is msgpack.
        max_bytes: the largest payload.
    """

    codec: Codec | SignedPickle | None = None
    max_bytes: int = MAX_VALUE_BYTES

    def values(
        self, kind: object = None, function: Callable[..., object] | None = None, codec: Codec | SignedPickle | None = None
    ) -> CodecValues:
        """Return what encodes values of a kind.

        Args:
            kind: an annotation, whose classes the default codec will find even if they are local.
            function: whose names give an annotation in quotes its meaning.
            codec: instead of the cache's.
        """
        chosen = codec or self.codec
        if chosen is None:
            from afresh.codec.msgpack import codec_for

            return CodecValues(codec_for(kind, function), None, self.max_bytes)
        if isinstance(chosen, SignedPickle):
            return chosen.values(self.max_bytes)
        return CodecValues(chosen, None, self.max_bytes)

    def returned_by(self, function: Callable[..., object], codec: Codec | SignedPickle | None = None) -> CodecValues:
        """Return what encodes a function's results, by its return annotation, behind decorators, partials and objects that are called."""
        from inspect import unwrap  # slow to import

        inner = unwrap(function)
        while isinstance(inner, functools.partial):
            inner = unwrap(inner.func)
        if not hasattr(inner, "__code__"):
            inner = type(inner).__call__
        return self.values(getattr(inner, "__annotations__", {}).get("return"), inner, codec)


def check_codec(codec: Codec | SignedPickle | None) -> None:
    """Refuse what is no codec.

    Raises:
        ConfigurationError: naming what it lacks.
    """
    if codec is None or isinstance(codec, SignedPickle):
        return
    needed = ("codec_id", "schema", "encode", "decode")
    missing = [name for name in needed if not hasattr(codec, name)]
    if missing or isinstance(codec, type):
        msg = (
            f"codec={codec!r} is no codec: it must be an object with {', '.join(needed)} (afresh.Codec says what they do)"
            f"{'; it lacks ' + ', '.join(missing) if missing else ', not a class'}."
        )
        raise ConfigurationError(msg)
    if not isinstance(codec.codec_id, int) or not FOREIGN <= codec.codec_id < 2 * FOREIGN:
        msg = f"codec_id={codec.codec_id!r} of {type(codec).__name__} must be a number from {FOREIGN} to {2 * FOREIGN - 1}."
        raise ConfigurationError(msg)
