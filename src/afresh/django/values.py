"""What Django caches, as bytes: plain data as msgpack, everything else as a pickle that is authenticated under SECRET_KEY.

Plain data are values of Python's own types, all the way down, as ``afresh.codec.kinds`` lists them: they need no signature, since
reading them runs no code. Instances of classes are pickled, even where msgpack could hold them: pickle imports their class, so that any
process finds what another one has cached. A pickle is read only if one of the project's secrets has signed exactly these bytes under
exactly this key; anything else is undecodable, which is a miss.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from django.conf import settings
from django.utils.crypto import salted_hmac

from afresh.codec.classes import Classes
from afresh.codec.msgpack import MsgpackCodec
from afresh.codec.pickle import PickleCodec
from afresh.codec.refusal import Refused
from afresh.codec.signing import Signer
from afresh.codec.values import CodecValues
from afresh.core.envelope import Entry, Flag
from afresh.core.ports import Encoded
from afresh.errors import UndecodablePayload, UnencodableValue

__all__ = ["DjangoValues"]

_SALT: Final = "afresh.django.RedisCache"
# What Django caches may be as large as the server takes: raising here would break a page that is served uncached elsewhere.
_MAX_BYTES: Final = 512 * 2**20


class _NoClasses(Classes):
    """The classes of a codec that knows none."""

    def layout_of(self, value: object) -> NoReturn:
        raise Refused(value, "instances of classes are pickled")

    def named(self, name: str, fingerprint: int) -> NoReturn:  # noqa: ARG002  as Classes has it
        raise UndecodablePayload("the payload names a class, which plain data do not")


class _PlainCodec(MsgpackCodec):
    """Msgpack for values of Python's own types only."""

    def __init__(self) -> None:
        super().__init__()
        self._classes = _NoClasses()


class DjangoValues:
    """Chooses for each value. Implements `afresh.core.ports.Values`; SECRET_KEY is read when the first pickle is met."""

    schema: Final = 0
    dictionaries: Final = None

    def __init__(self) -> None:
        self._plain = CodecValues(_PlainCodec(), max_bytes=_MAX_BYTES)
        self.plain = self._plain.plain
        self._pickled: tuple[list[object], CodecValues] | None = None

    def encode(self, value: object, /) -> Encoded:
        """Return the payload: digits of an integer, msgpack, or a pickle to be signed.

        Raises:
            Exception: whatever pickling raised, as with Django's own backends.
        """
        try:
            return self._plain.encode(value)
        except UnencodableValue:
            pass
        try:
            return self._signed().encode(value)
        except UnencodableValue as error:
            raise error.__cause__ or error from None

    def seal(self, key: str, prefix: bytes, encoded: Encoded, /) -> bytes:
        """Return the whole envelope."""
        return self._side(encoded.flags).seal(key, prefix, encoded)

    def decode(self, key: str, entry: Entry, /) -> object:
        """Return an entry's value.

        Raises:
            UndecodablePayload: for what is neither plain nor a pickle signed by us for this key.
        """
        return self._side(entry.flags).decode(key, entry)

    def _side(self, flags: int) -> CodecValues:
        return self._signed() if flags & Flag.SIGNED else self._plain

    def _signed(self) -> CodecValues:
        """Return what signs with SECRET_KEY, and verifies with SECRET_KEY_FALLBACKS, too: as they are now, for tests override them."""
        secrets: list[Any] = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        if self._pickled is None or self._pickled[0] != secrets:
            keys = [salted_hmac(_SALT, "", secret=secret, algorithm="sha256").digest() for secret in secrets]
            self._pickled = secrets, CodecValues(PickleCodec(), Signer(keys), _MAX_BYTES)
        return self._pickled[1]
