"""Capture: a value depends on what was read through afresh while it was computed, with no word about it in the code.

A compute has a `Captured`. Each entry that it reads adds the stamps that it was served with, and a stamp of its own key; the entry that is
made of it carries them all. So a page is dropped with any of its fragments, however these were invalidated.

Rules, each with the race that it closes:

1. A key's own stamp is taken before the key is read, and before anybody's computation of it is joined. A key that is invalidated in between
   then has another one.
2. Stamps are noted as the entry carries them, not as they are now: what it was made from may be older than both.
3. Of two stamps of one tag the first one noted counts. If they differ, the tag was invalidated in between, and the entry is a miss from the
   start.
4. For a computation that is not stored itself (beside somebody else's, say) the stamps are taken before it begins, like rule 1. Whoever
   reads what nobody can vouch for, of a time when the server was away or under an open transaction, cannot be stored.
5. Within a compute the near tier serves nothing: an entry there may be older than the stamp taken by rule 1.

A function that calls itself, directly or through others, depends on its own results by its function's stamp and their tags alone, not by
their keys: each result would carry the stamps of all those below it, and soon more than fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from afresh.core.batches import fetch_many, read_many
from afresh.core.commits import Behind, Claim
from afresh.core.decide import Cause, Verdict
from afresh.core.flows import obtain, obtain_many, seize
from afresh.core.keys import Tag, key_tag
from afresh.core.ops import Stamp
from afresh.core.policy import LONGEST_COMPUTE_MS
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request
from afresh.core.stamps import STAMP_BYTES, Captured
from afresh.errors import StoreError

__all__ = ["attend", "fetch_many_into", "obtain_into", "obtain_many_into", "seize_into", "served", "settle"]


_Got = TypeVar("_Got", bound=Hit | Claim | Behind)


async def obtain_into(ports: Ports, request: Request, captured: Captured | None) -> Hit | Claim | Behind:
    """Do what `obtain` does, for a compute, if there is one. Cost: as `obtain`, and 1 round trip more for the first read of a key."""
    if captured is None:
        return await obtain(ports, request)
    await attend(ports, _own_tags([request], captured), captured)
    return await _noted(ports, request, await obtain(ports, request._replace(near=False)), captured)


async def obtain_many_into(ports: Ports, requests: Sequence[Request], captured: Captured | None) -> list[Hit | Claim | Behind | None]:
    """Do what `obtain_many` does, for a compute, if there is one. Cost: as `obtain_many`, and 1 round trip more."""
    if captured is None:
        return await obtain_many(ports, requests)
    await attend(ports, _own_tags(requests, captured), captured)
    got = await obtain_many(ports, [request._replace(near=False) for request in requests])
    return [each and await _noted(ports, request, each, captured) for request, each in zip(requests, got, strict=True)]


async def fetch_many_into(ports: Ports, requests: Sequence[Request], captured: Captured | None) -> list[tuple[Hit | None, Verdict]]:
    """Do what `fetch_many` does, for a compute, if there is one: that there is nothing is something to depend on, too. Cost: as above."""
    if captured is None:
        return await fetch_many(ports, requests)
    await attend(ports, _own_tags(requests, captured), captured)
    found = await read_many(ports, requests)
    for request, (hit, verdict) in zip(requests, found, strict=True):
        if hit is not None:
            served(request, hit, captured)
        elif verdict.cause is Cause.UNAVAILABLE:
            captured.is_whole = False
    return found


async def seize_into(ports: Ports, request: Request, captured: Captured | None) -> Claim:
    """Do what `seize` does, for a compute, if there is one. Cost: as `seize`, and 1 round trip more."""
    if captured is not None:
        await attend(ports, _own_tags([request], captured), captured)
    claim = await seize(ports, request)
    if captured is not None:
        await _noted(ports, request, claim, captured)
    return claim


def _own_tags(requests: Sequence[Request], captured: Captured) -> list[Tag]:
    """Return the tags that stand for these keys in what is made of them, but for calls of a function that is being computed."""
    namespace = captured.namespace
    assert namespace is not None
    return [key_tag(namespace, request.names) for request in requests if request.needs.function not in captured.functions]


async def attend(ports: Ports, tags: Sequence[Tag], captured: Captured) -> None:
    """Take the stamps of what is about to be read or computed. Cost: 1 round trip; none for those that this compute has taken before."""
    if not captured.is_whole:
        return
    ops = [Stamp(tag.key, tag.writers, ports.token(STAMP_BYTES), LONGEST_COMPUTE_MS) for tag in tags if tag.hash not in captured.stamps]
    if not ops:
        return
    taken: Mapping[str, object] = {}
    try:
        taken = dict(zip([op.key for op in ops], await ports.store.flight(ops), strict=True))
    except StoreError as error:
        ports.events.suppressed("capture", error)
    for tag in tags:
        stamp = captured.stamps.get(tag.hash, taken.get(tag.key))
        if isinstance(stamp, bytes) and len(stamp) == STAMP_BYTES:  # not the mark of a transaction
            captured.note({tag.hash: stamp})
        else:
            captured.is_whole = False


async def _noted(ports: Ports, request: Request, got: _Got, captured: Captured) -> _Got:
    hit = got.hit if isinstance(got, Behind) else got if isinstance(got, Hit) else None
    if hit is not None:
        served(request, hit, captured)
    claim = got.claim if isinstance(got, Behind) else got if isinstance(got, Claim) else None
    if claim is not None:
        claim.reader = captured
        if claim.vector is None:
            await attend(ports, request.needs.tags, captured)
    return got


def served(request: Request, hit: Hit, captured: Captured) -> None:
    """Note what a compute was given (rule 2)."""
    entry = hit.entry
    if entry is None or not entry.vector:
        captured.is_whole = False
    else:
        captured.note(request.needs.by_hash(entry.vector))


def settle(claim: Claim) -> None:
    """Note what was computed for a compute: it depends on all that the inner one does."""
    reader, captured = claim.reader, claim.captured
    if reader is None or captured is None:
        return
    if claim.vector is not None:
        reader.note(claim.request.needs.by_hash(claim.vector))
    reader.note(dict(captured.stamps))
    reader.is_whole &= captured.is_whole
