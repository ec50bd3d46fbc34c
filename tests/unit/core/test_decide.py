from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from afresh.core.decide import Cause, State, classify, is_kept, near_for_ms, plain_payload, plain_payloads, plainly_fresh, undeclared
from afresh.core.envelope import FOR_EVER, SEEN_BYTES, Flag, pack_prefix, parse
from afresh.core.keys import Namespace
from afresh.core.stamps import NOTHING, Needs, needs_of
from afresh.errors import StoreRefused

NAMESPACE = Namespace("t")
FUNCTION = NAMESPACE.tag_of("afresh:f:f")
NEEDS = needs_of(NAMESPACE, FUNCTION, ["a", "b"])
CLEAN = [b"ns------", b"function", b"stamp--a", b"stamp--b"]
CREATED_MS, TTL_MS, SCHEMA = 1000, 100, 7


def envelope(needs: Needs = NEEDS, stamps: list[bytes] = CLEAN, *, payload: bytes = b"x", **fields: int) -> bytes:
    """Return an entry that was computed under these stamps."""
    vector = needs.vector(stamps)
    assert vector is not None
    header = {
        "flags": needs.flags,
        "codec": 2,
        "tags": len(needs.tags) - needs.implicit,
        "created_ms": CREATED_MS,
        "fresh_until_ms": CREATED_MS + TTL_MS,
        "cost_us": 0,
        "schema": SCHEMA,
    }
    return pack_prefix(vector, **(header | fields)) + payload


def verdict(raw: object, stamps: Any = CLEAN, needs: Needs = NEEDS, *, now_ms: int = CREATED_MS, **how: Any) -> tuple[State, Cause | None]:
    found = classify(raw, stamps, needs, **{"schema": SCHEMA, "now_ms": now_ms, **how})
    return found.state, found.cause


# --- age -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("age_ms", "state"),
    [
        (0, State.FRESH),
        (TTL_MS - 1, State.FRESH),
        (TTL_MS, State.STALE),
        (TTL_MS + 49, State.STALE),
        (TTL_MS + 50, State.EXPIRED),
        (10**12, State.EXPIRED),
    ],
)
def test_an_entry_is_fresh_then_stale_then_expired(age_ms: int, state: State) -> None:
    cause = Cause.EXPIRED if state is State.EXPIRED else None

    assert verdict(envelope(), now_ms=CREATED_MS + age_ms, stale_ttl_ms=50) == (state, cause)


def test_without_a_stale_ttl_an_entry_expires_at_once() -> None:
    assert verdict(envelope(), now_ms=CREATED_MS + TTL_MS) == (State.EXPIRED, Cause.EXPIRED)


def test_an_entry_for_ever_stays_fresh() -> None:
    assert verdict(envelope(fresh_until_ms=FOR_EVER), now_ms=2**60) == (State.FRESH, None)


@pytest.mark.parametrize(
    ("ahead_ms", "state"), [(0, State.FRESH), (TTL_MS - 1, State.FRESH), (TTL_MS, State.EXPIRED), (10**6, State.EXPIRED)]
)
def test_a_writer_whose_clock_ran_ahead_gains_no_lifetime(ahead_ms: int, state: State) -> None:
    """The entry counts as created at most now; what its clock was ahead is taken off its lifetime."""
    raw = envelope(created_ms=CREATED_MS + ahead_ms)

    assert verdict(raw, now_ms=CREATED_MS)[0] is state


# --- causes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (None, Cause.COLD),
        (b"", Cause.FOREIGN),
        (b"somebody else's", Cause.FOREIGN),
        (envelope()[:40], Cause.FOREIGN),
        (StoreRefused("WRONGTYPE", "a list"), Cause.FOREIGN),
        (envelope(schema=8), Cause.SCHEMA),
        (envelope(flags=1), Cause.FOREIGN),
        (envelope(needs_of(NAMESPACE, None, ["a", "b"]), [CLEAN[0], *CLEAN[2:]]), Cause.FOREIGN),
    ],
    ids=["nothing", "empty", "foreign", "cut short", "another type", "another schema", "other flags", "of no function"],
)
def test_what_is_no_entry_of_this_caller_is_a_miss(raw: object, cause: Cause) -> None:
    assert verdict(raw) == (State.MISS, cause)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize(
    ("now", "cause"),
    [
        (b"stamp--2", Cause.INVALIDATED),
        (None, Cause.EVICTED),
        (b"D:%d" % (CREATED_MS + 10**6), Cause.DIRTY),
        (b"D:12", Cause.INVALIDATED),
        (b"", Cause.INVALIDATED),
        (b"nine-----", Cause.INVALIDATED),
        (StoreRefused("WRONGTYPE", "a list"), Cause.INVALIDATED),
    ],
)
def test_each_stamp_that_is_not_the_same_makes_a_miss(at: int, now: object, cause: Cause) -> None:
    stamps = [*CLEAN[:at], now, *CLEAN[at + 1 :]]

    assert verdict(envelope(), stamps) == (State.MISS, cause)
    assert verdict(envelope(), stamps, now_ms=CREATED_MS + TTL_MS, stale_ttl_ms=50) == (State.MISS, cause)


