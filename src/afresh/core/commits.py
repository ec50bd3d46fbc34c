"""The end of a computation: its value is stored and shared, or its claim given up. See `afresh.core.flows` for the rules."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from afresh.core.budget import one_call
from afresh.core.dictionaries import CURRENT, take_newest
from afresh.core.envelope import FOR_EVER, Entry, Flag, pack_prefix, parse
from afresh.core.failures import failure_record
from afresh.core.keys import writers_of
from afresh.core.late_tags import add_late_tags
from afresh.core.ops import Abandon, Commit, Extend, Fail, HashGet, Op, Replace, Stamp
from afresh.core.policy import KEY_STAMP_MS, LEASE_MS, LEASE_RENEWAL_MS, LONGEST_COMPUTE_MS, hard_ttl_ms, jittered_ms, tag_ttl_ms
from afresh.core.ports import Encoded, Flight, Ports
from afresh.core.reads import Hit, Request, is_withheld, near_ms, stamp_reads
from afresh.core.stamps import STAMP_BYTES, Captured
from afresh.errors import StoreError, UnencodableValue

__all__ = [
    "Behind",
    "Claim",
    "Result",
    "abandon",
    "abandon_many",
    "commit",
    "commit_many",
    "envelope_of",
    "fail",
    "prefix_of",
    "release",
]


class Claim:
    """The duty to compute.

    Who has it may be torn from it between any two steps, by an interrupt. Then the lease's end goes to `lost`, for the next claim.

    Attributes:
        request: what for.
        flight: that others may wait in; None if nobody does.
        mark: our lease, if we got it.
        vector: the stamps from before, None if the result must not be stored.
        started_us: when the compute began.
        token: from before the claim, for what has changed since; None where nobody hears of that.
        kept: the old entry to serve if the compute raises.
        is_left: the caller has gone: nobody is told what the compute returns or raises.
        captured: what the compute reads through afresh, so that its result depends on it; None if it is not to.
        reader: the compute that this one is a part of, if any.
        spent_us: what is spent of the call's budget.
        replaces: the result is to take the place of an entry that may be fresh.
    """

    renewed_every_ms: ClassVar[int] = LEASE_RENEWAL_MS
    renewed_for_ms: ClassVar[int] = LONGEST_COMPUTE_MS

    __slots__ = (
        "__weakref__",
        "captured",
        "flight",
        "is_left",
        "kept",
        "lost",
        "mark",
        "reader",
        "replaces",
        "request",
        "spent_us",
        "started_us",
        "token",
        "vector",
    )

    def __init__(
        self,
        request: Request,
        flight: Flight | None,
        mark: bytes | None,
        vector: bytes | None,
        started_us: int,
        token: Any = None,
        kept: Entry | None = None,
        *,
        lost: deque[Op] | None = None,
        spent_us: int = 0,
        replaces: bool = False,
    ) -> None:
        self.request = request
        self.flight = flight
        self.mark = mark
        self.vector = vector
        self.started_us = started_us
        self.token = token
        self.kept = kept
        self.is_left = False
        self.captured: Captured | None = None
        self.reader: Captured | None = None
        self.spent_us = spent_us
        self.replaces = replaces
        self.lost = lost

    def renewal(self) -> Sequence[Extend]:
        """Return what lets its lease live on, if it is still ours."""
        return () if self.mark is None else (Extend(self.request.names.lease, self.mark, LEASE_MS),)

    def renewed(self, ports: Ports, replies: Sequence[object], sent_ms: int, /) -> Sequence[Op]:  # noqa: ARG002  see Renewable
        """Take note of nothing: the commit finds out whose the lease is, and one that is gone is not brought back."""
        return ()

    def let_go(self) -> None:
        """Leave the lease's end to others, unless it has ended. It is ours no more: nothing is stored under it, nor is it renewed."""
        lost, self.lost = self.lost, None
        if lost is not None and self.mark is not None:
            lost.append(Abandon(self.request.names.lease, self.mark))
            self.mark = None

    def __del__(self) -> None:
        if hasattr(self, "lost"):  # else somebody was torn from making it
            self.let_go()


