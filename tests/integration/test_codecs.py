"""What encodes values: the default, compression, signed pickle, and codecs from outside."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import redis

from afresh import Cache, ConfigurationError, SignedPickle, UncachedWarning, UnencodableValue
from tests.support.servers import Server


class Odd:
    """Only pickle can hold it."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and other.x == self.x

    __hash__ = None


class Reversing:
    """A codec of one's own: the place of, say, encryption."""

    codec_id = 200
    schema = 7

    def encode(self, value: object) -> bytes:
        return repr(value).encode()[::-1]

    def decode(self, payload: bytes | memoryview) -> object:
        return eval(bytes(payload)[::-1])


def cache_of(server: Server, namespace: str, **options: Any) -> Cache:
    return Cache(server.url, namespace=namespace, budget="10s", **options)


def raw(server: Server, namespace: str, key: str) -> bytes:
    stored: bytes = server.command("GET", f"{namespace}:v:{{k:{key}}}")
    return stored


def test_a_value_that_cannot_be_held_is_computed_each_time_and_said_once(valkey: Server, namespace: str) -> None:
    with cache_of(valkey, namespace) as cache:
        calls: list[int] = []

        @cache.memoize()
        def odd(x: int) -> Odd:
            calls.append(x)
            return Odd(x)

        with pytest.warns(UncachedWarning, match=r"odd.*: not cached: value of type .*Odd cannot be cached"):
            assert odd(1) == Odd(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert odd(1) == Odd(1)
        assert calls == [1, 1]
        assert odd.stats().not_stored == {"unencodable": 2}
        with pytest.raises(UnencodableValue):
            cache.set("odd", Odd(1))


def test_pickle_holds_it_for_those_who_name_it(valkey: Server, namespace: str) -> None:
    with cache_of(valkey, namespace) as cache:
        calls: list[int] = []

        @cache.memoize(codec=SignedPickle("a secret of 16 bytes"))
        def odd(x: int) -> Odd:
            calls.append(x)
            return Odd(x)

        assert odd(1) == odd(1) == Odd(1)
        assert calls == [1]


def test_keys_of_signed_pickle_rotate(valkey: Server, namespace: str) -> None:
    old, new, other = (f"{name} secret of 16 bytes" for name in ("old", "new", "other"))
    with cache_of(valkey, namespace, codec=SignedPickle(old)) as before:
        before.set("k", Odd(1))
        before.set("n", 5)
    with cache_of(valkey, namespace, codec=SignedPickle(new, old)) as during:
        assert during.get("k") == Odd(1)
        assert during.get("n") == 5
    with cache_of(valkey, namespace, codec=SignedPickle(other)) as stranger:
        assert stranger.get("k") is None
        assert stranger.get("n") is None
        assert stranger.stats()["keys"].misses == {"undecodable": 2}
    with cache_of(valkey, namespace) as plain:
        assert plain.get("k") is None


def test_tampered_and_swapped_entries_are_misses(valkey: Server, namespace: str) -> None:
    with cache_of(valkey, namespace, codec=SignedPickle("a secret of 16 bytes")) as cache:
        cache.set("mine", Odd(1))
        cache.set("yours", Odd(2))
        mine, yours = raw(valkey, namespace, "mine"), raw(valkey, namespace, "yours")
        valkey.command("SET", f"{namespace}:v:{{k:mine}}", yours, "PX", 60000)
        assert cache.get("mine") is None, "swapped"
        for at in (5, 9, 36, len(mine) - 1):
            tampered = mine[:at] + bytes((mine[at] ^ 1,)) + mine[at + 1 :]
            valkey.command("SET", f"{namespace}:v:{{k:mine}}", tampered, "PX", 60000)
            assert cache.get("mine") is None, at
        valkey.command("SET", f"{namespace}:v:{{k:mine}}", mine, "PX", 60000)
        assert cache.get("mine") == Odd(1)


def test_a_codec_of_ones_own_sees_every_value(valkey: Server, namespace: str) -> None:
    with cache_of(valkey, namespace, codec=Reversing()) as cache:
        cache.set("text", "secret")
        cache.set("number", 12345)
        assert cache.get("text") == "secret"
        assert cache.get("number") == 12345
        assert b"12345" not in raw(valkey, namespace, "number"), "numbers too"
        assert cache.incr("number", 5) == 12350
        assert cache.get("number") == 12350
    with cache_of(valkey, namespace) as plain:
        assert plain.get("text") is None
        assert plain.stats()["keys"].misses == {"schema": 1}


def test_what_a_foreign_codec_raises_is_no_failure_of_the_call(valkey: Server, namespace: str) -> None:
    class Broken(Reversing):
        def encode(self, value: object) -> bytes:
            raise KeyError(value)

    with cache_of(valkey, namespace, codec=Reversing()) as cache:
        cache.set("k", "v")
        stored = raw(valkey, namespace, "k")
        valkey.command("SET", f"{namespace}:v:{{k:k}}", stored[:-1] + b"(", "PX", 60000)
        assert cache.get("k") is None
    with cache_of(valkey, namespace, codec=Broken()) as cache, pytest.warns(UncachedWarning, match="Broken raised KeyError"):
        assert cache.get_or_compute("x", lambda: 1) == 1


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ("pickle", "codec='pickle' is no codec: .* it lacks codec_id, schema"),
        (Reversing, "not a class"),
        (type("Low", (Reversing,), {"codec_id": 2})(), "codec_id=2 of Low must be a number from 128 to 255"),
    ],
)
def test_what_is_no_codec_is_refused(codec: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Cache("memory://", codec=codec)
    with pytest.raises(ConfigurationError, match=message):
        Cache("memory://").memoize(codec=codec)


def test_short_keys_are_refused_and_no_key_is_shown() -> None:
    with pytest.raises(ConfigurationError, match="16"):
        SignedPickle("short")
    assert "secret" not in repr(SignedPickle("a secret of 16 bytes"))


def test_large_values_are_compressed_where_it_saves(valkey: Server, namespace: str) -> None:
    with cache_of(valkey, namespace) as cache:
        cache.set("text", "afresh " * 1000)
        assert len(raw(valkey, namespace, "text")) < 200
        assert cache.get("text") == "afresh " * 1000
        cache.set("small", "afresh " * 10)
        assert len(raw(valkey, namespace, "small")) > 70


def test_too_large_a_value_is_not_cached(valkey: Server, namespace: str) -> None:
    with cache_of(valkey, namespace, max_value_bytes="1kB") as cache:
        with pytest.raises(UnencodableValue, match=r"it takes 2,\d+ bytes, and max_value_bytes is 1,000"):
            cache.set("k", "x" * 2000)
        with pytest.warns(UncachedWarning, match="max_value_bytes"):
            assert cache.get_or_compute("k", lambda: "x" * 2000) == "x" * 2000
    with cache_of(valkey, namespace) as generous:
        generous.set("k", "x" * 2000)
    with cache_of(valkey, namespace, max_value_bytes="1kB") as strict:
        assert strict.get("k") is None, "compressed bytes do not grow beyond it"


def test_a_set_that_a_full_server_refuses_leaves_no_older_value(start_server: Any, namespace: str) -> None:
    server = start_server(maxmemory="3mb", maxmemory_policy="noeviction")
    with cache_of(server, namespace) as cache:
        cache.set("k", "old")
        assert cache.get("k") == "old"
        number = 0
        while True:
            try:
                server.command("SET", f"{namespace}:filler:{number}", "x" * 10_000, "PX", 600_000)
            except redis.ResponseError:
                break
            number += 1
        cache.set("k", "new")
        assert cache.get("k") in {None, "new"}
        assert cache.invalidate_all().applied
