"""From a value to an envelope's payload and back: integers as digits, everything else by a codec, sealed by a signer where there is one."""

from __future__ import annotations

from dataclasses import dataclass

from afresh.codec.integers import decode_int, encode_int
from afresh.codec.signing import Signer
from afresh.core.envelope import Entry, Flag
from afresh.core.ports import Codec, Encoded
from afresh.errors import UndecodablePayload, UnencodableValue

__all__ = ["INTEGER", "CodecValues"]

# The codec byte of an integer's digits; incr.lua knows it, too.
INTEGER = 1


@dataclass(frozen=True, slots=True)
class CodecValues:
    """What turns the values of one function, or of one cache, into entries.

    Attributes:
        codec: for everything but integers.
        signer: authenticates what the codec made; required by codecs whose decoding can run code.
        others: codecs whose entries are read as well.
    """

    codec: Codec
    signer: Signer | None = None
    others: tuple[Codec, ...] = ()

    @property
    def schema(self) -> int:
        """The codec's fingerprint of its type."""
        return self.codec.schema

    def encode(self, value: object, /) -> Encoded:
        """Return the payload.

        Raises:
            UnencodableValue: if the codec cannot hold the value, whatever it raised.
        """
        if value.__class__ is int:
            return Encoded(INTEGER, 0, encode_int(value))
        try:
            return Encoded(self.codec.codec_id, Flag.SIGNED if self.signer else 0, self.codec.encode(value))
        except UnencodableValue:
            raise
        except Exception as error:
            raise UnencodableValue(type(value).__name__, reason=f"{type(self.codec).__name__} raised {type(error).__name__}") from error

    def seal(self, key: str, prefix: bytes, encoded: Encoded, /) -> bytes:
        """Return the whole envelope."""
        if encoded.flags & Flag.SIGNED and self.signer is not None:
            return prefix + self.signer.seal(key.encode("utf-8", "surrogatepass"), _lasting(prefix), encoded.payload)
        return prefix + encoded.payload

    def decode(self, key: str, entry: Entry, /) -> object:
        """Return an entry's value.

        Raises:
            UndecodablePayload: for what no codec here decodes, and for what is not signed by us where it must be.
        """
        payload: bytes | memoryview = entry.payload
        if entry.codec == INTEGER and not entry.flags & Flag.SIGNED:
            return decode_int(payload)
        signer = self.signer
        if (signer is not None) != bool(entry.flags & Flag.SIGNED) or entry.flags & Flag.COMPRESSED:
            msg = "the entry was written under other options"
            raise UndecodablePayload(msg)
        if signer is not None:
            payload = signer.open(key.encode("utf-8", "surrogatepass"), _lasting(entry.prefix), payload)
        for codec in (self.codec, *self.others):
            if codec.codec_id == entry.codec:
                return codec.decode(payload)
        msg = f"no codec {entry.codec} here"
        raise UndecodablePayload(msg)


def _lasting(prefix: bytes) -> bytes:
    """Return what a signature covers of a prefix: all but "fresh until", which touch.lua changes in place."""
    return prefix[:16] + prefix[24:]