class Behind(NamedTuple):
    """The duty to have a value computed by somebody else, and to wait for that no longer than `wait_ms`.

    Then the caller takes the `hit`, if there is one; else what is kept, or an error.
    """

    claim: Claim
    hit: Hit | None
    wait_ms: int


class Result:
    """What became of a claim: a value, or, with `negative_ttl_ms`, the description of an exception to keep for that long."""

    __slots__ = ("alone", "claim", "envelope", "negative_ttl_ms", "proven", "ttl_ms", "value")

    def __init__(self, claim: Claim, value: Any, negative_ttl_ms: int | None = None) -> None:
        self.claim = claim
        self.value = value
        self.negative_ttl_ms = negative_ttl_ms
        self.ttl_ms: int | None = 0
        self.envelope: bytes | None = None
        self.proven = False
        self.alone = False

    @property
    def is_storable(self) -> bool:
        """Say whether there is something to store, and a lease to store it under."""
        return self.envelope is not None and self.claim.mark is not None and self.claim.vector is not None and self.ttl_ms != 0


async def commit(ports: Ports, claim: Claim, value: Any) -> None:
    """Store the value if the claim still holds, and give it to those who wait. Never raises for the server.

    Cost: 1 round trip; 1 more, and the time of a push, for a result with tags of its own.
    """
    await commit_many(ports, [Result(claim, value)])


async def commit_many(ports: Ports, results: Sequence[Result]) -> None:
    """Do what `commit` does for several, in one write. Cost: 1 round trip; none where nothing may be stored."""
    unstored = list(results)
    ports = _of_one_call(ports, [result.claim for result in results])
    try:
        for result in results:
            await _tag(ports, result)
            _seal(ports, result)
            if ports.withheld and is_withheld(ports, result.claim.request):  # nobody joins any more who called after the invalidation
                result.claim.vector = None
                ports.events.not_stored(result.claim.request.owner, "an invalidation has not reached the server yet")
        storable, others = _split(results)
        if storable:
            await _store(ports, storable)
            unstored = others
    finally:
        for result in results:
            if result.claim.flight is not None:
                result.claim.flight.finish(result.envelope, proven=result.proven, alone=result.alone)
        await release(ports, [result.claim for result in unstored])


async def _tag(ports: Ports, result: Result) -> None:
    """Add the tags that the value names, if its function has them named."""
    name_tags = result.claim.request.result_tags
    if name_tags is not None and result.negative_ttl_ms is None:
        await add_late_tags(ports, result.claim, name_tags(result.value))


def _seal(ports: Ports, result: Result) -> None:
    """Encode, unless nobody would see the bytes; and let nobody join any more."""
    claim = result.claim
    request = claim.request
    if claim.captured is not None and claim.vector is not None:
        claim.vector = claim.captured.added_to(claim.vector, request.needs)
        if claim.vector is None:
            reason = "more than 255 tags and keys" if claim.captured.is_whole else "made of what was not stored itself"
            ports.events.not_stored(request.owner, reason)
    cost_us = max(1, ports.clock.ticks_us() - claim.started_us)  # 0 is for what was not computed: see invalidate.lua
    ports.events.computed(request.owner, cost_us)
    if claim.flight is None and claim.mark is None:
        return
    is_negative = result.negative_ttl_ms is not None
    try:
        result.ttl_ms = result.negative_ttl_ms if is_negative else request.policy.ttl_for(result.value)
        fresh_ms = jittered_ms(result.ttl_ms, request.policy.jitter, ports.rand())
        encoded = request.values.encode(result.value)
        flags = Flag.NEGATIVE if is_negative else 0
        result.envelope = envelope_of(ports, request, encoded, claim.vector, ttl_ms=fresh_ms, cost_us=cost_us, flags=flags)
    except UnencodableValue as error:
        result.alone = True
        ports.events.unencodable(request.owner, error)
    if claim.flight is not None:
        claim.flight.close()


