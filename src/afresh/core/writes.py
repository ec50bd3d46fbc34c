"""Set, add, count, touch and invalidate: the flows that write without a compute.

Each drops the lease of the key, so that a compute that began before it stores nothing over it. A write takes the current stamps: its
value belongs to the time of the call. It races other writers, as a bare SET does.

It does not wait for the stamps: it writes under those that the process saw last, and asks for them in the same flight. If they have changed
since, nobody is served what was written, for old stamps never return, and it is written once more under the new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from afresh.core.budget import one_call
from afresh.core.commits import announcements, envelope_of
from afresh.core.decide import Cause, State, Verdict, classify
from afresh.core.envelope import FOR_EVER, Entry, pack_prefix, parse
from afresh.core.flows import new_stamps
from afresh.core.keys import Names, Namespace, key_tag, writers_of
from afresh.core.ops import Bump, Expire, Incr, Invalidate, Op, Put, Set, Stamp, Swap, Touch, Unlink
from afresh.core.policy import KEY_STAMP_MS, hard_ttl_ms, tag_ttl_ms
from afresh.core.ports import Encoded, Ports
from afresh.core.reads import Request, decoded, judge, look
from afresh.core.stamps import STAMP_BYTES, Needs
from afresh.errors import NotAnInteger, StoreError, StoreRefused, StoreUnavailable, UndecodablePayload

__all__ = ["Target", "add", "attempt", "dropped_by", "expire", "incr", "invalidate", "key_targets", "put", "put_many", "touch"]

# How often a compare-and-set is tried again when others write the same key in between.
_TRIES = 20


class Target(NamedTuple):
    """Something to invalidate: an entry by its names, with the stamp of its function if it has one; or a tag's stamp."""

    names: Names | None
    stamp: str | None


def key_targets(namespace: Namespace, names: Names, stamp: str | None) -> tuple[Target, Target]:
    """Return what to invalidate of a key: the entry, and those that were made of it."""
    return Target(names, stamp), Target(None, key_tag(namespace, names).key)


def _ensured(replies: Sequence[Any]) -> Sequence[Any]:
    """Return the replies; raise the first refusal among them."""
    for reply in replies:
        if isinstance(reply, StoreError):
            raise reply
    return replies


async def _write(ports: Ports, requests: Sequence[Request], ops: Sequence[Op]) -> Sequence[Any]:
    """Write the entries of these requests, and have all near tiers forget what they were."""
    announcing = announcements(ports, requests)
    replies = await _change(ports, [request.names.value for request in requests], [*ops, *announcing])
    return replies[: len(ops)]


async def _change(ports: Ports, names: Iterable[str], ops: Sequence[Op]) -> Sequence[Any]:
    """Write, and have the near tier of this process forget these names before the caller goes on, whatever came of it.

    Not before writing: what is read meanwhile is as old as what was there, and can no longer be filled after this.
    """
    return _ensured(await _sent(ports, names, ops))


async def _sent(ports: Ports, names: Iterable[str], ops: Sequence[Op]) -> Sequence[Any]:
    """Do what `_change` does, and return the refusals among the replies."""
    try:
        return await ports.store.flight(ops)
    finally:
        if ports.near is not None:
            ports.near.drop(names)


async def _vectors(
    ports: Ports, requests: Sequence[Request], ttl_ms: int | None, first: Sequence[Op] = ()
) -> tuple[list[bytes | None], Sequence[Any]]:
    """Write what is given, and return the stamps of each request as they are now, and the replies to the writes.

    No vector while a transaction keeps a tag dirty. With something to write, implicit stamps are read and not created: there is no vector
    if one is missing. Cost: 1 round trip; none where there is nothing to do.
    """
    px_ms = tag_ttl_ms(ttl_ms, requests[0].policy.kept_ms)
    needs = dict.fromkeys(request.needs for request in requests)
    stamping: dict[str, Op] = {}
    for each in needs:
        if not first or len(each.tags) > each.implicit:
            stamping |= {op.key: op for op in each.stamping(new_stamps(ports, each), px_ms)}
        if first:
            stamping |= {get.key: get for get in each.reads[: each.implicit]}
    ops = (*first, *stamping.values())
    replies = await _write(ports, requests if first else (), ops) if ops else ()
    stamps = dict(zip(stamping, replies[len(first) :], strict=True))
    ports.remembered.learn(stamps)
    vectors = {each: each.vector([stamps[tag.key] for tag in each.tags]) if each.is_storable else None for each in needs}
    return [vectors[request.needs] for request in requests], replies[: len(first)]