def test_an_invalidated_entry_is_a_miss_however_it_is_called_otherwise() -> None:
    """Every state needs valid stamps: nothing invalidated is ever stale, and served so."""
    stamps = [b"renewed-", *CLEAN[1:]]

    for age_ms in (0, TTL_MS, 10**6):
        assert verdict(envelope(), stamps, now_ms=CREATED_MS + age_ms, stale_ttl_ms=10**9) == (State.MISS, Cause.INVALIDATED)


# --- tags of the caller and of the entry ---------------------------------------------------------------------------
def test_the_order_of_tags_does_not_matter() -> None:
    turned = needs_of(NAMESPACE, FUNCTION, ["b", "a"])

    assert verdict(envelope(), [*CLEAN[:2], CLEAN[3], CLEAN[2]], turned) == (State.FRESH, None)


def test_a_needed_tag_that_the_entry_does_not_carry_is_a_miss() -> None:
    more = needs_of(NAMESPACE, FUNCTION, ["a", "b", "c"])

    assert verdict(envelope(), [*CLEAN, b"stamp--c"], more) == (State.MISS, Cause.INVALIDATED)


def test_tags_that_nobody_declared_are_looked_up() -> None:
    fewer = needs_of(NAMESPACE, FUNCTION, ["a"])
    other = NAMESPACE.tag_of("b").hash
    raw = envelope()

    assert undeclared(raw, fewer) == [other]
    assert verdict(raw, CLEAN[:3], fewer, others={other: b"stamp--b"}) == (State.FRESH, None)
    assert verdict(raw, CLEAN[:3], fewer, others={other: b"renewed-"}) == (State.MISS, Cause.INVALIDATED)
    assert verdict(raw, CLEAN[:3], fewer, others={other: None}) == (State.MISS, Cause.EVICTED)
    assert verdict(raw, CLEAN[:3], fewer) == (State.MISS, Cause.EVICTED)


@pytest.mark.parametrize("raw", [None, b"", b"foreign bytes", StoreRefused("WRONGTYPE", "a list"), envelope()[:40]])
def test_what_is_no_entry_has_no_undeclared_tags(raw: object) -> None:
    assert undeclared(raw, NEEDS) == []


def test_declared_tags_are_not_undeclared() -> None:
    assert undeclared(envelope(), NEEDS) == []
    assert undeclared(envelope(needs_of(NAMESPACE), [CLEAN[0]]), NEEDS) == []


def test_an_entry_without_stamps_depends_on_its_age_alone() -> None:
    raw = envelope(NOTHING, [])

    assert verdict(raw, [], NOTHING) == (State.FRESH, None)
    assert verdict(raw, [], NOTHING, now_ms=CREATED_MS + TTL_MS) == (State.EXPIRED, Cause.EXPIRED)


# --- what a claim names --------------------------------------------------------------------------------------------
def test_a_claim_names_what_was_seen() -> None:
    raw = envelope(payload=b"x" * 1000)
    entry = parse(raw)
    assert entry is not None

    assert classify(raw, CLEAN, NEEDS, schema=8, now_ms=0).seen == entry.prefix
    assert classify(b"f" * 100, CLEAN, NEEDS, schema=SCHEMA, now_ms=0).seen == b"f" * SEEN_BYTES
    assert classify(b"few", CLEAN, NEEDS, schema=SCHEMA, now_ms=0).seen == b"few"
    assert classify(None, CLEAN, NEEDS, schema=SCHEMA, now_ms=0).seen == b""
    assert classify(StoreRefused("WRONGTYPE", ""), CLEAN, NEEDS, schema=SCHEMA, now_ms=0).seen == b""


stamp_replies = st.one_of(st.none(), st.binary(max_size=10), st.sampled_from(CLEAN))


