"""How long single calls take while others write and invalidate: the tail, not the median."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import ormsgpack
import redis

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._floor import open_wire
from benchmarks.keys import PACKED, VALUE

KEYS = 1000
CALLS = 400
# Of each hundred operations of the other thread.
WRITES, INVALIDATIONS = 10, 2


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure each read of one thread, while another reads, writes and invalidates as real programs do."""
    with open_wire(run) as wire, Cache(run.url, namespace="bench") as cache, redis.Redis.from_url(run.url) as by_hand:
        names = [f"key-{at}" for at in range(KEYS)]
        cache.set_many(dict.fromkeys(names, VALUE), tags=["all"])
        by_hand.mset(dict.fromkeys(names, PACKED))
        draw = random.Random(3)  # noqa: S311  no secret

        @cache.memoize(name="mixed")
        def profile(user_id: int) -> object:
            return VALUE | {"id": user_id}

        def disturb() -> None:
            at = draw.randrange(KEYS)
            if (kind := draw.randrange(100)) < WRITES:
                cache.set(names[at], VALUE)
            elif kind < WRITES + INVALIDATIONS:
                profile.invalidate(at)
            else:
                profile(at)

        readers: dict[str, Callable[[], object]] = {
            "floor: GET": lambda: ormsgpack.unpackb(wire.one("GET", draw.choice(names))),
            "afresh: a memoized function": lambda: profile(draw.randrange(KEYS)),
            "redis-py by hand": lambda: ormsgpack.unpackb(by_hand.get(draw.choice(names))),
        }
        for at in range(KEYS):
            profile(at)
        taken: dict[str, list[list[float]]] = {name: [] for name in readers}
        with disturbed(disturb):
            for _ in range(run.rounds):
                for name, read in readers.items():
                    taken[name].append([latency_us(read) for _ in range(CALLS)])
        for shown, part in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
            samples = {name: [quantile(each, part) for each in rounds] for name, rounds in taken.items()}
            yield Comparison(f"mixed load, {shown} of single reads", samples)


class disturbed:  # noqa: N801  used like a function
    """Let another thread do something over and over."""

    def __init__(self, operation: Callable[[], object]) -> None:
        self._operation = operation
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.0005):
            self._operation()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()


def latency_us(operation: Callable[[], object]) -> float:
    """Return how long one call takes."""
    began = time.perf_counter_ns()
    operation()
    return (time.perf_counter_ns() - began) / 1000


def quantile(samples: list[float], part: float) -> float:
    """Return what that part of the samples is below."""
    return statistics.quantiles(samples, n=1000, method="inclusive")[round(part * 1000) - 1]
