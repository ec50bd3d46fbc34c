"""How often the near tier's eviction (SIEVE) misses, under loads that are kind and unkind to it, against the best that is possible."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, count, islice

from benchmarks import Comparison, Run
from benchmarks._policies import POLICIES, best_possible

SIZE = 500
KEYS = 10_000
READS = 20_000


def comparisons(run: Run) -> Iterator[Comparison]:
    """Count misses, with another seed in each round."""
    seeds = range(min(run.rounds, 5))
    loads: dict[str, Callable[[random.Random], Sequence[int]]] = {
        f"Zipf (1.0) over {KEYS:,} keys": zipf,
        "Zipf, and in every 2,000 reads a scan of 1,000 keys that never come again": with_scans,
        f"Zipf, and half of the time a loop over {2 * SIZE:,} keys": with_loop,
    }
    for shown, load in loads.items():
        traces = [load(random.Random(seed)) for seed in seeds]  # noqa: S311  no secret
        samples = {"floor: the best possible": [_per_100(best_possible(trace, SIZE), trace) for trace in traces]}
        samples |= {name: [_per_100(policy(trace, SIZE), trace) for trace in traces] for name, policy in POLICIES.items()}
        yield Comparison(f"misses of {SIZE} entries: {shown}", samples, unit="per 100")


def _per_100(misses: int, trace: Sequence[int]) -> float:
    return 100 * misses / len(trace)


def zipf(rand: random.Random, reads: int = READS) -> list[int]:
    """Return reads of which the n-th key has a share that goes with 1/n."""
    return rand.choices(range(KEYS), cum_weights=_SHARES, k=reads)


_SHARES = list(accumulate(1 / rank for rank in range(1, KEYS + 1)))


def with_scans(rand: random.Random) -> list[int]:
    """Mix in what passes by once."""
    once = count(KEYS)
    trace: list[int] = []
    while len(trace) < READS:
        trace += zipf(rand, 1_000)
        trace += islice(once, 1_000)
    return trace


def with_loop(rand: random.Random) -> list[int]:
    """Mix in a loop that is larger than the cache: under LRU each of its keys is gone when it comes again."""
    trace: list[int] = []
    for at, key in enumerate(zipf(rand, READS // 2)):
        trace += [key, KEYS + at % (2 * SIZE)]
    return trace
