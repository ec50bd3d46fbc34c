"""Look and read: what is there for a caller, without a claim to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from afresh.core.budget import one_call
from afresh.core.decide import Cause, State, Verdict, classify, near_for_ms, plain_payload, plainly_fresh, undeclared
from afresh.core.dictionaries import fetch_dictionary
from afresh.core.envelope import Entry, Flag
from afresh.core.keys import Names, Namespace
from afresh.core.ops import Get
from afresh.core.policy import Policy
from afresh.core.ports import Flight, Near, Ports, Values
from afresh.core.stamps import Needs
from afresh.errors import StoreError, StoreRefused, UndecodablePayload

__all__ = [
    "NEAR",
    "WITHHELD",
    "Hit",
    "Request",
    "alike",
    "are_withheld",
    "counted",
    "decoded",
    "decoded_by_all_means",
    "fetch",
    "fetch_for",
    "fill",
    "fill_token",
    "hit_kept",
    "hit_of",
    "is_withheld",
    "judge",
    "look",
    "near_ms",
    "others_now",
    "plain_hit",
    "raise_failures",
    "read",
    "stamp_reads",
    "unavailable",
    "verdict_on",
]


# The verdict on what the near tier had.
NEAR: Final = Verdict(State.FRESH, None, None)
# And on what may not be read.
WITHHELD: Final = Verdict(State.MISS, Cause.WITHHELD, None)


class Request(NamedTuple):
    """One entry, as a caller wants it.

    Attributes:
        owner: whom the counters blame: a function's name, or a kind.
        near: whether the near tier may serve and keep it.
        share: whether it may hand out one object to all callers, though they could change it.
        captures: whether what its compute reads through afresh is what it depends on, too.
        result_tags: returns the tags that a computed value depends on besides.
    """

    names: Names
    needs: Needs
    policy: Policy
    values: Values
    owner: str
    namespace: Namespace | None
    near: bool = True
    share: bool = False
    captures: bool = True
    result_tags: Callable[[Any], Sequence[str]] | None = None

    def for_each(self, names: Iterable[Names]) -> list[Request]:
        """Return requests for other entries that are wanted in the same way."""
        rest = self[1:]
        new = tuple.__new__  # what Request(…) does before takes as long as all the rest
        return [new(Request, (each, *rest)) for each in names]


class Hit:
    """A value that may be served; or, if negative, the description of an exception that the compute raised.

    Attributes:
        stale: it is past its ttl.
        near: the near tier had it.
        entry: what it was read from; None if the near tier had it.
    """

    __slots__ = ("entry", "is_negative", "near", "stale", "value")

    # By position, since that is twice as fast, and a hit is what must be fast.
    def __init__(
        self,
        value: Any,
        stale: bool = False,  # noqa: FBT001, FBT002  see above
        is_negative: bool = False,  # noqa: FBT001, FBT002
        near: bool = False,  # noqa: FBT001, FBT002
        entry: Entry | None = None,
    ) -> None:
        self.value = value
        self.stale = stale
        self.is_negative = is_negative
        self.near = near
        self.entry = entry

    def __repr__(self) -> str:
        return f"Hit({self.value!r}, stale={self.stale}, is_negative={self.is_negative}, near={self.near})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hit):
            return NotImplemented
        pairs = ((getattr(each, name) for name in ("value", "stale", "is_negative", "near")) for each in (self, other))
        return all(one == another for one, another in zip(*pairs, strict=True))

    __hash__ = None  # type: ignore[assignment]  # values may not be hashable


async def look(ports: Ports, request: Request, held: Sequence[bytes | None] = ()) -> Verdict:
    """Read the entry and the stamps that it needs, in one round trip; in two if it has tags that the caller did not declare.

    Args:
        ports: the store and the clock.
        request: what is wanted.
        held: the stamps that need not be read, each None where it must be; nothing for all of them.

    Raises:
        StoreError: if the server failed.
    """
    reads = request.needs.reads
    unknown = [get for get, stamp in zip(reads, held, strict=True) if stamp is None] if held else reads
    started_us = ports.clock.ticks_us()
    replies = await ports.store.flight((Get(request.names.value), *unknown))
    raw, *stamps = replies
    if held:
        found = iter(stamps)
        stamps = [next(found) if stamp is None else stamp for stamp in held]
    needs = request.needs
    entry = plainly_fresh(raw, needs.vector(stamps), needs, request.values.schema, ports.clock.now_ms())
    if entry is not None:
        return Verdict(State.FRESH, None, entry)
    raise_failures(replies)
    return await judge(ports, request, raw, stamps, started_us)


def plain_hit(request: Request, replies: Sequence[object], now_ms: int) -> Hit | None:
    """Return what is to be served without further thought; None: that takes a flow.

    Args:
        request: what is wanted.
        replies: to GETs of the entry and of all stamps that the request needs.
        now_ms: the server's time.
    """
    raw, needs, values = replies[0], request.needs, request.values
    vector, schema, (codec, decode) = needs.vector(replies[1:]), values.schema, values.plain
    payload = plain_payload(raw, vector, needs, schema, codec, now_ms)
    if payload is not None:
        try:
            return Hit(decode(payload))
        except Exception:  # noqa: BLE001  whatever a codec raises is told by the flow
            return None
    entry = plainly_fresh(raw, vector, needs, schema, now_ms)
    if entry is None or entry.flags & Flag.NEGATIVE:
        return None
    try:
        return hit_of(request, entry)
    except UndecodablePayload:
        return None


async def judge(ports: Ports, request: Request, raw: object, stamps: Sequence[object], started_us: int) -> Verdict:
    """Classify what was found, with the stamps that the request needs. Cost: 1 round trip for an entry with undeclared tags, else none."""
    hashes = undeclared(raw, request.needs)
    others = await others_now(ports, request, hashes, started_us) if hashes else {}
    return verdict_on(ports, request, raw, stamps, others)


def alike(requests: Sequence[Request]) -> dict[int, Needs]:
    """Return what these requests need, by identity: most share one, and comparing them takes longer than reading twice."""
    return {id(request.needs): request.needs for request in requests}


def raise_failures(replies: Sequence[object]) -> None:
    """Raise the first refusal that says nothing of the entry: loading, busy, no permission. WRONGTYPE does: it is somebody else's."""
    for reply in replies:
        if isinstance(reply, StoreRefused) and reply.code != "WRONGTYPE":
            raise reply