def _guess(ports: Ports, needs: Needs) -> bytes | None:
    """Return the vector to write under before it is known; None if there is nothing to guess by."""
    return ports.remembered.vector(needs) if needs.is_storable else None


async def put(ports: Ports, request: Request, value: object) -> bool:
    """Store the value whatever is there; with ttl 0, or while a tag is dirty, drop what is there. True if stored.

    Cost: 1 round trip; 2 under stamps that are new to this process.

    Raises:
        UnencodableValue: before anything is written.
        StoreError: if the server failed.
    """
    return await put_many(ports, [(request, value)])


async def put_many(ports: Ports, pairs: Sequence[tuple[Request, object]]) -> bool:
    """Do what `put` does for values whose requests share a policy, in the same round trips. True if all were stored."""
    requests = [request for request, _ in pairs]
    ttl_ms = requests[0].policy.ttl_for(pairs[0][1])
    encoded = [request.values.encode(value) for request, value in pairs]
    if ttl_ms == 0:
        await _write(ports, requests, _dropping(requests))
        return False

    guesses = [_guess(ports, request.needs) for request in requests]
    started_us = ports.clock.ticks_us()
    vectors: list[bytes | None] = [None] * len(requests)
    try:
        if None not in guesses:
            first = _putting(ports, zip(requests, encoded, guesses, strict=True), ttl_ms)
            vectors, _ = await _vectors(ports, requests, ttl_ms, first)
            if vectors == guesses:
                return True
            ports = one_call(ports, ports.clock.ticks_us() - started_us)
        else:
            guesses = [None] * len(requests)
        if None in vectors:
            vectors, _ = await _vectors(ports, requests, ttl_ms)
        values = zip(requests, encoded, vectors, strict=True)
        changed = [each for each, guess in zip(values, guesses, strict=True) if each[2] is None or each[2] != guess]
        await _write(ports, requests, _putting(ports, changed, ttl_ms))
    except StoreRefused:  # a full server: what is there is not what was set
        await _write(one_call(ports, ports.clock.ticks_us() - started_us), requests, _dropping(requests))
        raise
    return None not in vectors


def _dropping(requests: Sequence[Request]) -> list[Op]:
    return [Unlink(request.names.value, (request.names.lease,)) for request in requests]


def _putting(ports: Ports, values: Iterable[tuple[Request, Encoded, bytes | None]], ttl_ms: int | None) -> list[Op]:
    """Return what stores these values under these vectors; what drops them where there is none."""
    ops: list[Op] = []
    for request, encoded, vector in values:
        value, lease, _ = request.names
        px_ms = hard_ttl_ms(ttl_ms, request.policy.kept_ms)
        if vector is None:
            ops.append(Unlink(value, (lease,)))
            continue
        envelope = envelope_of(ports, request, encoded, vector, ttl_ms=ttl_ms)
        # First the lease: what is computed from then on may be stored over this, what was computed before may not. Two commands cost the
        # server half of what a script does; only PSETEX has no way to say "for ever".
        ops += (Unlink(lease), Set(value, px_ms, envelope)) if px_ms else (Put(value, lease, envelope, 0),)
    return ops


async def add(ports: Ports, request: Request, value: object) -> bool:
    """Store the value if there is no valid entry. True if stored: then nobody else's `add` is, until the entry ends.

    While a transaction keeps a tag dirty nothing can be stored: False. With ttl 0: whether it would have been.

    Cost: 1 round trip; 1 more under stamps that are new to this process, and 1 more where there is something.

    Raises:
        UnencodableValue: before anything is written.
        StoreError: if the server failed.
    """
    encoded = request.values.encode(value)
    ttl_ms = request.policy.ttl_for(value)
    if ttl_ms == 0:
        return (await _found(ports, request)).cause is not None
    started_us = ports.clock.ticks_us()
    guess = _guess(ports, request.needs)
    first = [] if guess is None else [_swapping(request, b"", envelope_of(ports, request, encoded, guess, ttl_ms=ttl_ms))]
    (vector,), replies = await _vectors(ports, [request], ttl_ms, first)
    if vector is None and first:
        (vector,), _ = await _vectors(ports, [request], ttl_ms)
    if vector is None:
        return False
    if replies and replies[0] == 1 and vector == guess:
        return True
    ports = one_call(ports, ports.clock.ticks_us() - started_us)
    verdict = None
    if replies and replies[0] == 1:
        verdict = Verdict(State.MISS, Cause.INVALIDATED, parse(first[0].envelope))
    elif replies:
        verdict = await _found(ports, request)
    return await _swap(ports, request, envelope_of(ports, request, encoded, vector, ttl_ms=ttl_ms), verdict)


