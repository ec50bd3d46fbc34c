"""Sealed payloads: opened only as they were, where they were, by who holds a key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from afresh.codec.signing import Signer
from afresh.errors import ConfigurationError, UndecodablePayload

OLD, NEW = "an old secret of some length", b"a new secret of some length"
signer = Signer([OLD])
sealed = signer.seal(b"key", b"prefix", b"payload")


def test_a_sealed_payload_opens() -> None:
    assert bytes(signer.open(b"key", b"prefix", sealed)) == b"payload"
    assert bytes(signer.open(b"key", memoryview(b"prefix"), memoryview(sealed))) == b"payload"
    assert len(sealed) == len(b"payload") + 16


@pytest.mark.parametrize("position", range(len(sealed)))
def test_each_flipped_bit_is_noticed(position: int) -> None:
    for bit in range(8):
        tampered = bytearray(sealed)
        tampered[position] ^= 1 << bit
        with pytest.raises(UndecodablePayload, match="signature"):
            signer.open(b"key", b"prefix", bytes(tampered))


@pytest.mark.parametrize(
    ("key", "prefix", "payload"),
    [
        (b"other", b"prefix", sealed),
        (b"key", b"Prefix", sealed),
        (b"key", b"prefix", sealed + b"x"),
        (b"key", b"prefix", sealed[:-1]),
        (b"key", b"prefix", sealed[:16]),
        (b"key", b"prefix", sealed[:3]),
        (b"key", b"prefix", b""),
        (b"keyp", b"refix", sealed),
        (b"", b"keyprefix", sealed),
        (b"key", b"prefi", sealed[:16] + b"x" + sealed[16:]),
    ],
    ids=["key", "prefix", "longer", "shorter", "no payload", "no tag", "nothing", "moved", "moved all", "moved on"],
)
def test_bytes_open_only_where_they_were_sealed(key: bytes, prefix: bytes, payload: bytes) -> None:
    with pytest.raises(UndecodablePayload, match="signature"):
        signer.open(key, prefix, payload)


@given(st.binary(), st.binary(), st.binary(), st.binary())
def test_whatever_was_sealed_opens_and_nothing_else(key: bytes, prefix: bytes, payload: bytes, other: bytes) -> None:
    tagged = signer.seal(key, prefix, payload)

    assert bytes(signer.open(key, prefix, tagged)) == payload
    if other != tagged:
        with pytest.raises(UndecodablePayload):
            signer.open(key, prefix, other)


def test_keys_rotate() -> None:
    during, after = Signer([NEW, OLD]), Signer([NEW])

    assert bytes(during.open(b"key", b"prefix", sealed)) == b"payload"
    assert bytes(after.open(b"key", b"prefix", during.seal(b"key", b"prefix", b"payload"))) == b"payload"
    with pytest.raises(UndecodablePayload):
        after.open(b"key", b"prefix", sealed)


def test_text_and_bytes_are_one_key_and_long_keys_count_to_their_end() -> None:
    assert Signer([NEW.decode()]).seal(b"", b"", b"") == Signer([NEW]).seal(b"", b"", b"")
    assert Signer(["s" * 100 + "a"]).seal(b"", b"", b"") != Signer(["s" * 100 + "b"]).seal(b"", b"", b"")


@pytest.mark.parametrize(
    "keys", ["a secret of some length", b"a secret of some length", [], ["short secret"], [NEW, ""], [None], [5]], ids=repr
)
def test_bad_keys_are_refused_and_not_shown(keys: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Signer(keys)

    assert "secret of" not in str(caught.value)
    assert "short" not in str(caught.value)