@given(
    raw=st.one_of(st.none(), st.binary(max_size=100), st.just(envelope()), st.integers(0, 120).map(lambda end: envelope()[:end])),
    stamps=st.lists(stamp_replies, min_size=4, max_size=4),
    now_ms=st.integers(0, 2**63),
    stale_ttl_ms=st.integers(0, 10**9),
)
def test_only_the_very_same_stamps_let_an_entry_be_served(raw: object, stamps: list[object], now_ms: int, stale_ttl_ms: int) -> None:
    state, cause = verdict(raw, stamps, now_ms=now_ms, stale_ttl_ms=stale_ttl_ms)

    assert (cause is None) == (state in {State.FRESH, State.STALE})
    if cause is None:
        assert raw == envelope() or (isinstance(raw, bytes) and envelope().startswith(raw))
        assert stamps == CLEAN


@pytest.mark.parametrize("rand", [0.01, 0.5, 0.9, 1.0])
def test_near_answers_until_the_refresh_is_due(rand: float) -> None:
    raw = pack_prefix(NEEDS.vector(CLEAN), flags=3, codec=2, tags=2, created_ms=0, fresh_until_ms=10_000, cost_us=200_000, schema=SCHEMA)
    entry = parse(raw)
    assert entry is not None

    def state(now_ms: int) -> State:
        return classify(raw, CLEAN, NEEDS, schema=SCHEMA, now_ms=now_ms, rand=rand).state

    near_ms = near_for_ms(entry, 0, rand)

    assert state(math.ceil(near_ms) - 1) is State.FRESH
    assert state(math.ceil(near_ms)) is (State.EXPIRED if rand == 1 else State.REFRESH_DUE)
    assert near_for_ms(entry, 4000, rand) == pytest.approx(near_ms - 4000)


@given(
    stamps=st.lists(st.sampled_from([*CLEAN, b"another-", None, b"D:5000", StoreRefused("ERR", "no")]), min_size=4, max_size=4),
    header=st.fixed_dictionaries(
        {},
        optional={
            "flags": st.integers(0, 31),
            "schema": st.sampled_from([SCHEMA, 8]),
            "fresh_until_ms": st.sampled_from([CREATED_MS, CREATED_MS + TTL_MS, FOR_EVER]),
            "created_ms": st.sampled_from([CREATED_MS, CREATED_MS + TTL_MS]),
        },
    ),
    now_ms=st.integers(CREATED_MS - 5, CREATED_MS + TTL_MS + 5),
    rand=st.floats(0.01, 1),
)
@example(stamps=CLEAN, header={}, now_ms=CREATED_MS, rand=0.01)
@example(stamps=CLEAN, header={}, now_ms=CREATED_MS + TTL_MS - 1, rand=0.01)
def test_what_is_plainly_fresh_is_fresh(stamps: list[object], header: dict[str, int], now_ms: int, rand: float) -> None:
    raw = envelope(cost_us=10**9, **header)
    entry = plainly_fresh(raw, NEEDS.vector(stamps), NEEDS, SCHEMA, now_ms)

    found = classify(raw, stamps, NEEDS, schema=SCHEMA, now_ms=now_ms, rand=rand)
    assert entry is None or (found.state, found.entry) == (State.FRESH, entry)
    assert entry is not None or stamps != CLEAN or header or now_ms not in range(CREATED_MS, CREATED_MS + TTL_MS * 9 // 10)


@given(
    stamps=st.sampled_from([CLEAN, [*CLEAN[:3], b"renewed-"], [*CLEAN[:3], None]]),
    headers=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "flags": st.sampled_from([1, 2, 3, 3 | Flag.COMPRESSED, 3 | Flag.SIGNED, 3 | Flag.NEGATIVE]),
                "codec": st.integers(0, 1),
                "schema": st.sampled_from([SCHEMA, 0]),
                "created_ms": st.sampled_from([CREATED_MS, CREATED_MS + 50]),
                "fresh_until_ms": st.sampled_from([CREATED_MS + 5, CREATED_MS + TTL_MS, FOR_EVER]),
                "dictionary": st.integers(0, 1),
            },
        ),
        max_size=4,
    ),
    now_ms=st.integers(CREATED_MS - 5, CREATED_MS + TTL_MS + 5),
    foreign=st.sampled_from([None, b"", b"foreign", b"x" * 5000, StoreRefused("WRONGTYPE", "no")]),
)
def test_payloads_are_plain_whose_entries_are_plainly_fresh(
    stamps: list[Any], headers: list[dict[str, int]], now_ms: int, foreign: object
) -> None:
    raws = [envelope(**header) for header in headers]
    vector = NEEDS.vector(stamps)

    found = plain_payloads([*raws, foreign, envelope(payload=bytes(5000))], vector, NEEDS, schema=SCHEMA, codec=0, now_ms=now_ms)

    for raw, payload in zip(raws, found, strict=False):
        entry = plainly_fresh(raw, vector, NEEDS, SCHEMA, now_ms)
        is_plain = entry is not None and (entry.flags, entry.codec, entry.dictionary) == (NEEDS.flags, 0, 0)
        assert payload == (entry.payload if entry is not None and is_plain else None)
        assert plain_payload(raw, vector, NEEDS, SCHEMA, 0, now_ms) == payload
        assert plain_payload(raw, vector, NEEDS, SCHEMA, -1, now_ms) is None
    assert found[-2:] == [None, None]
    assert plain_payload(foreign, vector, NEEDS, SCHEMA, 0, now_ms) is None
    assert plain_payloads(raws, vector, NEEDS, schema=SCHEMA, codec=-1, now_ms=now_ms) == [None] * len(raws)


