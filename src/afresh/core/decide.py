"""What a reader may do with what it found. Pure: the entry, the stamps and the time go in, a verdict comes out.

States, by the age of a valid entry (`created` to `fresh until` is its ttl)::

    fresh ──▶ refresh-due ──▶ stale ──▶ expired
      └─ any of them, once a stamp differs: miss (an invalidated value is never served, however young)

An entry is *refresh-due* to a reader by chance, the more probably the less is left of its ttl and the longer its compute took: XFetch
(Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015) with β = 1, but not before the last tenth
of the ttl, so that a compute that takes as long as its value lives is not repeated all the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import inf, log
from typing import NamedTuple

from afresh.core.envelope import (
    CODEC_SHIFT,
    FOR_EVER,
    HEADER_BYTES,
    LARGE_BYTES,
    PLAIN,
    SEEN_BYTES,
    Entry,
    Flag,
    has_tags,
    parse,
)
from afresh.core.stamps import Needs, dirty_until_ms

__all__ = [
    "Cause",
    "State",
    "Verdict",
    "classify",
    "fresh_for_ms",
    "is_kept",
    "near_for_ms",
    "plain_payload",
    "plain_payloads",
    "plainly_fresh",
    "undeclared",
]

# An early refresh takes place in the last such part of the ttl.
_EARLY = 10


class State(StrEnum):
    """Freshness of what was found."""

    FRESH = "fresh"
    REFRESH_DUE = "refresh-due"
    STALE = "stale"
    EXPIRED = "expired"
    MISS = "miss"


class Cause(StrEnum):
    """Why there was nothing to serve."""

    COLD = "cold"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    EVICTED = "stamp evicted"
    DIRTY = "open transaction"  # under one of the tags: what is computed meanwhile is not stored
    SCHEMA = "schema"
    FOREIGN = "foreign"
    UNDECODABLE = "undecodable"
    UNAVAILABLE = "unavailable"
    BYPASS = "bypass"
    WITHHELD = "withheld"
    BACKING_OFF = "backing off"


class Verdict(NamedTuple):
    """What was found.

    Attributes:
        state: how fresh it is.
        cause: why it may not be served; None if it may.
        entry: what is there, served or not.
        found: the bytes there that are no entry.
        vector: the stamps that the reader needs, as they are now; None if one is missing or marked.
    """

    state: State
    cause: Cause | None
    entry: Entry | None
    found: bytes = b""
    vector: bytes | None = None

    @property
    def seen(self) -> bytes:
        """What names, in a claim, what is there."""
        return self.found[:SEEN_BYTES] if self.entry is None else self.entry.prefix


def undeclared(raw: object, needs: Needs) -> list[bytes]:
    """Return the hashes of the tags that the entry depends on and the caller did not declare: their stamps must be read, too."""
    if not isinstance(raw, bytes) or not has_tags(raw) or (entry := parse(raw)) is None:
        return []
    declared = {tag.hash for tag in needs.tags}
    return [name for name in entry.tag_stamps() if name not in declared]


def plainly_fresh(raw: object, vector: bytes | None, needs: Needs, schema: int, now_ms: int) -> Entry | None:
    """Return the entry where there is nothing to decide, as with nearly all hits; None: ask `classify`, which would call it fresh, too.

    The caller declared all that it depends on, the stamps are those in the `vector` of now, and its time is neither over nor nearly so.
    """
    if raw.__class__ is not bytes or (entry := parse(raw)) is None:
        return None
    flags, _, _, _, created_ms, until_ms, _, found_schema, offset, _ = entry
    if found_schema != schema or flags & 3 != needs.flags or raw[HEADER_BYTES:offset] != vector:
        return None
    return entry if created_ms <= now_ms and (until_ms - now_ms) * _EARLY > until_ms - created_ms else None


def plain_payload(raw: object, vector: bytes | None, needs: Needs, schema: int, codec: int, now_ms: int) -> bytes | memoryview | None:
    """Return the payload of the entry that `plainly_fresh` would return, if it was made by this codec alone; else None.

    What it compares is the same, without parsing: all but times and cost of such an entry is known beforehand.
    """
    if raw.__class__ is not bytes or codec < 0 or (size := len(raw)) < HEADER_BYTES:
        return None
    head, created_ms, until_ms, found_schema = PLAIN.unpack_from(raw)
    offset = needs.offset
    if head != needs.head + (codec << CODEC_SHIFT) or found_schema != schema or raw[HEADER_BYTES:offset] != vector:
        return None
    if created_ms > now_ms or (until_ms - now_ms) * _EARLY <= until_ms - created_ms:
        return None
    return raw[offset:] if size < LARGE_BYTES else memoryview(raw)[offset:]


def plain_payloads(
    raws: Sequence[object], vector: bytes | None, needs: Needs, *, schema: int, codec: int, now_ms: int
) -> list[bytes | None]:
    """Do what `plain_payload` does, for many small entries. A call for each would take longer than all else that is done with them."""
    if vector is None or codec < 0:
        return [None] * len(raws)
    head, offset, told = needs.head + (codec << CODEC_SHIFT), needs.offset, PLAIN.unpack_from
    return [
        raw[offset:]
        if raw.__class__ is bytes
        and HEADER_BYTES <= len(raw) < LARGE_BYTES
        and raw[HEADER_BYTES:offset] == vector
        and (plain := told(raw))[0] == head
        and plain[3] == schema
        and plain[1] <= now_ms
        and (plain[2] - now_ms) * _EARLY > plain[2] - plain[1]
        else None
        for raw in raws
    ]


def classify(
    raw: object,
    stamps: Sequence[object],
    needs: Needs,
    *,
    schema: int,
    now_ms: int,
    stale_ttl_ms: int = 0,
    others: Mapping[bytes, object] | None = None,
    rand: float = 1.0,
) -> Verdict:
    """Decide what the bytes under a value key are to this caller.

    While a transaction writes under one of the tags, whatever is not served is missed for that: see `Cause.DIRTY`.

    Args:
        raw: the reply to GET: bytes, None, or the store's refusal.
        stamps: the replies to `needs.reads`, in order.
        needs: what the caller depends on.
        schema: the fingerprint that the caller's type has now.
        now_ms: the server's time.
        stale_ttl_ms: how long after its ttl the caller would take the entry.
        others: the stamps of `undeclared` tags, by hash.
        rand: a number in (0, 1] for the early refresh; 1: no early refresh.
    """
    verdict = _classify(raw, stamps, needs, schema, others or {})
    if verdict.cause is not None and any(dirty_until_ms(stamp) > now_ms for stamp in (*stamps, *(others or {}).values())):
        return verdict._replace(state=State.MISS, cause=Cause.DIRTY)
    if verdict.cause is not None or verdict.entry is None:
        return verdict
    state = _freshness(verdict.entry, now_ms, stale_ttl_ms, rand)
    return verdict if state is State.FRESH else verdict._replace(state=state, cause=Cause.EXPIRED if state is State.EXPIRED else None)


def _classify(raw: object, stamps: Sequence[object], needs: Needs, schema: int, others: Mapping[bytes, object]) -> Verdict:
    """Decide whether there is a valid entry, whatever its age."""
    vector = needs.vector(stamps)
    entry = parse(raw) if isinstance(raw, bytes) else None
    if entry is None:
        if raw is None:
            return Verdict(State.MISS, Cause.COLD, None, vector=vector)
        # Bytes of somebody else's, or, where the store refused to GET it, a list or a hash.
        return Verdict(State.MISS, Cause.FOREIGN, None, raw if isinstance(raw, bytes) else b"", vector)
    if entry.schema != schema:
        return Verdict(State.MISS, Cause.SCHEMA, entry, vector=vector)
    if entry.vector != vector or entry.flags & 3 != needs.flags:
        cause = _mismatch(entry, stamps, needs, others)
        if cause is not None:
            return Verdict(State.MISS, cause, entry, vector=vector)
    return Verdict(State.FRESH, None, entry, vector=vector)


def _freshness(entry: Entry, now_ms: int, stale_ttl_ms: int, rand: float) -> State:
    """Return the state of a valid entry. One that holds an exception is neither refreshed early nor served stale."""
    fresh_ms = fresh_for_ms(entry, now_ms)
    is_negative = entry.flags & Flag.NEGATIVE
    if fresh_ms > 0:
        return State.REFRESH_DUE if fresh_ms <= _early_ms(entry, rand) else State.FRESH
    return State.STALE if fresh_ms + stale_ttl_ms > 0 and not is_negative else State.EXPIRED


def _early_ms(entry: Entry, rand: float) -> float:
    """Return how long before its end an entry's refresh is due."""
    if rand == 1 or entry.flags & Flag.NEGATIVE:
        return 0
    return min((entry.fresh_until_ms - entry.created_ms) / _EARLY, -entry.cost_us * log(rand) / 1000)