def envelope_of(
    ports: Ports,
    request: Request,
    encoded: Encoded,
    vector: bytes | None,
    *,
    ttl_ms: int | None,
    cost_us: int = 0,
    flags: int = 0,
) -> bytes:
    """Return the bytes of a new entry. Without a vector it is fit for followers only."""
    prefix = prefix_of(ports, request, encoded, vector, ttl_ms=ttl_ms, cost_us=cost_us, flags=flags)
    return request.values.seal(request.names.value, prefix, encoded)


def prefix_of(
    ports: Ports,
    request: Request,
    encoded: Encoded,
    vector: bytes | None,
    *,
    ttl_ms: int | None,
    cost_us: int = 0,
    flags: int = 0,
) -> bytes:
    """Return what stands before the payload of a new entry: the same for all values that are encoded alike."""
    now_ms, needs = ports.clock.now_ms(), request.needs
    return pack_prefix(
        vector or b"",
        flags=flags | encoded.flags | (needs.flags if vector else 0),
        codec=encoded.codec,
        tags=(len(vector) - STAMP_BYTES * needs.implicit) // (2 * STAMP_BYTES) if vector else 0,
        created_ms=now_ms,
        fresh_until_ms=FOR_EVER if ttl_ms is None else now_ms + ttl_ms,
        cost_us=cost_us,
        schema=request.values.schema,
        dictionary=encoded.dictionary,
    )


async def _store(ports: Ports, results: Sequence[Result]) -> None:
    """Commit each under its lease. One that was stored is proven if, after it, every stamp was still what the claim had read."""
    ops: list[Op] = []
    extending: dict[str, Op] = {}
    for result in results:
        kept_ms = result.claim.request.policy.kept_ms
        px_ms = hard_ttl_ms(result.ttl_ms, 0 if result.negative_ttl_ms is not None else kept_ms)
        ops.append(_storing(ports, result, px_ms))
        extending |= _extending(ports, result.claim, tag_ttl_ms(result.ttl_ms, kept_ms))
    reads = {get.key: get for get in stamp_reads([result.claim.request for result in results])}
    asking = {each.key: each for each in (result.claim.request.values.dictionaries for result in results) if each is not None}
    asked = {key: HashGet(key, (CURRENT,)) for key, each in asking.items() if each.is_due(ports.clock.ticks_us())}
    looks = extending | reads | asked
    try:
        replies = await ports.store.flight([*ops, *looks.values()])
    except StoreError as error:
        replies = [error] * (len(ops) + len(looks))
    stamps = dict(zip(looks, replies[len(ops) :], strict=False))
    for key in asked:
        await take_newest(ports, asking[key], stamps[key])
    for result, stored in zip(results, replies[: len(ops)], strict=True):
        request = result.claim.request
        result.claim.lost = None
        if isinstance(stored, StoreError):
            ports.events.suppressed("commit", stored)
            ports.events.not_stored(request.owner, "the server failed")
        elif not stored:
            ports.events.not_stored(request.owner, "invalidated or overtaken meanwhile")
        else:
            result.proven = _is_unchanged(result.claim, stamps)
        _keep(ports, result)


def _storing(ports: Ports, result: Result, px_ms: int) -> Op:
    """Return what stores a result, and tells other processes' near tiers of it if it may replace what they have."""
    claim, (value, lease, stamp) = result.claim, result.claim.request.names
    assert claim.mark is not None
    assert result.envelope is not None
    if claim.replaces and claim.request.needs.function is not None:
        return Replace(value, lease, stamp, claim.mark, result.envelope, px_ms, ports.token(STAMP_BYTES), KEY_STAMP_MS)
    return Commit(value, lease, claim.mark, result.envelope, px_ms)


def _captured(claim: Claim) -> dict[str, bytes]:
    """Return the stamps that were captured, by their names on the server."""
    namespace, needs = claim.request.namespace, claim.request.needs
    if claim.captured is None or claim.vector is None or namespace is None:
        return {}
    carried = needs.by_hash(claim.vector)
    for tag in needs.tags:
        del carried[tag.hash]
    return {namespace.stamp_key(name): stamp for name, stamp in carried.items()}


