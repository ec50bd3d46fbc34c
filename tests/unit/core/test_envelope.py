from __future__ import annotations

from hypothesis import example, given, strategies as st

from afresh.core.envelope import FOR_EVER, HEADER_BYTES, MAX_TAGS, Entry, Flag, has_tags, pack_prefix, parse

u8, u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))


@st.composite
def vectors(draw: st.DrawFn) -> tuple[int, int, bytes]:
    """Draw flags, a number of tags, and a vector of that shape."""
    flags, tags = draw(u8), draw(st.integers(0, MAX_TAGS))
    size = 8 * (flags & 1) + 4 * (flags & 2) + 16 * tags
    return flags, tags, draw(st.binary(min_size=size, max_size=size))


@given(vector=vectors(), codec=u8, created_ms=u64, fresh_until_ms=u64, cost_us=u32, schema=u32, payload=st.binary(max_size=100))
def test_what_was_packed_is_parsed(
    vector: tuple[int, int, bytes], codec: int, created_ms: int, fresh_until_ms: int, cost_us: int, schema: int, payload: bytes
) -> None:
    flags, tags, stamps = vector
    fields = {"codec": codec, "created_ms": created_ms, "fresh_until_ms": fresh_until_ms, "cost_us": cost_us, "schema": schema}

    prefix = pack_prefix(stamps, flags=flags, tags=tags, **fields)
    entry = parse(prefix + payload)

    assert entry is not None
    assert entry._asdict() == {"flags": flags, "tags": tags, "dictionary": 0, "offset": len(prefix), "raw": prefix + payload, **fields}
    assert entry.prefix == prefix
    assert entry.vector == stamps
    assert entry.payload == payload
    assert has_tags(entry.raw) is (tags > 0)


@given(vector=vectors())
def test_the_stamps_of_tags_come_back_by_hash(vector: tuple[int, int, bytes]) -> None:
    flags, tags, stamps = vector
    of_tags = stamps[len(stamps) - 16 * tags :]
    expected = {of_tags[at : at + 8]: of_tags[at + 8 : at + 16] for at in range(0, len(of_tags), 16)}

    entry = parse(pack_prefix(stamps, flags=flags, codec=1, tags=tags, created_ms=0, fresh_until_ms=0, cost_us=0, schema=0))

    assert entry is not None
    assert entry.tag_stamps() == expected


def an_envelope(**fields: int) -> bytes:
    header = {"flags": 3, "codec": 1, "tags": 2, "created_ms": 1, "fresh_until_ms": FOR_EVER, "cost_us": 3, "schema": 4} | fields
    return pack_prefix(bytes(48), **header) + b"payload"


@given(end=st.integers(0, len(an_envelope()) - 1))
def test_an_envelope_cut_short_is_none_or_has_less_payload(end: int) -> None:
    whole = an_envelope()

    entry = parse(whole[:end])

    if end < HEADER_BYTES + 48:
        assert entry is None
    else:
        assert entry is not None
        assert whole.startswith(entry.raw)
        assert entry.prefix == whole[: HEADER_BYTES + 48]


@given(raw=st.binary(max_size=200))
@example(b"")
@example(b"\xaf\xfe")
@example(b"\xaf\xfe\x01" + b"\xff" * 29)
def test_any_bytes_parse_or_do_not_and_never_raise(raw: bytes) -> None:
    entry = parse(raw)

    has_tags(raw)
    if entry is not None:
        assert entry.prefix + bytes(entry.payload) == raw
        assert len(entry.vector) == entry.offset - HEADER_BYTES
        assert len(entry.tag_stamps()) <= entry.tags


@given(at=st.integers(0, len(an_envelope()) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_never_raises(at: int, bit: int) -> None:
    raw = bytearray(an_envelope())
    raw[at] ^= 1 << bit

    entry = parse(bytes(raw))

    if at < 3:  # magic and version
        assert entry is None


def test_another_version_is_not_parsed() -> None:
    assert parse(an_envelope()[:2] + b"\x02" + an_envelope()[3:]) is None


def test_the_header_is_as_documented() -> None:
    raw = pack_prefix(
        b"N" * 8 + b"F" * 8 + b"hhhhhhhhssssssss",
        flags=Flag.NAMESPACE | Flag.FUNCTION,
        codec=2,
        tags=1,
        created_ms=0x0102,
        fresh_until_ms=0x0304,
        cost_us=5,
        schema=6,
    )

    assert raw.hex(" ", 4) == (
        "affe0103 02010000"  # magic, version, flags; codec, tags, dictionary
        " 02010000 00000000 04030000 00000000"  # created, fresh until
        " 05000000 06000000"  # cost, schema
        " 4e4e4e4e 4e4e4e4e 46464646 46464646 68686868 68686868 73737373 73737373"
    )


def test_a_cost_beyond_its_field_is_the_greatest() -> None:
    entry = parse(an_envelope(cost_us=2**40))

    assert isinstance(entry, Entry)
    assert entry.cost_us == 2**32 - 1


def test_the_header_is_at_most_32_bytes() -> None:
    assert HEADER_BYTES == 32
