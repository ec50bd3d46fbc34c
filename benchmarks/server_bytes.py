"""What an entry takes on the server: its key, its value, and what is stored along with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import redis

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._django import backends
from benchmarks._peers import TTL_S, dogpile_region, installed
from benchmarks.keys import PACKED, TTL_MS, VALUE

ENTRIES = 500
# What is allowed besides the value packed: the header and the stamps of the function and the namespace; and for a tag.
_ALLOWED, _A_TAG = 48, 16


def comparisons(run: Run) -> Iterator[Comparison]:
    """Nothing varies, so one sample is all. Keys are alike in length."""
    with redis.Redis.from_url(run.url) as by_hand, Cache(run.url, namespace="b") as cache:

        def memoize(name: str, tags: list[str]) -> Callable[[int], object]:
            return cache.memoize(name=name, tags=tags)(lambda at: VALUE | {"id": at})

        stores: dict[str, Callable[[int], object]] = {
            "floor: msgpack by hand": lambda at: by_hand.set(f"profile:{at}", PACKED, px=TTL_MS),
            "afresh: cache.set": lambda at: cache.set(f"profile:{at}", VALUE),
            "afresh: a memoized function": memoize("profile", []),
            "afresh: a memoized function, 1 tag": memoize("profile-1", ["a"]),
            "afresh: a memoized function, 4 tags": memoize("profile-4", ["a", "b", "c", "d"]),
        }
        stores |= _libraries(run)

        def with_a_set(at: int) -> None:
            by_hand.set(f"profile:{at}", PACKED, px=TTL_MS)
            by_hand.sadd("tag", f"profile:{at}")

        stores["by hand: and a SET of the tag's keys"] = with_a_set
        samples = {name: [_bytes_each(by_hand, store)] * 2 for name, store in stores.items()}
    first = next(iter(samples.values()))[0]
    aims = {"afresh: cache.set": 0, "afresh: a memoized function": 0, "afresh: a memoized function, 1 tag": 1}
    aims["afresh: a memoized function, 4 tags"] = 4
    yield Comparison(
        f"server bytes of an entry, a value of {len(PACKED)} B",
        samples,
        {name: (first + _ALLOWED + _A_TAG * tags) / first for name, tags in aims.items()},
        unit="B",
        profiles={name: partial(_parts, run, stores[name]) for name in stores},
        note=f"Aims: the floor + {_ALLOWED} B, + {_A_TAG} B for each tag.",
    )


def _bytes_each(client: redis.Redis, store: Callable[[int], object]) -> float:
    """Return by how much an entry makes all keys larger, by the server's own account: MEMORY USAGE, nested values not sampled."""

    def used_bytes() -> int:
        keys = cast("list[bytes]", client.keys())
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.memory_usage(key, samples=0)
            return sum(pipeline.execute())

    client.flushall()
    store(999)  # what is stored once: stamps
    before = used_bytes()
    for at in range(1_000, 1_000 + ENTRIES):
        store(at)
    return (used_bytes() - before) / ENTRIES


def _parts(run: Run, store: Callable[[int], object]) -> Iterator[str]:
    """Yield what an entry consists of."""
    with redis.Redis.from_url(run.url) as client:
        client.flushall()
        store(1_000)
        for key in cast("list[bytes]", client.keys("*1000*")):
            kind = (
                f"value of {client.strlen(key)} B, of them {len(PACKED)} B the value packed" if client.type(key) == b"string" else "other"
            )
            yield f"A key of {len(key)} B (`{key.decode(errors='replace')}`), a {kind}."


def _libraries(run: Run) -> dict[str, Callable[[int], object]]:
    """Return what stores entries by number, of those libraries that are installed."""

    def store(setter: Callable[..., object], at: int, *ttl_s: int) -> object:
        return setter(f"profile:{at}", VALUE, *ttl_s)

    found: dict[str, Callable[[int], object]] = {}
    for name, backend in backends(run).items():
        found[name] = lambda at, backend=backend: store(backend.set, at, TTL_S)  # type: ignore[misc]  # no lambda has annotations
    for name, region in installed({"dogpile.cache": dogpile_region}, run).items():
        found[name] = partial(store, region.set)
    return found
