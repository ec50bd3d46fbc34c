"""Look and read, for several entries at once: one or two round trips in all, and little work for each entry that is plainly fresh.

What is decided is what is decided for one entry, by the same functions; only those that are not plainly fresh are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from afresh.core.decide import State, Verdict, plain_payloads, plainly_fresh, undeclared
from afresh.core.envelope import Entry
from afresh.core.keys import Names
from afresh.core.ops import Get, GetEach
from afresh.core.ports import Ports
from afresh.core.reads import (
    NEAR,
    WITHHELD,
    Hit,
    Request,
    alike,
    counted,
    decoded_by_all_means,
    fill,
    is_withheld,
    others_now,
    raise_failures,
    stamp_reads,
    unavailable,
    verdict_on,
)
from afresh.errors import StoreError

__all__ = ["MOST_AT_ONCE", "Alike", "fetch_many", "read_many", "values_of"]

# How many names a command has at most: the server does nothing else meanwhile.
MOST_AT_ONCE: Final = 1000

# What stands where a value is not to be had plainly.
_DOUBTFUL: Final = object()

# An entry that is plainly fresh, or what is to be said of one that is not.
_Found: TypeAlias = Entry | Verdict


async def _look_many(ports: Ports, requests: Sequence[Request]) -> Sequence[_Found]:
    """Look for several entries of one namespace. A failing server is a verdict, too. Cost: 1 round trip; 2 for undeclared tags."""
    try:
        return await _looked(ports, requests)
    except StoreError as error:
        return [unavailable(ports, error)] * len(requests)


async def _looked(ports: Ports, requests: Sequence[Request]) -> Sequence[_Found]:
    started_us = ports.clock.ticks_us()
    reads = stamp_reads(requests)
    raws, stamps = await _read(ports, tuple([request.names.value for request in requests]), reads)
    told = dict(zip(reads, stamps, strict=True))
    vectors = {at: needs.vector([told[get] for get in needs.reads]) for at, needs in alike(requests).items()}
    now_ms = ports.clock.now_ms()
    found: list[Any] = [
        plainly_fresh(raw, vectors[id(request.needs)], request.needs, request.values.schema, now_ms)
        for request, raw in zip(requests, raws, strict=True)
    ]
    doubtful = [at for at, entry in enumerate(found) if entry is None]
    if not doubtful:
        return found
    verdicts = await _verdicts(ports, [requests[at] for at in doubtful], [raws[at] for at in doubtful], told, started_us)
    for at, verdict in zip(doubtful, verdicts, strict=True):
        found[at] = verdict
    return found


async def _read(ports: Ports, values: tuple[str, ...], reads: Sequence[Get]) -> tuple[list[Any], list[Any]]:
    """Return the bytes of these entries and these stamps. Cost: 1 round trip."""
    getting = [GetEach(values[at : at + MOST_AT_ONCE]) for at in range(0, len(values), MOST_AT_ONCE)]
    replies = await ports.store.flight((*getting, *reads))
    raise_failures(replies)
    return [raw for several in replies[: len(getting)] for raw in several], replies[len(getting) :]


async def _verdicts(
    ports: Ports, requests: Sequence[Request], raws: Sequence[object], told: Mapping[Get, object], started_us: int
) -> list[Verdict]:
    """Classify what was found, with the stamps that were told. Cost: 1 round trip for entries with undeclared tags, else none."""
    hashes = dict.fromkeys(name for request, raw in zip(requests, raws, strict=True) for name in undeclared(raw, request.needs))
    others = await others_now(ports, requests[0], list(hashes), started_us) if hashes else {}
    stamps = {at: [told[get] for get in needs.reads] for at, needs in alike(requests).items()}
    return [verdict_on(ports, request, raw, stamps[id(request.needs)], others) for request, raw in zip(requests, raws, strict=True)]


async def read_many(ports: Ports, requests: Sequence[Request]) -> list[tuple[Hit | None, Verdict]]:
    """Do what `read` does for several entries of one namespace. Cost: 1 round trip in all; 2 if an entry has undeclared tags."""
    if ports.withheld and any(withheld := [is_withheld(ports, request) for request in requests]):
        free = [request for request, is_not in zip(requests, withheld, strict=True) if not is_not]
        found = iter(await read_many(ports, free) if free else ())
        return [(None, WITHHELD) if is_not else next(found) for is_not in withheld]
    return [
        await decoded_by_all_means(ports, request, _verdict(found))
        for request, found in zip(requests, await _look_many(ports, requests), strict=True)
    ]


async def fetch_many(ports: Ports, requests: Sequence[Request]) -> list[tuple[Hit | None, Verdict]]:
    """Do what `fetch` does for several entries of one namespace, all for the near tier or none. Cost: none, or as `read_many`."""
    near = ports.near if requests[0].near else None
    if near is None:
        return await read_many(ports, requests)
    hits = [near.hit(request) for request in requests]
    missing = [request for request, hit in zip(requests, hits, strict=True) if hit is None]
    token = near.token()
    found = await read_many(ports, missing) if missing else []
    for request, (hit, verdict) in zip(missing, found, strict=True):
        fill(ports, near, token, request, hit, verdict)
    others = iter(found)
    return [next(others) if hit is None else (hit, NEAR) for hit in hits]


class Alike(NamedTuple):
    """Several entries of one namespace that are wanted in the same way: requests are made of those only that need one.

    Attributes:
        like: a request as all of them would be, names aside.
        values: the names of the entries.
        names: returns all names of the one at a position.
    """

    like: Request
    values: tuple[str, ...]
    names: Callable[[int], Names]

    def request(self, at: int) -> Request:
        """Return the request for one."""
        return self.like._replace(names=self.names(at))

    def requests(self) -> list[Request]:
        """Return the requests for all."""
        return self.like.for_each(map(self.names, range(len(self.values))))


async def values_of(ports: Ports, wanted: Alike, default: Any) -> list[Any]:
    """Return the values of these entries, and count them; the default where there is nothing to serve. Cost: as `fetch_many`."""
    like = wanted.like
    if ports.withheld or (ports.near is not None and like.near):
        return await _values_one_by_one(ports, wanted.requests(), default)
    started_us = ports.clock.ticks_us()
    try:
        raws, stamps = await _read(ports, wanted.values, like.needs.reads)
    except StoreError as error:
        verdict = unavailable(ports, error)
        return [counted(ports, like, None, verdict, default) for _ in wanted.values]
    values = _plain_values(raws, stamps, like, ports.clock.now_ms())
    doubtful = [at for at, value in enumerate(values) if value is _DOUBTFUL]
    if doubtful:
        requests = [wanted.request(at) for at in doubtful]
        told = dict(zip(like.needs.reads, stamps, strict=True))
        verdicts = await _verdicts(ports, requests, [raws[at] for at in doubtful], told, started_us)
        for at, request, verdict in zip(doubtful, requests, verdicts, strict=True):
            values[at] = counted(ports, request, *await decoded_by_all_means(ports, request, verdict), default)
    ports.events.hit(like.owner, times=len(values) - len(doubtful))
    return values


def _plain_values(raws: Sequence[object], stamps: Sequence[object], like: Request, now_ms: int) -> list[Any]:
    """Return the values of the entries that are plainly fresh, and as plainly encoded; `_DOUBTFUL` for the others."""
    needs, values = like.needs, like.values
    codec, decode = values.plain
    payloads = plain_payloads(raws, needs.vector(stamps), needs, schema=values.schema, codec=codec, now_ms=now_ms)
    try:
        return [_DOUBTFUL if payload is None else decode(payload) for payload in payloads]
    except Exception:  # noqa: BLE001  # whatever a codec raises is told apart one by one
        return [_DOUBTFUL] * len(raws)


async def _values_one_by_one(ports: Ports, requests: Sequence[Request], default: Any) -> list[Any]:
    found = await fetch_many(ports, requests)
    return [counted(ports, request, hit, verdict, default) for request, (hit, verdict) in zip(requests, found, strict=True)]


def _verdict(found: _Found) -> Verdict:
    return Verdict(State.FRESH, None, found) if isinstance(found, Entry) else found
