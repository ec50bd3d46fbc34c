"""A hundred keys at once, and values of 10 KB and 1 MB."""

from __future__ import annotations

import random
from collections.abc import Iterator

import ormsgpack
import redis

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._floor import Wire, open_wire
from benchmarks._rounds import interleave, timed
from benchmarks.keys import PACKED, TTL_MS, VALUE

NAMES = [f"key-{at}" for at in range(100)]
VALUES = dict.fromkeys(NAMES, VALUE)
# Bytes that do not compress, as much of what is large is compressed already.
SIZES = {"10 KB": 10_000, "1 MB": 1_000_000}


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure on blocking sockets, one thread."""
    with open_wire(run) as wire, Cache(run.url, namespace="bench") as cache, redis.Redis.from_url(run.url) as by_hand:
        cache.set_many(VALUES)
        by_hand.mset(dict.fromkeys(NAMES, PACKED))
        yield reading(run, wire, cache, by_hand)
        yield writing(run, wire, cache, by_hand)
        for size, length in SIZES.items():
            yield large(run, wire, cache, by_hand, size, random.Random(1).randbytes(length))  # noqa: S311  no secret


def reading(run: Run, wire: Wire, cache: Cache, by_hand: redis.Redis) -> Comparison:
    """Compare reads of a hundred keys."""
    gets = [("GET", name) for name in NAMES]
    candidates = {
        "floor: 100 GETs in one write": timed(lambda: [ormsgpack.unpackb(raw) for raw in wire.all(*gets)]),
        "afresh: cache.get_many": timed(lambda: cache.get_many(NAMES)),
        "redis-py by hand: MGET": timed(lambda: [ormsgpack.unpackb(raw) for raw in by_hand.mget(NAMES)]),  # type: ignore[arg-type]  # bytes
    }
    return Comparison("get_many: 100 keys, hits", interleave(candidates, run.rounds), aims={"afresh: cache.get_many": 1.2})


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
    return Comparison("set_many: 100 keys", interleave(candidates, run.rounds), aims={"afresh: cache.set_many": 1.5})


def large(run: Run, wire: Wire, cache: Cache, by_hand: redis.Redis, size: str, value: bytes) -> Comparison:
    """Compare reads of a large value."""
    cache.set("large", value)
    by_hand.set("large", ormsgpack.packb(value))
    assert cache.get("large") == value
    candidates = {
        "floor: GET": timed(lambda: ormsgpack.unpackb(wire(("GET", "large")))),
        "afresh: cache.get": timed(lambda: cache.get("large")),
        "redis-py by hand": timed(lambda: ormsgpack.unpackb(by_hand.get("large"))),  # type: ignore[arg-type]  # bytes
    }
    return Comparison(
        f"get: {size} of bytes, a hit", interleave(candidates, run.rounds), aims={"afresh: cache.get": 1.4 if len(value) < 100_000 else 1.1}
    )
