"""An entry's bytes. Everything little-endian; version 1.

::

    offset size
     0      2   magic            AF FE
     2      1   version          1
     3      1   flags            1 namespace stamp, 2 function stamp, 4 compressed, 8 signed, 16 negative
     4      1   codec            who encoded the payload; 1 = the digits of an integer
     5      1   tags             how many tag stamps, 0 to 255
     6      2   dictionary       of the compression; 0 = none
     8      8   created          ms since the epoch, by the server's clock
    16      8   fresh until      the same; 2**64 - 1 = for ever
    24      4   cost             of the compute, microseconds, saturating
    28      4   schema           fingerprint of the value's type; 0 = none
    32      8   namespace's stamp, if flagged
            8   function's stamp, if flagged
           16   per tag: 8 hash, 8 stamp
            …   payload

The bytes before the payload are the *prefix*. Whether an entry is valid depends on its prefix alone, which is why a claim names what it
saw by the prefix. Scripts read offsets 0 to 5 and 16 (incr.lua, touch.lua): a change here is a change there.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

__all__ = [
    "CODEC_SHIFT",
    "FOR_EVER",
    "HEADER_BYTES",
    "LARGE_BYTES",
    "MAX_TAGS",
    "PLAIN",
    "SEEN_BYTES",
    "Entry",
    "Flag",
    "entry_in",
    "has_tags",
    "head_of",
    "pack_prefix",
    "parse",
    "was_set_since",
]

_HEADER = struct.Struct("<3sBBBHQQII")
# What a plain entry is told by: all before its times as one number, created, fresh until, schema.
PLAIN: Final = struct.Struct("<QQQ4xI")
# Where the codec is in that number.
CODEC_SHIFT: Final = 32
# The magic, and the version known here.
_BEGINNING: Final = b"\xaf\xfe\x01"
HEADER_BYTES: Final = _HEADER.size
MAX_TAGS: Final = 255
FOR_EVER: Final = 2**64 - 1
# What names bytes that are no envelope in a claim: their beginning.
SEEN_BYTES: Final = 64
_TAGS_AT: Final = 5
LARGE_BYTES: Final = 4096
_MAX_COST: Final = 2**32 - 1


class Flag:
    """Bits of the flags byte."""

    NAMESPACE: Final = 1
    FUNCTION: Final = 2
    COMPRESSED: Final = 4
    SIGNED: Final = 8
    NEGATIVE: Final = 16


class Entry(NamedTuple):
    """A parsed envelope: the header's fields in their order, then where the payload begins, and all of it."""

    flags: int
    codec: int
    tags: int
    dictionary: int
    created_ms: int
    fresh_until_ms: int
    cost_us: int
    schema: int
    offset: int
    raw: bytes

    @property
    def vector(self) -> bytes:
        """The stamps as stored: the namespace's and function's alone, then hash and stamp of each tag."""
        return self.raw[HEADER_BYTES : self.offset]

    @property
    def prefix(self) -> bytes:
        """Header and stamps."""
        return self.raw[: self.offset]

    @property
    def payload(self) -> bytes | memoryview:
        """The encoded value, not copied where that would take longer than not to."""
        raw = self.raw
        return raw[self.offset :] if len(raw) < LARGE_BYTES else memoryview(raw)[self.offset :]

    def tag_stamps(self) -> dict[bytes, bytes]:
        """Stamps by tag hash, without the namespace's and the function's."""
        raw, start = self.raw, self.offset - 16 * self.tags
        return {raw[at : at + 8]: raw[at + 8 : at + 16] for at in range(start, self.offset, 16)}


def parse(raw: bytes) -> Entry | None:
    """Return the entry in `raw`, or None for bytes that are no envelope of a version known here."""
    if len(raw) < HEADER_BYTES:
        return None
    beginning, flags, codec, tags, dictionary, created, until, cost, schema = _HEADER.unpack_from(raw)
    if beginning != _BEGINNING:
        return None
    offset = HEADER_BYTES + 8 * (flags & 1) + 4 * (flags & 2) + 16 * tags
    if len(raw) < offset:
        return None
    # Every hit comes by here: what Entry(...) would do before this takes as long as all the rest.
    return tuple.__new__(Entry, (flags, codec, tags, dictionary, created, until, cost, schema, offset, raw))


def entry_in(raw: bytes | None) -> bytes | None:
    """Return what the scripts take for an entry: its beginning is one, and nothing else of it matters to them."""
    return raw if raw is not None and len(raw) >= HEADER_BYTES and raw.startswith(_BEGINNING) else None


def has_tags(raw: bytes) -> bool:
    """Say whether these bytes, if they are an entry, depend on tags: `parse` without the work."""
    return len(raw) > _TAGS_AT and raw[_TAGS_AT] > 0


def head_of(flags: int, tags: int) -> int:
    """Return the number that an entry begins with (see `PLAIN`) that is not compressed, and whose codec is 0."""
    return int.from_bytes(_BEGINNING, "little") | flags << 24 | tags << 40


def pack_prefix(
    vector: bytes,
    *,
    flags: int,
    codec: int,
    tags: int,
    created_ms: int,
    fresh_until_ms: int,
    cost_us: int,
    schema: int,
    dictionary: int = 0,
) -> bytes:
    """Return header and stamps; the payload follows them."""
    cost = min(cost_us, _MAX_COST)
    return _HEADER.pack(_BEGINNING, flags, codec, tags, dictionary, created_ms, fresh_until_ms, cost, schema) + vector


def was_set_since(raw: object, since_ms: int) -> bool:
    """Say whether these are the bytes of an entry that was set, not computed, after this time; 0 is never. As invalidate.lua does."""
    entry = parse(raw) if isinstance(raw, bytes) and since_ms else None
    return entry is not None and entry.cost_us == 0 and entry.created_ms > since_ms
