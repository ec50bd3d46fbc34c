"""zstd dictionaries: what the results of one function have in common, told once instead of in each of them (RFC 8878, section 5).

``afresh train`` makes them from what is stored, and keeps them on the server. A process compresses with the newest that it knows of, and
fetches any other when it meets an entry that was compressed with it. An entry names its dictionary in its header, by a number that is made
from the dictionary's content: whatever happens on the server, it never comes to mean another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from threading import local
from typing import TYPE_CHECKING, Final, NamedTuple

from afresh.codec.compression import decompressed
from afresh.core.digest import blake2b

if TYPE_CHECKING:
    from zstandard import ZstdCompressor, ZstdDecompressor

__all__ = ["SMALLEST_BYTES", "Dictionaries", "number_of", "train"]

# What is smaller than this gains less than the frame around it takes.
SMALLEST_BYTES: Final = 32
_LARGEST_SHARE: Final = 0.9
_LEVEL: Final = 3
# How often a process asks for a newer dictionary, when it stores something anyhow.
_EVERY_US: Final = 60_000_000


def number_of(content: bytes) -> int:
    """Return the number of a dictionary: 16 bits, as the header has them, but not 0."""
    return int.from_bytes(blake2b(content, digest_size=2).digest(), "little") or 1


class _Pair(NamedTuple):
    """What works with one dictionary, in one thread: contexts must not be shared by two."""

    compressor: ZstdCompressor
    decompressor: ZstdDecompressor


class _Pairs(local):
    """A thread's pairs, by the dictionary's number."""

    def __init__(self) -> None:
        self.by_number: dict[int, _Pair] = {}


class Dictionaries:
    """The dictionaries of one function, as far as this process has fetched them.

    Attributes:
        key: of the hash on the server: a field for each dictionary, by its number, and ``current``, the newest one's number.
        current: the number that new entries are compressed with; 0 for none.
    """

    __slots__ = ("_asked_us", "_known", "_pairs", "current", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self.current = 0
        self._known: dict[int, bytes] = {}
        self._pairs = _Pairs()
        self._asked_us: float = -inf

    def is_due(self, now_us: int) -> bool:
        """Say whether it is time to ask for the newest number, and count that as done."""
        if now_us - self._asked_us < _EVERY_US or not _has_zstd():
            return False
        self._asked_us = now_us
        return True

    def lacks(self, number: int) -> bool:
        """Say whether this dictionary must be fetched first."""
        return number not in self._known and _has_zstd()

    def know(self, number: int, content: bytes) -> None:
        """Keep a dictionary, unless it is not what its number says."""
        if number_of(content) == number:
            self._known[number] = content

    def compress(self, payload: bytes) -> tuple[int, bytes] | None:
        """Return the current dictionary's number and the compressed payload, or None where it stays as it is."""
        number = self.current
        if not number or len(payload) < SMALLEST_BYTES:
            return None
        packed = self._pair(number).compressor.compress(payload)
        return (number, packed) if len(packed) <= len(payload) * _LARGEST_SHARE else None

    def decompress(self, number: int, packed: bytes | memoryview, max_bytes: int) -> bytes:
        """Return the payload.

        Raises:
            UndecodablePayload: for a dictionary that is not there, and as `afresh.codec.compression.decompress` does.
        """
        return decompressed(lambda: self._pair(number).decompressor, packed, max_bytes)

    def _pair(self, number: int) -> _Pair:
        pairs = self._pairs.by_number
        if number not in pairs:
            pairs[number] = _pair(self._known[number])
        return pairs[number]


def _pair(content: bytes) -> _Pair:
    from zstandard import ZstdCompressionDict, ZstdCompressor, ZstdDecompressor

    shared = ZstdCompressionDict(content)
    return _Pair(ZstdCompressor(level=_LEVEL, dict_data=shared, write_dict_id=False), ZstdDecompressor(dict_data=shared))


def _has_zstd() -> bool:
    try:
        import zstandard  # noqa: F401  for that alone
    except ImportError:
        return False
    return True


def train(samples: Sequence[bytes], size_bytes: int) -> bytes | None:
    """Return a dictionary made from samples; None if they are too few, or have nothing in common.

    Raises:
        ImportError: without zstandard.
    """
    from zstandard import ZstdError, train_dictionary

    try:
        content: bytes = train_dictionary(size_bytes, list[bytes | bytearray | memoryview](samples), level=_LEVEL).as_bytes()
    except ZstdError:
        return None
    return content