def _extending(ports: Ports, claim: Claim, ttl_ms: int) -> dict[str, Op]:
    """Return what lets the stamps that were captured live as long as the result."""
    return {name: Stamp(name, writers_of(name), ports.token(STAMP_BYTES), ttl_ms) for name in _captured(claim)}


def _is_unchanged(claim: Claim, stamps: Mapping[str, object]) -> bool:
    """Say whether these are the stamps that the result carries."""
    needs, captured = claim.request.needs, _captured(claim)
    own = needs.vector([stamps[get.key] for get in needs.reads])
    assert claim.vector is not None
    return own == claim.vector[: len(claim.vector) - 2 * STAMP_BYTES * len(captured)] and captured.items() <= stamps.items()


def _keep(ports: Ports, result: Result) -> None:
    """Fill the near tier with what was stored, if it is proven. What is there goes in any case: it may have been replaced."""
    request, token, near = result.claim.request, result.claim.token, ports.near
    names = (request.names.value,)
    entry = parse(result.envelope) if near is not None and result.envelope is not None and result.proven and request.near else None
    if near is None or entry is None:
        ports.changed(names)
    else:
        near.fill(token, request, entry, result.value, near_ms(ports, request, entry), is_ours=True)
        ports.neighbours(names)


def _split(results: Sequence[Result]) -> tuple[list[Result], list[Result]]:
    # A function of its own: where CPython 3.12 and 3.13 inline such comprehensions, an interrupt passes by the `finally` around them.
    return [result for result in results if result.is_storable], [result for result in results if not result.is_storable]


def _of_one_call(ports: Ports, claims: Sequence[Claim]) -> Ports:
    return one_call(ports, max((claim.spent_us for claim in claims), default=0))


async def abandon(ports: Ports, claim: Claim) -> None:
    """Give a claim up: compute raised, was cancelled or interrupted. Who waits takes over. Cost: at most 1 round trip."""
    await abandon_many(ports, [claim])


async def abandon_many(ports: Ports, claims: Sequence[Claim]) -> None:
    """Do what `abandon` does for several, in one write."""
    for claim in claims:
        if claim.flight is not None:
            claim.flight.finish(None)
    await release(_of_one_call(ports, claims), claims)


async def fail(ports: Ports, claim: Claim, error: Exception) -> None:
    """Give a claim up because compute raised, and hold others back for the policy's back-off. Cost: at most 1 round trip.

    Those who called before the compute began share its failure, unless there is an old entry, which they must look at themselves. Others
    find the record.
    """
    if claim.mark is None or claim.vector is None:  # under stamps that nobody knows, it says nothing to anybody
        await abandon_many(ports, (claim,))
        return
    record = failure_record(claim.vector, error)
    ports = _of_one_call(ports, [claim])
    stored: object = 0
    try:
        (stored,) = await ports.store.flight([Fail(claim.request.names.lease, claim.mark, record, claim.request.policy.backoff_ms)])
        claim.lost = None
    except StoreError as failure:
        stored = failure
    finally:
        if isinstance(stored, StoreError):
            ports.events.suppressed("abandon", stored)
        if claim.flight is not None:
            claim.flight.finish(record if stored == 1 and claim.kept is None else None)


async def release(ports: Ports, claims: Sequence[Claim]) -> None:
    """Drop the leases of these claims, where they are still ours. Cost: 1 round trip; none without a lease."""
    ops = [Abandon(claim.request.names.lease, claim.mark) for claim in claims if claim.mark is not None]
    if not ops:
        return
    try:
        replies: Sequence[object] = await ports.store.flight(ops)
    except StoreError as error:
        replies = (error,)
    for claim in claims:
        claim.lost = None
    for reply in replies:
        if isinstance(reply, StoreError):
            ports.events.suppressed("abandon", reply)
