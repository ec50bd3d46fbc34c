"""Look and read, for several entries at once: one or two round trips in all, and little work for each entry that is plainly fresh.

What is decided is what is decided for one entry, by the same functions; only those that are not plainly fresh are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from afresh.core.decide import State, Verdict, plainly_fresh, undeclared
from afresh.core.envelope import Entry, Flag
from afresh.core.ops import GetEach
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
from afresh.errors import StoreError, UndecodablePayload

__all__ = ["MOST_AT_ONCE", "fetch_many", "read_many", "values_of"]

# How many names a command has at most: the server does nothing else meanwhile.
MOST_AT_ONCE: Final = 1000

# An entry that is plainly fresh, or what is to be said of one that is not.
_Found: TypeAlias = Entry | Verdict


async def _look_many(ports: Ports, requests: Sequence[Request]) -> Sequence[_Found]:
    """Look for several entries of one namespace. A failing server is a verdict, too. Cost: 1 round trip; 2 for undeclared tags."""
    try:
        return await _looked(ports, requests)
    except StoreError as error:
        return [unavailable(ports, error)] * len(requests)


async def _looked(ports: Ports, requests: Sequence[Request]) -> Sequence[_Found]:
    reads, names = stamp_reads(requests), tuple([request.names.value for request in requests])
    getting = [GetEach(names[at : at + MOST_AT_ONCE]) for at in range(0, len(names), MOST_AT_ONCE)]
    started_us = ports.clock.ticks_us()
    replies = await ports.store.flight((*getting, *reads))
    raise_failures(replies)
    raws = [raw for several in replies[: len(getting)] for raw in several]
    told = dict(zip(reads, replies[len(getting) :], strict=True))
    stamps = {at: [told[get] for get in needs.reads] for at, needs in alike(requests).items()}
    vectors = {at: needs.vector(stamps[at]) for at, needs in alike(requests).items()}
    now_ms = ports.clock.now_ms()
    found: list[Any] = [
        plainly_fresh(raw, vectors[id(request.needs)], request.needs, request.values.schema, now_ms)
        for request, raw in zip(requests, raws, strict=True)
    ]
    doubtful = [at for at, entry in enumerate(found) if entry is None]
    hashes = dict.fromkeys(name for at in doubtful for name in undeclared(raws[at], requests[at].needs))
    others = await others_now(ports, requests[0], list(hashes), started_us) if hashes else {}
    for at in doubtful:
        found[at] = verdict_on(ports, requests[at], raws[at], stamps[id(requests[at].needs)], others)
    return found


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


async def values_of(ports: Ports, requests: Sequence[Request], default: Any) -> list[Any]:
    """Return the values of entries of one namespace and owner, and count them; the default where there is nothing to serve.

    Cost: as `fetch_many`.
    """
    if ports.withheld or (ports.near is not None and requests[0].near):
        return [
            counted(ports, request, *found, default) for request, found in zip(requests, await fetch_many(ports, requests), strict=True)
        ]
    values: list[Any] = []
    plain = 0
    for request, found in zip(requests, await _look_many(ports, requests), strict=True):
        if isinstance(found, Entry) and not found.flags & Flag.NEGATIVE:
            try:
                values.append(request.values.decode(request.names.value, found))
                plain += 1
                continue
            except UndecodablePayload:  # for want of a dictionary, perhaps
                pass
        values.append(counted(ports, request, *await decoded_by_all_means(ports, request, _verdict(found)), default))
    ports.events.hit(requests[0].owner, times=plain)
    return values


def _verdict(found: _Found) -> Verdict:
    return Verdict(State.FRESH, None, found) if isinstance(found, Entry) else found
