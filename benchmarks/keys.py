"""Reading and writing one key, and a memoized function whose result is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ormsgpack

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._checks import hits
from benchmarks._django import OURS
from benchmarks._floor import Wire, open_wire
from benchmarks._peers import Peer, clients, memoized
from benchmarks._rounds import compare, timed

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
STAMP = bytes(8)


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure on blocking sockets, one thread."""
    with open_wire(run) as wire, Cache(run.url, namespace="bench") as cache:
        wire.one("SET", "by-hand", PACKED)
        cache.set("key", VALUE)
        peers = clients(run, VALUE, ormsgpack.packb, ormsgpack.unpackb)
        yield reading(run, wire, cache, peers)
        yield writing(run, wire, cache, peers)
        yield calling(run, wire, cache)


def reading(run: Run, wire: Wire, cache: Cache, peers: Mapping[str, Peer]) -> Comparison:
    """Compare reads."""
    operations = {
        "floor: GET": lambda: ormsgpack.unpackb(wire.one("GET", "by-hand")),
        "afresh: cache.get": lambda: cache.get("key"),
    } | {name: peer.get for name, peer in peers.items()}
    return compare(run, f"get: a dict of {len(PACKED)} B, a hit", hits(run, VALUE, operations), aims={"afresh: cache.get": 1.35, OURS: 1.7})


def writing(run: Run, wire: Wire, cache: Cache, peers: Mapping[str, Peer]) -> Comparison:
    """Compare writes."""
    candidates = {
        "floor: SET PX": timed(lambda: wire.one("SET", "by-hand", ormsgpack.packb(VALUE), "PX", TTL_MS)),
        "afresh: cache.set": timed(lambda: cache.set("key", VALUE, ttl="5m")),
    } | {name: timed(peer.set) for name, peer in peers.items()}
    return compare(run, f"set: a dict of {len(PACKED)} B, with a ttl", candidates, aims={"afresh: cache.set": 1.4})


def calling(run: Run, wire: Wire, cache: Cache) -> Comparison:
    """Compare a call with what it must at least read: the entry, and the stamps of the function and of the namespace."""

    def profile(user_id: int) -> dict[str, Any]:
        return VALUE | {"id": user_id}

    memoized_by_us = cache.memoize()(profile)
    wire.all(("MSET", "by-hand-7", ormsgpack.packb(profile(7)), "stamp-1", STAMP, "stamp-2", STAMP))
    reads = (("GET", "by-hand-7"), ("GET", "stamp-1"), ("GET", "stamp-2"))
    operations = {
        "floor: GET, with two stamps": lambda: ormsgpack.unpackb(wire.all(*reads)[0]),
        "afresh: a memoized function": lambda: memoized_by_us(7),
    } | memoized(run, profile)
    for operation in operations.values():
        operation()  # type: ignore[no-untyped-call]  # lambdas among them
    return compare(
        run,
        "memoize: a call whose result is on the server",
        hits(run, profile(7), operations),
        aims={"afresh: a memoized function": 1.6},
    )
