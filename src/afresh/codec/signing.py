"""Authentication of stored bytes: who cannot sign cannot make us decode anything, nor move an entry to another key."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from afresh.errors import ConfigurationError, UndecodablePayload

__all__ = ["Signer"]

TAG_BYTES: Final = 16
_SHORTEST_KEY_BYTES: Final = 16
_PURPOSE: Final = b"afresh payload"  # so that no tag of another use of the same secret fits


class Signer:
    """Seals payloads with keyed BLAKE2b (RFC 7693): a tag of 16 bytes, then the payload as it was.

    The tag covers the entry's key, the bytes before the payload, and the payload, each preceded by its length so that no bytes
    can move from one to the next.

    Args:
        keys: secrets of at least 16 bytes; text counts as UTF-8. The first signs, all verify: to rotate, put the new one first,
            and drop the old one once what it signed has expired.

    Raises:
        ConfigurationError: for no keys, and for short ones; no key appears in the message.
    """

    def __init__(self, keys: Sequence[bytes | str]) -> None:
        if isinstance(keys, (bytes, str)):
            raise ConfigurationError("signing keys are a list, the newest first: write [key]")
        if not keys:
            raise ConfigurationError("signing needs at least one key: pass [key], for example [secrets.token_bytes(32)]")
        # Keyed once, then copied: setting up the key is half of the cost of a short message.
        self._hashes = [_keyed_hash(key, position) for position, key in enumerate(keys)]

    def seal(self, key: bytes, prefix: bytes, payload: bytes) -> bytes:
        """Return the sealed payload.

        Args:
            key: the entry's key.
            prefix: what stands before the payload in the envelope.
            payload: what the codec made.
        """
        return _tag(self._hashes[0], key, prefix, payload) + payload

    def open(self, key: bytes, prefix: bytes | memoryview, sealed: bytes | memoryview) -> memoryview:
        """Return the payload of a sealed one, without copying it.

        Raises:
            UndecodablePayload: unless one of the keys signed exactly these bytes for this entry.
        """
        view = memoryview(sealed)
        tag, payload = view[:TAG_BYTES], view[TAG_BYTES:]
        for keyed in self._hashes:
            if compare_digest(_tag(keyed, key, prefix, payload), tag):
                return payload
        raise UndecodablePayload("the signature of the payload is not ours")


def _keyed_hash(key: object, position: int) -> blake2b:
    secret = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    if not isinstance(secret, bytes) or len(secret) < _SHORTEST_KEY_BYTES:
        raise ConfigurationError(
            f"signing key {position} is not a text or bytes of at least {_SHORTEST_KEY_BYTES} bytes: take secrets.token_bytes(32)"
        )
    # BLAKE2b takes keys of up to 64 bytes; Django's SECRET_KEY may be longer.
    return blake2b(key=blake2b(secret, digest_size=64).digest(), digest_size=TAG_BYTES, person=_PURPOSE)


def _tag(keyed: blake2b, *parts: bytes | memoryview) -> bytes:
    digest = keyed.copy()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