def _swapping(request: Request, seen: bytes, envelope: bytes) -> Swap:
    names, policy = request.names, request.policy
    return Swap(names.value, names.lease, seen, 0, envelope, hard_ttl_ms(policy.ttl_ms, policy.kept_ms))


async def _swap(ports: Ports, request: Request, envelope: bytes, verdict: Verdict | None) -> bool:
    """Put the envelope where there is no valid entry, looking again at whatever turns up in between."""
    for _ in range(_TRIES):
        if verdict is not None and verdict.cause is None:
            return False
        swap = _swapping(request, b"" if verdict is None else verdict.seen, envelope)
        (reply,) = await _write(ports, [request], (swap,))
        if reply == 1:
            return True
        verdict = await _found(ports, request)
    return False


async def _found(ports: Ports, request: Request) -> Verdict:
    return decoded(request, await look(ports, request))[1]


async def incr(ports: Ports, request: Request, by: int, *, create: bool) -> int | None:
    """Add to an integer and return the sum; its lifetime stays. Without a valid entry: begin at 0, or return None.

    Cost: 1 round trip; 1 more for an entry with tags; 2 more to begin, or for sums beyond 15 digits.

    Raises:
        NotAnInteger: if the entry holds something else.
        StoreError: if the server failed: a counter is never wrong silently.
    """
    names, needs, ports = request.names, request.needs, one_call(ports)
    for _ in range(_TRIES):
        answer, *stamps = await _write(ports, [request], (Incr(names.value, names.lease, by), *needs.reads))
        raw = answer[1] if answer[0] >= 0 else None
        verdict = await judge(ports, request, raw, stamps, ports.clock.ticks_us())
        if verdict.cause is None and verdict.entry is not None:
            total = _integer(request, verdict.entry)
            if answer[0] == 1:
                return total
            if await _replace(ports, request, verdict.entry, total + by):
                return total + by
        elif not create:
            return None
        else:
            (vector,), _ = await _vectors(ports, [request], request.policy.ttl_ms)
            if vector is None:
                return by
            envelope = envelope_of(ports, request, request.values.encode(by), vector, ttl_ms=request.policy.ttl_ms)
            if await _swap(ports, request, envelope, verdict):
                return by
    raise StoreUnavailable(f"incr of {request.names.value!r} was overtaken {_TRIES} times; try again.")


def _integer(request: Request, entry: Entry) -> int:
    try:
        value = request.values.decode(request.names.value, entry)
    except UndecodablePayload:
        value = None
    if not isinstance(value, int) or isinstance(value, bool):
        raise NotAnInteger(request.names.value)
    return value


async def _replace(ports: Ports, request: Request, entry: Entry, total: int) -> bool:
    """Put a new total in place of exactly this entry, whose vector and lifetime it keeps."""
    encoded: Encoded = request.values.encode(total)
    until = entry.fresh_until_ms
    prefix = pack_prefix(
        entry.vector,
        flags=entry.flags & 3 | encoded.flags,
        codec=encoded.codec,
        tags=entry.tags,
        created_ms=entry.created_ms,
        fresh_until_ms=until,
        cost_us=entry.cost_us,
        schema=entry.schema,
    )
    envelope = request.values.seal(request.names.value, prefix, encoded)
    px_ms = 0 if until == FOR_EVER else max(1, until - ports.clock.now_ms())
    swap = Swap(request.names.value, request.names.lease, entry.raw, len(entry.raw), envelope, px_ms)
    (reply,) = await _write(ports, [request], (swap,))
    return bool(reply == 1)


