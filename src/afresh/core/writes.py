"""Set, add, count, touch and invalidate: the flows that write without a compute.

Each drops the lease of the key, so that a compute that began before it stores nothing over it. A write takes the current stamps: its
value belongs to the time of the call. It races other writers, as a bare SET does.

It does not wait for the stamps: it writes under those that the process saw last, and asks for them in the same flight. If they have changed
since, nobody is served what was written, for old stamps never return, and it is written once more under the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from afresh.core.budget import one_call
from afresh.core.changes import change, ensured, guess_of, sent, vector_now, vectors_now, write
from afresh.core.commits import envelope_of, prefix_of
from afresh.core.decide import Cause, State, Verdict, classify
from afresh.core.envelope import FOR_EVER, Entry, pack_prefix, parse
from afresh.core.keys import Names, Namespace, key_tag, writers_of
from afresh.core.ops import Bump, Expire, Incr, Invalidate, Op, Put, Set, Stamp, Swap, Touch, Unlink
from afresh.core.plain_puts import PlainPut, Puts, plain_put, plain_puts, unlinking, was_put
from afresh.core.policy import KEY_STAMP_MS, hard_ttl_ms, tag_ttl_ms
from afresh.core.ports import Encoded, Ports
from afresh.core.reads import Request, alike, decoded, judge, look
from afresh.core.stamps import STAMP_BYTES, Needs
from afresh.errors import NotAnInteger, StoreError, StoreRefused, StoreUnavailable, UndecodablePayload

__all__ = ["Target", "add", "attempt", "dropped_by", "expire", "incr", "invalidate", "key_targets", "put", "put_alike", "put_many", "touch"]

# How often a compare-and-set is tried again when others write the same key in between.
_TRIES = 20


class Target(NamedTuple):
    """Something to invalidate: an entry by its names, with the stamp of its function if it has one; or a tag's stamp."""

    names: Names | None
    stamp: str | None


def key_targets(namespace: Namespace, names: Names, stamp: str | None) -> tuple[Target, Target]:
    """Return what to invalidate of a key: the entry, and those that were made of it."""
    return Target(names, stamp), Target(None, key_tag(namespace, names).key)


async def put(ports: Ports, request: Request, value: object) -> bool:
    """Store the value whatever is there; with ttl 0, or while a tag is dirty, drop what is there. True if stored.

    Cost: 1 round trip; 2 under stamps that are new to this process.

    Raises:
        UnencodableValue: before anything is written.
        StoreError: if the server failed.
    """
    plain = plain_put(ports, request, value)
    if plain is None:
        return await put_many(ports, [(request, value)])
    return await _put_plainly(ports, (request.names.value,), request.needs, plain, lambda: [(request, value)])


async def put_alike(ports: Ports, puts: Puts) -> bool:
    """Do what `put_many` does, for values whose requests differ in nothing but names."""
    plain = plain_puts(ports, puts)
    if plain is None:
        return await put_many(ports, puts.pairs())
    return await _put_plainly(ports, puts.wanted.values, puts.wanted.like.needs, plain, puts.pairs)


async def _put_plainly(
    ports: Ports, names: Sequence[str], needs: Needs, plain: PlainPut, pairs: Callable[[], list[tuple[Request, object]]]
) -> bool:
    """Send what is plain. If that is not enough, put the pairs by all means."""
    (_, ops), started_us = plain, ports.clock.ticks_us()
    if was_put(ports, needs, plain, await sent(ports, names, (*ops, *needs.reads))):
        return True
    return await put_many(one_call(ports, ports.clock.ticks_us() - started_us), pairs())


async def put_many(ports: Ports, pairs: Sequence[tuple[Request, object]]) -> bool:
    """Do what `put` does for values whose requests share a policy, in the same round trips. True if all were stored."""
    requests = [request for request, _ in pairs]
    ttl_ms = requests[0].policy.ttl_for(pairs[0][1])
    encoded = [(request, request.values.encode(value)) for request, value in pairs]
    if ttl_ms == 0:
        await _drop(ports, requests)
        return False

    guesses = {at: guess_of(ports, needs) for at, needs in alike(requests).items()}
    vectors: dict[int, bytes | None] = {}
    started_us = ports.clock.ticks_us()
    try:
        if None not in guesses.values():
            first = _putting(ports, encoded, guesses, ttl_ms)
            vectors, _ = await vectors_now(ports, requests, ttl_ms, first)
            if vectors == guesses:
                return True
            ports = one_call(ports, ports.clock.ticks_us() - started_us)
        else:
            guesses = {}
        if not vectors or None in vectors.values():
            vectors, _ = await vectors_now(ports, requests, ttl_ms)
        changed = {at for at, vector in vectors.items() if vector is None or vector != guesses.get(at)}
        again = [each for each in encoded if id(each[0].needs) in changed]
        await write(ports, requests, _putting(ports, again, vectors, ttl_ms))
    except StoreRefused:  # a full server: what is there is not what was set
        await _drop(one_call(ports, ports.clock.ticks_us() - started_us), requests)
        raise
    return None not in vectors.values()


