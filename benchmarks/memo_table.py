"""A row of a memo table: the factorial of 1,000, computed long ago."""

from __future__ import annotations

import math
from collections.abc import Iterator

import redis

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._checks import hits
from benchmarks._floor import open_wire
from benchmarks._rounds import compare

N = 1000


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure on blocking sockets, one thread."""
    with open_wire(run) as wire, Cache(run.url, namespace="bench") as cache, redis.Redis.from_url(run.url) as by_hand:

        @cache.recurrence(base={0: 1})
        def factorial(n: int, previous: int) -> int:
            return n * previous

        table = {str(n): str(math.factorial(n)) for n in range(N + 1)}
        by_hand.hset("table", mapping=table)
        factorial(N)

        def whole_table() -> int:
            rows = by_hand.hgetall("table")
            by_hand.hset("table", mapping=rows)
            return int(rows[str(N).encode()])

        operations = {
            "floor: HGET": lambda: int(wire.one("HGET", "table", N)),
            "afresh: a recurrence": lambda: factorial(N),
            "redis-py by hand: HGET": lambda: int(by_hand.hget("table", str(N)) or 0),
            "redis-py by hand: HGETALL, HSET": whole_table,
        }
        candidates = hits(run, math.factorial(N), operations)
        yield compare(run, f"memo table: factorial({N:,}), a known row", candidates, aims={"afresh: a recurrence": 1.6})