async def touch(ports: Ports, request: Request) -> bool:
    """Give a fresh entry the policy's ttl from now on; 0 drops it. False if there is none. Cost: 1 round trip; 1 more with tags."""
    names, needs, policy = request.names, request.needs, request.policy
    ttl_ms, ports = policy.ttl_ms, one_call(ports)
    if ttl_ms == 0:
        return await invalidate(ports, [Target(names, None)]) > 0
    until = FOR_EVER if ttl_ms is None else ports.clock.now_ms() + ttl_ms
    px_ms = hard_ttl_ms(ttl_ms, policy.kept_ms)
    touching = Touch(names.value, names.lease, until.to_bytes(8, "little"), px_ms)
    reply, *stamps = await _write(ports, [request], [touching, *needs.reads])
    entry = parse(reply) if reply else None
    if entry is None:
        return False
    others: dict[bytes, object] = {}
    if entry.tags and request.namespace is not None:  # their stamps must live as long as the entry now does
        hashes, stamps_ms = list(entry.tag_stamps()), tag_ttl_ms(ttl_ms, policy.kept_ms)
        keys = [request.namespace.stamp_key(name) for name in hashes]
        extend = [Stamp(key, writers_of(key), ports.token(STAMP_BYTES), stamps_ms) for key in keys]
        others = dict(zip(hashes, _ensured(await ports.store.flight(extend)), strict=True))
    verdict = classify(reply, stamps, needs, schema=entry.schema, now_ms=ports.clock.now_ms(), others=others)
    return verdict.cause is None


async def invalidate(ports: Ports, targets: Sequence[Target]) -> int:
    """Make sure that nothing computed before this call is served after it. Returns how many entries were there.

    Cost: 1 round trip whatever the number of targets; 1 more if the server is full.

    Raises:
        StoreError: if it may not have been applied.
    """
    return dropped_by(targets, _ensured(await attempt(ports, targets)))


def dropped_by(targets: Sequence[Target], replies: Sequence[Any]) -> int:
    """Return how many entries were there, by the replies to `attempt`."""
    return sum(reply[0] for target, reply in zip(targets, replies, strict=True) if target.names is not None)


async def attempt(ports: Ports, targets: Sequence[Target], *, since_ms: Sequence[int] | None = None) -> Sequence[Any]:
    """Do what `invalidate` does, and return what became of each target: a `StoreError` for one that the server refused.

    Args:
        ports: the store.
        targets: what to invalidate.
        since_ms: when each invalidation was called, if that was not now: what was set after that stays.

    Raises:
        StoreError: if the server failed: none may have been applied, or all.
    """
    ops: list[Op] = []
    changed: list[str] = []
    for (names, stamp), since in zip(targets, since_ms or [0] * len(targets), strict=True):
        fresh = ports.token(STAMP_BYTES)
        if names is not None:
            ops.append(Invalidate(*names, fresh, KEY_STAMP_MS, since))
            changed.append(names.value)
        else:
            assert stamp is not None
            ops.append(Bump(stamp, writers_of(stamp), fresh))
            changed.append(stamp)
    ports = one_call(ports)
    replies = list(await _sent(ports, changed, ops))
    # The key's own stamp could not be renewed on a full server: what captured it depends on its function's stamp as well.
    coarser = {
        at: target.stamp
        for at, (target, reply) in enumerate(zip(targets, replies, strict=True))
        if target.names is not None and target.stamp is not None and isinstance(reply, list) and not reply[1]
    }
    if coarser:
        stamps = sorted(set(coarser.values()))
        said = dict(zip(stamps, await _sent(ports, stamps, [Unlink(stamp) for stamp in stamps]), strict=True))
        for at, stamp in coarser.items():
            if isinstance(said[stamp], StoreError):
                replies[at] = said[stamp]
    return replies


async def expire(ports: Ports, targets: Sequence[Target]) -> None:
    """Make sure that no entry of these is fresh any more. They may be served stale, while one caller computes anew.

    Cost: 1 round trip whatever the number of targets.

    Raises:
        StoreError: if it may not have been applied.
    """
    until = ports.clock.now_ms().to_bytes(8, "little")
    names = [target.names for target in targets if target.names is not None]
    ops = [Expire(*each, until, ports.token(STAMP_BYTES), KEY_STAMP_MS) for each in names]
    await _change(ports, [each.value for each in names], ops)
