"""Invalidating a tag: of one entry, and of a thousand among a hundred thousand."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator

import redis

from afresh import Cache
from benchmarks import Comparison, Run
from benchmarks._checks import counters, same
from benchmarks._django import backends
from benchmarks._floor import Wire, open_wire
from benchmarks._peers import installed
from benchmarks._rounds import compare, timed

OTHERS = 100_000
MEMBERS = 1_000


def comparisons(run: Run) -> Iterator[Comparison]:
    """Measure beside a hundred thousand other entries."""
    with open_wire(run) as wire, Cache(run.url, namespace="bench") as cache, redis.Redis.from_url(run.url) as by_hand:
        wire.one("DEBUG", "POPULATE", OTHERS, "other", 64)
        yield stamps(run, wire, cache)
        yield members(run, cache, by_hand)
        wire.one("FLUSHALL")


def stamps(run: Run, wire: Wire, cache: Cache) -> Comparison:
    """Compare tags of one entry and of many: one command, whatever hangs on it."""
    cache.set("single", 1, tags=["of-one"])
    cache.set_many(dict.fromkeys((f"key-{at}" for at in range(MEMBERS)), 1), tags=["of-many"])
    wire.one("SET", "stamp", bytes(8))

    def commands(tag: str) -> int:
        before = counters(run)["total_commands_processed"]
        cache.invalidate_tags(tag)
        return counters(run)["total_commands_processed"] - before

    commands("of-one")  # loads the script
    same("a tag of many", commands("of-many"), commands("of-one"))
    candidates = {
        "floor: SET XX KEEPTTL": timed(lambda: wire.one("SET", "stamp", bytes(8), "XX", "KEEPTTL")),
        "afresh: a tag of one entry": timed(lambda: cache.invalidate_tags("of-one")),
        f"afresh: a tag of {MEMBERS:,}": timed(lambda: cache.invalidate_tags("of-many")),
    }
    return compare(run, f"invalidate a tag, among {OTHERS:,} entries", candidates)


def members(run: Run, cache: Cache, by_hand: redis.Redis) -> Comparison:
    """Compare with those who find and remove the entries one by one. To store them again for the next sample is not timed."""
    names = [f"key-{at}" for at in range(MEMBERS)]

    def stored_by_hand() -> None:
        by_hand.mset(dict.fromkeys(names, 1))
        by_hand.sadd("tag", *names)

    def removed_by_hand() -> None:
        by_hand.unlink("tag", *by_hand.smembers("tag"))

    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "afresh: cache.invalidate_tags": (lambda: None, lambda: cache.invalidate_tags("of-many")),
        "redis-py by hand: SMEMBERS, UNLINK": (stored_by_hand, removed_by_hand),
    }
    if (django := backends(run).get("django-redis")) is not None:
        ways["django-redis: delete_pattern"] = (
            lambda: django.set_many(dict.fromkeys((f"many-{name}" for name in names), 1)),
            lambda: django.delete_pattern("many-*"),
        )
    with asyncio.Runner() as runner:
        ways |= installed({"cashews: delete_tags": _cashews}, run, runner)
        rounds = min(run.rounds, 5)
        measured: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (store, remove) in ways.items():
                store()
                measured[name].append(timed(remove)(1) * 1e6)
    return Comparison(f"invalidate a tag of {MEMBERS:,} entries among {OTHERS:,}: one by one, or by its stamp", measured)


def _cashews(run: Run, runner: asyncio.Runner) -> tuple[Callable[[], object], Callable[[], object]]:
    cache = importlib.import_module("cashews").Cache()
    cache.setup(run.url)
    cache.register_tag("all", "cashews:{at}")

    async def store() -> None:
        for at in range(MEMBERS):
            await cache.set(f"cashews:{at}", 1, expire=300, tags=["all"])

    return lambda: runner.run(store()), lambda: runner.run(cache.delete_tags("all"))
