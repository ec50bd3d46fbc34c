"""Compression dictionaries: trained from live results, shared by processes that know of them at different times, and lost."""

from __future__ import annotations

import random
import sys

import pytest

from afresh import Cache
from afresh.cli import main
from afresh.core.dictionaries import CURRENT
from afresh.core.envelope import parse
from afresh.errors import UndecodablePayload
from tests.support.servers import Server

NAMESPACE = "t-train"


@pytest.fixture
def open_cache(valkey: Server):
    """Open one more cache, as another process would."""
    caches: list[Cache] = []

    def opened() -> Cache:
        caches.append(Cache(valkey.url, namespace=NAMESPACE, budget="5s"))
        return caches[-1]

    yield opened
    for cache in caches:
        cache.close()


def record(number: int) -> dict[str, object]:
    draw = random.Random(number)
    return {
        "order": number,
        "customer": f"customer-{draw.randrange(10**6)}",
        "status": draw.choice(["paid", "open", "shipped"]),
        "total_cents": draw.randrange(10**6),
        "currency": "EUR",
        "created": f"2026-11-{draw.randrange(1, 29):02}T{draw.randrange(24):02}:00:00+00:00",
        "address": {"street": f"Main Street {draw.randrange(200)}", "city": draw.choice(["Berlin", "Paris", "Lisbon"])},
        "delivery": draw.choice(["at the door", "at the neighbours'"]),
        "lines": ["online", "gift wrapped" if draw.random() < 0.5 else "plain"],
    }


def memoized(cache: Cache):
    return cache.memoize(name="record", ttl="1h")(record)


def entry_of(valkey: Server, call, *args: object):
    entry = parse(valkey.command("GET", f"{NAMESPACE}:v:{{{call.key(*args)}}}"))
    assert entry is not None
    return entry


def train(valkey: Server, *options: str) -> int:
    return main(["train", "--url", valkey.url, "--namespace", NAMESPACE, *options])


@pytest.fixture
def trained(valkey: Server, open_cache, capsys: pytest.CaptureFixture[str]):
    call = memoized(open_cache())
    for number in range(400):
        call(number)
    assert train(valkey) == 0
    return capsys.readouterr().out


def test_dictionary_halves_records_of_one_shape(valkey: Server, open_cache, trained: str) -> None:
    call = memoized(open_cache())
    plain = len(entry_of(valkey, call, 1).payload)
    call(1000)  # this process has not asked yet
    call(1001)

    entry = entry_of(valkey, call, 1001)

    assert plain > 200
    assert entry.dictionary > 0
    assert len(entry.payload) * 2 < plain
    assert "record" in trained
    assert "in use within a minute" in trained


def test_process_fetches_a_dictionary_that_it_does_not_know(open_cache, trained: str) -> None:
    early = memoized(open_cache())
    late = memoized(open_cache())
    late(1000)
    late(1001)

    assert early.peek(1001).value == record(1001)
    assert early(1001) == record(1001)
    assert early.stats().misses == {}


async def test_tasks_fetch_it_too(open_cache, trained: str) -> None:
    memoized(writer := open_cache())(1000)
    memoized(writer)(1001)
    cache = open_cache().aio

    @cache.memoize(name="record", ttl="1h")
    async def call(number: int) -> dict[str, object]:
        return {}

    assert await call(1001) == record(1001)
    await cache.aclose()


def test_key_of_a_call_reads_it_without_the_function(open_cache, trained: str) -> None:
    call = memoized(open_cache())
    call(1000)
    call(1001)

    assert open_cache().get(call.key(1001)) == record(1001)


def test_entry_whose_dictionary_is_lost_is_a_miss(valkey: Server, open_cache, trained: str) -> None:
    call = memoized(open_cache())
    call(1000)
    call(1001)
    valkey.command("DEL", f"{NAMESPACE}:d:{{f:record}}")

    other = memoized(open_cache())

    assert other(1001) == record(1001)
    assert other.stats().misses == {"undecodable": 1}
    assert entry_of(valkey, other, 1001).dictionary == 0


def test_dictionary_that_is_not_what_its_number_says_is_not_used(valkey: Server, open_cache, trained: str) -> None:
    call = memoized(open_cache())
    call(1000)
    call(1001)
    key = f"{NAMESPACE}:d:{{f:record}}"
    valkey.command("HSET", key, valkey.command("HGET", key, CURRENT), b"something else " * 20)

    other = memoized(open_cache())

    assert other(1001) == record(1001)
    assert other.stats().misses == {"undecodable": 1}


def test_without_zstandard_such_an_entry_is_a_miss(open_cache, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call = memoized(open_cache())
    call(1000)
    call(1001)
    monkeypatch.setitem(sys.modules, "zstandard", None)

    other = memoized(open_cache())

    assert other(1001) == record(1001)
    assert other.stats().misses == {"undecodable": 1}
    with pytest.raises(UndecodablePayload, match="install zstandard"):
        other.stats.__self__._function.values.dictionaries.decompress(1, b"", 10)


def test_second_training_changes_nothing_while_the_shape_is_the_same(valkey: Server, trained: str, capsys) -> None:
    number = valkey.command("HGET", f"{NAMESPACE}:d:{{f:record}}", CURRENT)

    assert train(valkey) == 0

    assert "unchanged" in capsys.readouterr().out
    assert valkey.command("HGET", f"{NAMESPACE}:d:{{f:record}}", CURRENT) == number


def test_dry_run_publishes_nothing(valkey: Server, open_cache, capsys) -> None:
    call = memoized(open_cache())
    for number in range(100):
        call(number)

    assert train(valkey, "--dry-run") == 0

    assert "not published" in capsys.readouterr().out
    assert valkey.command("EXISTS", f"{NAMESPACE}:d:{{f:record}}") == 0


def test_too_few_results_are_left_alone(valkey: Server, open_cache, capsys) -> None:
    memoized(open_cache())(1)

    assert train(valkey) == 0

    assert "too little to learn from" in capsys.readouterr().out


def test_nothing_stored_is_said(valkey: Server, capsys) -> None:
    assert train(valkey, "--function", "record") == 1
    assert f"no results are stored in namespace {NAMESPACE!r} of record" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "told"), [(["--samples", "3"], "--samples=3"), (["--size", "many"], "--size")])
def test_option_that_cannot_be_is_refused(valkey: Server, capsys, options: list[str], told: str) -> None:
    assert train(valkey, *options) == 2
    assert told in capsys.readouterr().err
