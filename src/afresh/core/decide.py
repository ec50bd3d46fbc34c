"""What a reader may do with what it found. Pure: the entry, the stamps and the time go in, a verdict comes out.

States, by the age of a valid entry (`created` to `fresh until` is its ttl)::

    fresh ──▶ stale ──▶ expired
      └─ any of them, once a stamp differs: miss (an invalidated value is never served, however young)

The early refresh comes between fresh and stale (`refresh-due`) when policies ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import inf
from typing import NamedTuple

from afresh.core.envelope import FOR_EVER, SEEN_BYTES, Entry, has_tags, parse
from afresh.core.stamps import Needs, dirty_until_ms

__all__ = ["Cause", "State", "Verdict", "classify", "fresh_for_ms", "undeclared"]


class State(StrEnum):
    """Freshness of what was found."""

    FRESH = "fresh"
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


class Verdict(NamedTuple):
    """What was found. `cause` is set unless the entry may be served; `found` are the bytes there that are no entry."""

    state: State
    cause: Cause | None
    entry: Entry | None
    found: bytes = b""

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


def classify(
    raw: object,
    stamps: Sequence[object],
    needs: Needs,
    *,
    schema: int,
    now_ms: int,
    stale_ttl_ms: int = 0,
    others: Mapping[bytes, object] | None = None,
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
    """
    verdict = _classify(raw, stamps, needs, schema=schema, now_ms=now_ms, stale_ttl_ms=stale_ttl_ms, others=others or {})
    if verdict.cause is not None and any(dirty_until_ms(stamp) > now_ms for stamp in (*stamps, *(others or {}).values())):
        return verdict._replace(state=State.MISS, cause=Cause.DIRTY)
    return verdict


def _classify(
    raw: object, stamps: Sequence[object], needs: Needs, *, schema: int, now_ms: int, stale_ttl_ms: int, others: Mapping[bytes, object]
) -> Verdict:
    entry = parse(raw) if isinstance(raw, bytes) else None
    if entry is None:
        if raw is None:
            return Verdict(State.MISS, Cause.COLD, None)
        # Bytes of somebody else's, or, where the store refused to GET it, a list or a hash.
        return Verdict(State.MISS, Cause.FOREIGN, None, raw if isinstance(raw, bytes) else b"")
    if entry.schema != schema:
        return Verdict(State.MISS, Cause.SCHEMA, entry)
    if entry.vector != needs.vector(stamps) or entry.flags & 3 != needs.flags:
        cause = _mismatch(entry, stamps, needs, others)
        if cause is not None:
            return Verdict(State.MISS, cause, entry)
    fresh_ms = fresh_for_ms(entry, now_ms)
    if fresh_ms > 0:
        return Verdict(State.FRESH, None, entry)
    if fresh_ms + stale_ttl_ms > 0:
        return Verdict(State.STALE, None, entry)
    return Verdict(State.EXPIRED, Cause.EXPIRED, entry)


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
