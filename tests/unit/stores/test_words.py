"""Operations as the words that hiredis packs."""

from __future__ import annotations

from hiredis import pack_command
from hypothesis import given, strategies as st

from afresh.core.ops import Claim, Incr, Op, Scan, Seize, Set, TableExtend
from afresh.stores.scripts import packed, words


def test_no_word_is_a_number() -> None:
    # hiredis 3.5 turns one into text with PyObject_Repr, which runs pending signals; a handler that raises there ends the process.
    ops: list[Op] = [
        Claim("v", "l", b"", b"mark", 60_000),
        Incr("v", "l", 2**70),
        Scan(0, "*", 10),
        Seize("l", 60_000, b"mark"),
        TableExtend("h", b"fence", 1, 2, 3, 4, (b"row",)),
    ]
    for op in ops:
        for with_source in (False, True):
            assert all(isinstance(word, (str, bytes)) for word in words(op, with_source=with_source)), op


@given(value=st.text(st.characters(codec="utf-8")), ttl_ms=st.integers(1, 2**62), envelope=st.binary())
def test_a_put_is_packed_as_hiredis_packs_its_words(value: str, ttl_ms: int, envelope: bytes) -> None:
    op = Set(value, ttl_ms, envelope)
    assert packed(op) == pack_command(words(op))  # type: ignore[arg-type]  # hiredis declares one word, takes many
