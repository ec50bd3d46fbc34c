"""A hundred keys at once, and values of 10 KB and 1 MB."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import ormsgpack
import redis

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._checks import hits
from benchmarks._django import OURS, backends
from benchmarks._floor import Wire, open_wire
from benchmarks._peers import TTL_S, clients
from benchmarks._rounds import compare, timed
from benchmarks.keys import PACKED, TTL_MS, VALUE

NAMES = [f"key-{at}" for at in range(100)]
VALUES = dict.fromkeys(NAMES, VALUE)
# Bytes that do not compress, as much of what is large is compressed already; and the greatest ratio that is aimed at.
SIZES = {"10 KB": (10_000, 1.4), "1 MB": (1_000_000, 1.1)}


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure on blocking sockets, one thread."""
    with open_wire(run) as wire, Cache(run.url, namespace="bench") as cache, redis.Redis.from_url(run.url) as by_hand:
        cache.set_many(VALUES)
        by_hand.mset(dict.fromkeys(NAMES, PACKED))
        django = backends(run)
        for backend in django.values():
            backend.set_many(VALUES, TTL_S)
        yield reading(run, wire, cache, by_hand)
        yield writing(run, wire, cache, by_hand)
        for size, (length, aim) in SIZES.items():
            yield large(run, wire, cache, size, random.Random(1).randbytes(length), aim)  # noqa: S311  no secret


def reading(run: Run, wire: Wire, cache: Cache, by_hand: redis.Redis) -> Comparison:
    """Compare reads of a hundred keys."""
    gets = [("GET", name) for name in NAMES]
    operations: dict[str, Callable[[], object]] = {
        "floor: 100 GETs in one write": lambda: dict(zip(NAMES, map(ormsgpack.unpackb, wire.all(*gets)), strict=True)),
        "afresh: cache.get_many": lambda: cache.get_many(NAMES),
        "redis-py by hand: MGET": lambda: dict(zip(NAMES, map(ormsgpack.unpackb, by_hand.mget(NAMES)), strict=True)),  # type: ignore[arg-type]  # bytes
    }
    for name, backend in backends(run).items():
        operations[name] = lambda backend=backend: backend.get_many(NAMES)  # type: ignore[misc]  # no lambda has annotations
    return compare(run, "get_many: 100 keys, hits", hits(run, VALUES, operations), aims={"afresh: cache.get_many": 1.2})


def writing(run: Run, wire: Wire, cache: Cache, by_hand: redis.Redis) -> Comparison:
    """Compare writes of a hundred keys."""

    def by_pipeline() -> None:
        with by_hand.pipeline(transaction=False) as pipeline:
            for name in NAMES:
                pipeline.set(name, ormsgpack.packb(VALUE), px=TTL_MS)
            pipeline.execute()

    candidates = {
        "floor: 100 SETs in one write": timed(lambda: wire.all(*[("SET", name, ormsgpack.packb(VALUE), "PX", TTL_MS) for name in NAMES])),
        "afresh: cache.set_many": timed(lambda: cache.set_many(VALUES)),
        "redis-py by hand: a pipeline": timed(by_pipeline),
    }
    for name, backend in backends(run).items():
        candidates[name] = timed(lambda backend=backend: backend.set_many(VALUES, TTL_S))  # type: ignore[misc]  # no lambda has annotations
    return compare(run, "set_many: 100 keys", candidates, aims={"afresh: cache.set_many": 1.5})


def large(run: Run, wire: Wire, cache: Cache, size: str, value: bytes, aim: float) -> Comparison:
    """Compare reads of a large value."""
    cache.set("large", value)
    packed = ormsgpack.packb(value)
    wire.one("SET", "large", packed)
    operations = {
        "floor: GET, the size known": lambda: ormsgpack.unpackb(wire.large(len(packed), "GET", "large")),
        "afresh: cache.get": lambda: cache.get("large"),
    } | {name: peer.get for name, peer in clients(run, value, ormsgpack.packb, ormsgpack.unpackb).items() if name != OURS}
    return compare(run, f"get: {size} of bytes, a hit", hits(run, value, operations), aims={"afresh: cache.get": aim})
