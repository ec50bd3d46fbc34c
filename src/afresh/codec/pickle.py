"""Pickle, for those who name it: it holds nearly everything, and its bytes can run any code. Used with a ``Signer`` only."""

from __future__ import annotations

import pickle
from typing import Any, Final

from afresh.codec.refusal import type_name
from afresh.errors import UndecodablePayload, UnencodableValue

__all__ = ["PickleCodec"]

_PROTOCOL: Final = 5  # fixed, so that all Pythons of a fleet read each other


class PickleCodec:
    """Encodes values as pickles. Decoding runs what the bytes say: whoever uses it authenticates them first.

    What pickle does not restore is not noticed: choosing it is a promise that one's values survive it.

    Attributes:
        codec_id: what names this codec in an envelope.
        schema: 0: pickles carry no fingerprint.
    """

    codec_id: Final = 2
    schema: Final = 0

    def encode(self, value: object) -> bytes:
        """Return the pickle.

        Raises:
            UnencodableValue: whatever pickling raised.
        """
        try:
            return pickle.dumps(value, protocol=_PROTOCOL)
        except Exception as error:
            reason = f"pickle raised {type(error).__name__}"
            raise UnencodableValue(type_name(type(value)), reason=reason) from error

    def decode(self, payload: bytes | memoryview) -> Any:
        """Return the value of an authenticated pickle.

        Raises:
            UndecodablePayload: whatever unpickling raised.
        """
        try:
            return pickle.loads(payload)  # noqa: S301  # authenticated by the Signer, without which nobody gets here
        except Exception as error:  # noqa: BLE001  # unpickling runs users' code
            raise UndecodablePayload(f"the pickle does not load: {type(error).__name__}") from None
