"""Reading and writing one key, and a memoized function whose result is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ormsgpack

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._floor import Wire, open_wire
from benchmarks._peers import Peer, clients, memoized
from benchmarks._rounds import interleave, timed

VALUE = {
    "id": 4711,
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "roles": ["author", "editor", "analyst"],
    "balance": 1234.5,
    "active": True,
    "address": {"street": "12 St James's Square", "city": "London", "country": "GB"},
    "note": "wrote the first program, 1843-07",
}
PACKED = ormsgpack.packb(VALUE)
TTL_MS = 300_000


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure on blocking sockets, one thread."""
    with open_wire(run) as wire, Cache(run.url, namespace="bench") as cache:
        wire(("SET", "by-hand", PACKED))
        cache.set("key", VALUE)
        peers = clients(run, VALUE, PACKED)
        yield reading(run, wire, cache, peers)
        yield writing(run, wire, cache, peers)
        yield calling(run, wire, cache)


def reading(run: Run, wire: Wire, cache: Cache, peers: Mapping[str, Peer]) -> Comparison:
    """Compare reads."""
    return Comparison(
        f"get: a dict of {len(PACKED)} B, a hit",
        interleave(
            {
                "floor: GET": timed(lambda: ormsgpack.unpackb(wire(("GET", "by-hand")))),
                "afresh: cache.get": timed(lambda: cache.get("key")),
            }
            | {name: timed(peer.get) for name, peer in peers.items()},
            run.rounds,
        ),
        aims={"afresh: cache.get": 1.35},
    )


def writing(run: Run, wire: Wire, cache: Cache, peers: Mapping[str, Peer]) -> Comparison:
    """Compare writes."""
    return Comparison(
        f"set: a dict of {len(PACKED)} B, with a ttl",
        interleave(
            {
                "floor: SET PX": timed(lambda: wire(("SET", "by-hand", ormsgpack.packb(VALUE), "PX", TTL_MS))),
                "afresh: cache.set": timed(lambda: cache.set("key", VALUE, ttl="5m")),
            }
            | {name: timed(peer.set) for name, peer in peers.items()},
            run.rounds,
        ),
        aims={"afresh: cache.set": 1.4},
    )


def calling(run: Run, wire: Wire, cache: Cache) -> Comparison:
    """Compare a call with what it must at least read."""

    @cache.memoize()
    def profile(user_id: int, *, lang: str = "en") -> dict[str, Any]:
        return VALUE | {"id": user_id, "lang": lang}

    profile(7)
    with_stamps = (("GET", "by-hand"), ("GET", "stamp-1"), ("GET", "stamp-2"))
    return Comparison(
        "memoize: a call whose result is on the server",
        interleave(
            {
                "floor: GET, with two stamps": timed(lambda: (wire(*with_stamps), ormsgpack.unpackb(PACKED))),
                "afresh: a memoized function": timed(lambda: profile(7)),
            }
            | {name: timed(call) for name, call in memoized(run, VALUE).items()},
            run.rounds,
        ),
        aims={"afresh: a memoized function": 1.6},
    )