def near_for_ms(entry: Entry, now_ms: int, rand: float) -> float:
    """Return how long the near tier may answer with an entry: until its refresh is due, which it would hide."""
    return fresh_for_ms(entry, now_ms) - _early_ms(entry, rand)


def is_kept(verdict: Verdict, *, now_ms: int, kept_ms: int) -> bool:
    """Say whether what was found may be served to somebody whose compute raised, `kept_ms` after its ttl at the latest."""
    entry = verdict.entry
    if entry is None or verdict.cause not in {None, Cause.EXPIRED} or entry.flags & Flag.NEGATIVE:
        return False
    return verdict.cause is None or fresh_for_ms(entry, now_ms) + kept_ms > 0


def fresh_for_ms(entry: Entry, now_ms: int) -> float:
    """Return how long an entry is fresh from now on; negative once it is not any more, infinity for one that always is."""
    if entry.fresh_until_ms == FOR_EVER:
        return inf
    # A writer whose clock ran ahead gains nothing by it: its entry counts as created now.
    return entry.fresh_until_ms - max(entry.created_ms, now_ms)


def _mismatch(entry: Entry, stamps: Sequence[object], needs: Needs, others: Mapping[bytes, object]) -> Cause | None:
    if entry.flags & 3 != needs.flags:
        return Cause.FOREIGN
    held = entry.tag_stamps()
    implicit = entry.vector[: 8 * needs.implicit]
    pairs: list[tuple[bytes | None, object]] = []
    for at, (tag, now) in enumerate(zip(needs.tags, stamps, strict=True)):
        then = implicit[8 * at : 8 * at + 8] if at < needs.implicit else held.pop(tag.hash, None)
        pairs.append((then, now))
    pairs += [(then, others.get(name)) for name, then in held.items()]
    for then, now in pairs:
        if now is None:
            return Cause.EVICTED
        if then != now:
            return Cause.INVALIDATED
    return None