async def _drop(ports: Ports, requests: Sequence[Request]) -> None:
    """Drop what is there, and have all near tiers forget it, on a full server, too, which refuses to announce it."""
    functions = [request for request in requests if request.needs.function is not None]
    others = [request for request in requests if request.needs.function is None]
    if others:  # these names are pushed themselves
        await change(ports, [each.names.value for each in others], _dropping(others))
    if functions:
        await invalidate(ports, [Target(each.names, each.needs.tags[each.needs.implicit - 1].key) for each in functions])


def _dropping(requests: Iterable[Request]) -> list[Op]:
    return unlinking([name for request in requests for name in request.names[:2]])


def _putting(ports: Ports, encoded: Sequence[tuple[Request, Encoded]], vectors: Mapping[int, bytes | None], ttl_ms: int | None) -> list[Op]:
    """Return what stores these values under the vectors of their needs, by identity; what drops them where there is none.

    First the leases: what is computed from then on may be stored over this, what was computed before may not. Two commands cost the server
    half of what a script does; only PSETEX has no way to say "for ever".
    """
    px_ms = hard_ttl_ms(ttl_ms, encoded[0][0].policy.kept_ms)
    last: object = None
    prefix = b""  # nearly always the same for all of a batch
    dropped: list[Request] = []
    leases: list[str] = []
    puts: list[Op] = []
    new = tuple.__new__  # what Set(…) does before takes longer than all the rest
    for request, each in encoded:
        (value, lease, _), needs, _, values, *_ = request
        vector = vectors[id(needs)]
        if vector is None:
            dropped.append(request)
            continue
        codec, flags, _, dictionary = each
        kind = (needs, values, codec, flags, dictionary)
        if kind != last:
            prefix, last = prefix_of(ports, request, each, vector, ttl_ms=ttl_ms), kind
        envelope = values.seal(value, prefix, each)
        if px_ms:
            leases.append(lease)
            puts.append(new(Set, (value, px_ms, envelope)))
        else:
            puts.append(Put(value, lease, envelope, 0))
    return [*_dropping(dropped), *unlinking(leases), *puts]


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
    guess = guess_of(ports, request.needs)
    first = [] if guess is None else [_swapping(request, b"", envelope_of(ports, request, encoded, guess, ttl_ms=ttl_ms))]
    vectors, replies = await vectors_now(ports, [request], ttl_ms, first)
    vector = vectors[id(request.needs)]
    if vector is None and first:
        vector = await vector_now(ports, request, ttl_ms)
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
        (reply,) = await write(ports, [request], (swap,))
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
        answer, *stamps = await write(ports, [request], (Incr(names.value, names.lease, by), *needs.reads))
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
            vector = await vector_now(ports, request, request.policy.ttl_ms)
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
    (reply,) = await write(ports, [request], (swap,))
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
    reply, *stamps = await write(ports, [request], [touching, *needs.reads])
    entry = parse(reply) if reply else None
    if entry is None:
        return False
    others: dict[bytes, object] = {}
    if entry.tags and request.namespace is not None:  # their stamps must live as long as the entry now does
        hashes, stamps_ms = list(entry.tag_stamps()), tag_ttl_ms(ttl_ms, policy.kept_ms)
        keys = [request.namespace.stamp_key(name) for name in hashes]
        extend = [Stamp(key, writers_of(key), ports.token(STAMP_BYTES), stamps_ms) for key in keys]
        others = dict(zip(hashes, ensured(await ports.store.flight(extend)), strict=True))
    verdict = classify(reply, stamps, needs, schema=entry.schema, now_ms=ports.clock.now_ms(), others=others)
    return verdict.cause is None


async def invalidate(ports: Ports, targets: Sequence[Target]) -> int:
    """Make sure that nothing computed before this call is served after it. Returns how many entries were there.

    Cost: 1 round trip whatever the number of targets; 1 more if the server is full.

    Raises:
        StoreError: if it may not have been applied.
    """
    return dropped_by(targets, ensured(await attempt(ports, targets)))


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
    replies = list(await sent(ports, changed, ops))
    # The key's own stamp could not be renewed on a full server: what captured it depends on its function's stamp as well.
    coarser = {
        at: target.stamp
        for at, (target, reply) in enumerate(zip(targets, replies, strict=True))
        if target.names is not None and target.stamp is not None and isinstance(reply, list) and not reply[1]
    }
    if coarser:
        stamps = sorted(set(coarser.values()))
        said = dict(zip(stamps, await sent(ports, stamps, [Unlink(stamp) for stamp in stamps]), strict=True))
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
    await change(ports, [each.value for each in names], ops)
