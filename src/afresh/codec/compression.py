"""Compression of payloads with zstd, where it is worth it and the library ``zstandard`` is installed.

A compressed payload is one zstd frame that states the size of its content (RFC 8878, section 3.1.1.1.4).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from threading import local
from typing import TYPE_CHECKING, Final

from afresh.errors import UndecodablePayload

if TYPE_CHECKING:
    from zstandard import ZstdCompressor, ZstdDecompressor

__all__ = ["SMALLEST_BYTES", "compress", "decompress", "decompressed"]

SMALLEST_BYTES: Final = 1024
_LARGEST_SHARE: Final = 0.9


class _Contexts(local):
    """One pair of contexts for each thread: making them costs as much as the work, and two threads must not share one."""

    @cached_property
    def compressor(self) -> ZstdCompressor | None:
        try:
            from zstandard import ZstdCompressor
        except ImportError:
            return None
        return ZstdCompressor(level=3)

    @cached_property
    def decompressor(self) -> ZstdDecompressor:
        from zstandard import ZstdDecompressor

        return ZstdDecompressor()


_contexts = _Contexts()


def compress(payload: bytes) -> bytes | None:
    """Return the compressed payload, or None where it stays as it is.

    It stays below 1 KiB, where less than a tenth would be saved, and where zstandard is not installed.
    """
    if len(payload) < SMALLEST_BYTES or (compressor := _contexts.compressor) is None:
        return None
    packed = compressor.compress(payload)
    return packed if len(packed) <= len(payload) * _LARGEST_SHARE else None


def decompress(packed: bytes | memoryview, max_bytes: int) -> bytes:
    """Return the payload that ``compress`` was given.

    Args:
        packed: hostile bytes at worst.
        max_bytes: what the content may take; no more is allocated, whatever the frame says.

    Raises:
        UndecodablePayload: for anything but one whole frame of at most ``max_bytes``, and where zstandard is not installed.
    """
    return decompressed(lambda: _contexts.decompressor, packed, max_bytes)


def decompressed(decompressor: Callable[[], ZstdDecompressor], packed: bytes | memoryview, max_bytes: int) -> bytes:
    """Do what `decompress` does, by a decompressor of the caller's."""
    try:
        from zstandard import get_frame_parameters

        size = get_frame_parameters(packed).content_size
        if size <= max_bytes:
            return decompressor().decompress(packed, allow_extra_data=False)
    except ImportError:
        raise UndecodablePayload("the payload is compressed: install zstandard to read it") from None
    except Exception as error:  # noqa: BLE001  # zstandard documents ZstdError; hostile bytes get the widest net
        raise UndecodablePayload(f"the payload does not decompress: {type(error).__name__}") from None
    raise UndecodablePayload(f"the payload does not say that it decompresses to at most {max_bytes} bytes")