@pytest.mark.parametrize("raw", [None, b"", b"foreign", StoreRefused("WRONGTYPE", "no")])
def test_what_is_no_entry_is_not_fresh(raw: object) -> None:
    assert plainly_fresh(raw, NEEDS.vector(CLEAN), NEEDS, SCHEMA, CREATED_MS) is None


# --- early refresh -------------------------------------------------------------------------------------------------
def due(left_ms: int, cost_ms: int, rand: float, *, ttl_ms: int = 10_000, **fields: int) -> State:
    raw = envelope(fresh_until_ms=CREATED_MS + ttl_ms, cost_us=1000 * cost_ms, **fields)
    return verdict(raw, now_ms=CREATED_MS + ttl_ms - left_ms, rand=rand)[0]


@pytest.mark.parametrize(
    ("left_ms", "cost_ms", "rand", "state"),
    [
        (1000, 100, 0.5, State.FRESH),
        (69, 100, 0.5, State.REFRESH_DUE),  # -100 * log(0.5) = 69.3
        (70, 100, 0.5, State.FRESH),
        (1000, 10_000, 0.5, State.REFRESH_DUE),
        (1001, 10_000, 0.5, State.FRESH),  # however long the compute takes, not before the last tenth of the ttl
        (1, 0, 1e-300, State.FRESH),  # what costs nothing need not be early
        (1, 10_000, 1.0, State.FRESH),  # no chance
    ],
)
def test_the_less_is_left_and_the_longer_the_compute_the_more_probable_is_an_early_refresh(
    left_ms: int, cost_ms: int, rand: float, state: State
) -> None:
    assert due(left_ms, cost_ms, rand) is state


def test_exceptions_and_what_never_expires_are_not_refreshed_early() -> None:
    assert due(1, 10_000, 0.1, flags=NEEDS.flags | Flag.NEGATIVE) is State.FRESH
    assert verdict(envelope(fresh_until_ms=FOR_EVER, cost_us=10**9), now_ms=2**60, rand=1e-300) == (State.FRESH, None)


def test_an_exception_is_never_stale() -> None:
    raw = envelope(flags=NEEDS.flags | Flag.NEGATIVE)

    assert verdict(raw, now_ms=CREATED_MS + TTL_MS, stale_ttl_ms=50) == (State.EXPIRED, Cause.EXPIRED)


# --- what is kept for computes that fail ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("raw", "stamps", "age_ms", "kept"),
    [
        (envelope(), CLEAN, 0, True),
        (envelope(), CLEAN, TTL_MS + 49, True),
        (envelope(), CLEAN, TTL_MS + 50, False),
        (envelope(), [*CLEAN[:3], b"renewed-"], TTL_MS, False),
        (envelope(flags=NEEDS.flags | Flag.NEGATIVE), CLEAN, 0, False),
        (None, CLEAN, 0, False),
        (b"foreign", CLEAN, 0, False),
    ],
)
def test_what_was_not_invalidated_is_kept_for_a_while(raw: bytes | None, stamps: list[bytes], age_ms: int, kept: bool) -> None:
    now_ms = CREATED_MS + age_ms
    found = classify(raw, stamps, NEEDS, schema=SCHEMA, now_ms=now_ms)

    assert is_kept(found, now_ms=now_ms, kept_ms=50) is kept