async def others_now(ports: Ports, request: Request, hashes: Sequence[bytes], started_us: int) -> dict[bytes, object]:
    """Read the stamps that entries carry and their readers did not declare."""
    namespace = request.namespace
    if namespace is None:
        return {}
    reading = [Get(namespace.stamp_key(name)) for name in hashes]
    stamps = await ports.store.flight(reading, ports.clock.ticks_us() - started_us)
    return {name: None if get.key in ports.withheld else stamp for name, get, stamp in zip(hashes, reading, stamps, strict=True)}


def verdict_on(ports: Ports, request: Request, raw: object, stamps: Sequence[object], others: dict[bytes, object]) -> Verdict:
    """Classify what was found for a request, now."""
    return classify(
        raw,
        stamps,
        request.needs,
        schema=request.values.schema,
        now_ms=ports.clock.now_ms(),
        stale_ttl_ms=request.policy.stale_ttl_ms,
        others=others,
        rand=_rand(ports, request),
    )


def stamp_reads(requests: Sequence[Request]) -> Sequence[Get]:
    """Return what reads the stamps that these requests need, each once."""
    if len(requests) == 1:
        return requests[0].needs.reads
    return list(dict.fromkeys(get for needs in alike(requests).values() for get in needs.reads))


async def fetch(ports: Ports, request: Request, *, for_all: bool = False) -> tuple[Hit | None, Verdict]:
    """Do what `read` does, from the near tier if it can be, and fill that. What is found may be `max_stale` old.

    With `for_all` it is as new as with `read`, to be shared with other callers.

    Cost: none, or as `read`; 1 round trip more where a stamp was held that has just been renewed.
    """
    near = ports.near if request.near else None
    if near is None:
        return await read(ports, request)
    hit = None if for_all else near.hit(request)
    if hit is not None:
        return hit, NEAR
    token = near.token()  # before anything is read, the held stamps among it
    held = () if for_all else near.held(token, [get.key for get in request.needs.reads])
    started_us = ports.clock.ticks_us()
    hit, verdict = await read(ports, request, held)
    # Perhaps it is the stamp held that is old; or the server was another one, and has older entries.
    if any(held) and (verdict.cause is Cause.INVALIDATED or (hit is not None and not token.is_unbroken())):
        hit, verdict = await read(one_call(ports, ports.clock.ticks_us() - started_us), request)
    fill(ports, near, token, request, hit, verdict)
    return hit, verdict


async def fetch_for(ports: Ports, request: Request, look: Flight | None) -> tuple[Hit | None, Verdict]:
    """Do what `fetch` does; for those, too, who wait in our look, if we lead one."""
    if look is None:
        try:
            return await fetch(ports, request)
        finally:
            ports.flights.looked(request.names.value)
    try:
        await ports.flights.assemble()
        look.mark()
        hit, verdict = await fetch(ports, request, for_all=True)
    except BaseException:
        look.finish(None)
        raise
    if hit is not None and verdict.entry is not None:
        look.finish(verdict.entry.raw)
    return hit, verdict


def fill_token(ports: Ports) -> Any:
    """Return what will say whether something has changed since; None where nobody hears of that."""
    return None if ports.near is None else ports.near.token()


def fill(ports: Ports, near: Near, token: Any, request: Request, hit: Hit | None, verdict: Verdict) -> None:
    """Fill the near tier with a fresh entry. A stale one is to be looked for at the server, where somebody renews it."""
    if hit is not None and verdict.state is State.FRESH and verdict.entry is not None:
        near.fill(token, request, verdict.entry, hit.value, near_ms(ports, request, verdict.entry))


def near_ms(ports: Ports, request: Request, entry: Entry) -> float:
    """Return how long the near tier may answer with this entry."""
    return near_for_ms(entry, ports.clock.now_ms(), _rand(ports, request))


def _rand(ports: Ports, request: Request) -> float:
    return ports.rand() if request.policy.early_refresh else 1.0


def is_withheld(ports: Ports, request: Request) -> bool:
    """Say whether an invalidation of this entry, or of a tag that its reader names, has not reached the server yet."""
    return request.names.value in ports.withheld or are_withheld(ports, request.needs)


def are_withheld(ports: Ports, needs: Needs) -> bool:
    """Say whether an invalidation of one of these has not reached the server yet."""
    return any(tag.key in ports.withheld for tag in needs.tags)


async def read(ports: Ports, request: Request, held: Sequence[bytes | None] = ()) -> tuple[Hit | None, Verdict]:
    """Look and decode. A failing server, or bytes that do not decode, are a miss with that cause. Cost: as `look`."""
    if ports.withheld and is_withheld(ports, request):
        return None, WITHHELD
    try:
        verdict = await look(ports, request, held)
    except StoreError as error:
        return None, unavailable(ports, error)
    return await decoded_by_all_means(ports, request, verdict)


async def decoded_by_all_means(ports: Ports, request: Request, verdict: Verdict) -> tuple[Hit | None, Verdict]:
    """Do what `decoded` does, and fetch what an entry was compressed with. Cost: 1 round trip for each dictionary, once."""
    found = decoded(request, verdict)
    if found[1].cause is Cause.UNDECODABLE and await fetch_dictionary(ports, request.values.dictionaries, verdict.entry):
        return decoded(request, verdict)
    return found


def unavailable(ports: Ports, error: StoreError) -> Verdict:
    """Return the verdict where the server failed."""
    ports.events.suppressed("read", error)
    return Verdict(State.MISS, Cause.UNAVAILABLE, None)


def decoded(request: Request, verdict: Verdict) -> tuple[Hit | None, Verdict]:
    """Return the hit of a verdict. Bytes that do not decode are a miss with that cause."""
    if verdict.cause is not None or verdict.entry is None:
        return None, verdict
    try:
        hit = hit_of(request, verdict.entry)
    except UndecodablePayload:
        return None, verdict._replace(state=State.MISS, cause=Cause.UNDECODABLE)
    hit.stale = verdict.state is State.STALE
    return hit, verdict


def counted(ports: Ports, request: Request, hit: Hit | None, verdict: Verdict, default: Any) -> Any:
    """Return the value of a hit, or the default, and count which."""
    if hit is None or hit.is_negative:
        ports.events.miss(request.owner, verdict.cause or Cause.EXPIRED)
        return default
    ports.events.hit(request.owner, stale=hit.stale, near=hit.near)
    return hit.value


def hit_of(request: Request, entry: Entry) -> Hit:
    """Return what an entry holds.

    Raises:
        UndecodablePayload: if it does not decode.
    """
    is_negative = entry.flags & Flag.NEGATIVE != 0
    # By position: twice as fast.
    return Hit(request.values.decode(request.names.value, entry), False, is_negative, False, entry)  # noqa: FBT003


def hit_kept(request: Request, entry: Entry) -> Hit | None:
    """Return what an old entry holds, to serve where a compute failed; None if it does not decode."""
    try:
        hit = hit_of(request, entry)
    except UndecodablePayload:
        return None
    hit.stale = True
    return hit
