"""The options of memoized functions, on every store and in both colours of code."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from afresh import Cache, ConfigurationError
from afresh.testing import wait_until
from tests.support.servers import Server


@pytest.fixture(params=["memory", "valkey", "redis7"])
def cache(request: pytest.FixtureRequest, namespace: str) -> Any:
    url = "memory://" if request.param == "memory" else request.getfixturevalue(request.param).url
    with Cache(url, namespace=namespace, budget="10s") as cache:  # the machine may be busy
        yield cache


class NoSuchUser(LookupError):
    def __init__(self, user_id: int) -> None:
        super().__init__(f"no user {user_id}")
        self.user_id = user_id


# --- negative ------------------------------------------------------------------------------------------------------
def test_a_declared_exception_is_kept_and_raised_alike(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(negative={LookupError: "1h"})
    def user(user_id: int) -> str:
        calls.append(user_id)
        raise NoSuchUser(user_id)

    for _ in range(3):
        with pytest.raises(NoSuchUser, match="no user 7") as caught:
            user(7)
        assert caught.value.user_id == 7
        assert caught.value.args == ("no user 7",)
    assert calls == [7]
    assert user.peek(7) is None
    assert cache.get(user.key(7), "nothing") == "nothing"
    user.invalidate(7)
    with pytest.raises(NoSuchUser):
        user(7)
    assert calls == [7, 7]


def test_an_exception_that_is_not_declared_is_not_kept(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(negative={LookupError: 60})
    def fails(x: int) -> None:
        calls.append(x)
        raise ValueError(x)

    for _ in range(2):
        with pytest.raises(ValueError, match="1"):
            fails(1)
    assert calls == [1, 1]


def test_an_exception_is_kept_no_longer_than_declared(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(negative={LookupError: "50ms"})
    def fails() -> None:
        calls.append(1)
        raise LookupError

    for pause in (0, 0.1):
        time.sleep(pause)
        with pytest.raises(LookupError):
            fails()
    assert len(calls) == 2


def test_coroutine_functions_keep_exceptions_too(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(negative={LookupError: 60})
    async def user(user_id: int) -> None:
        calls.append(user_id)
        await asyncio.sleep(0.01)
        raise NoSuchUser(user_id)

    async def main() -> None:
        raised = await asyncio.gather(*(user(1) for _ in range(10)), return_exceptions=True)
        assert [type(error) for error in raised] == [NoSuchUser] * 10
        await cache.aio.aclose()

    asyncio.run(main())
    assert calls == [1]


def test_what_is_no_exception_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must name classes of exceptions"):
        Cache("memory://").memoize(negative={"LookupError": 1})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match=r"negative={LookupError: …}='soon' is not a duration"):
        Cache("memory://").memoize(negative={LookupError: "soon"})


# --- ttl, stale_ttl, wait ------------------------------------------------------------------------------------------
def test_the_result_may_say_how_long_it_lives(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(ttl=lambda token: token["expires_in"])
    def token(seconds: float) -> dict[str, float]:
        calls.append(1)
        return {"expires_in": seconds}

    token(0)
    token(0)
    assert len(calls) == 2, "0 stores nothing"
    token(60)
    token(60)
    assert len(calls) == 3


def test_a_stale_value_is_served_while_one_caller_computes(cache: Cache) -> None:
    computing = threading.Event()
    go_on = threading.Event()
    versions: list[int] = []

    @cache.memoize(ttl="50ms", stale_ttl="1h")
    def version() -> int:
        versions.append(1)
        if len(versions) == 2:
            computing.set()
            go_on.wait(10)
        return len(versions)

    assert version() == 1
    time.sleep(0.1)
    refresher = threading.Thread(target=version)
    refresher.start()
    assert computing.wait(10)
    assert [version() for _ in range(3)] == [1, 1, 1]
    assert version.peek().state == "stale"
    go_on.set()
    refresher.join()
    assert version.stats().stale_hits == 4
    wait_until(lambda: version.peek().value == 2, 10, "the new value to be stored")


def test_an_invalidated_value_is_not_served_stale(cache: Cache) -> None:
    source = [1]

    @cache.memoize(ttl="50ms", stale_ttl="1h", tags=["t"])
    def value() -> int:
        return source[0]

    value()
    source[0] = 2
    time.sleep(0.1)
    cache.invalidate_tags("t")
    assert value() == 2


def test_a_call_waits_for_others_as_long_as_it_is_told(cache: Cache) -> None:
    started = threading.Event()
    calls: list[int] = []

    @cache.memoize(wait="50ms")
    def slow() -> int:
        calls.append(1)
        if len(calls) == 1:
            started.set()
            time.sleep(0.5)
        return len(calls)

    leader = threading.Thread(target=slow)
    leader.start()
    started.wait(10)
    assert slow() == 2, "it computed for itself"
    leader.join()


def test_options_that_cannot_be_are_refused() -> None:
    cache = Cache("memory://")

    with pytest.raises(TypeError, match=r"no option 'tll'. Did you mean 'ttl'"):
        cache.memoize(tll=5)  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match=r"result_tags= needs the near tier.*Cache\(near=Near"):
        cache.memoize(result_tags=lambda value: [])
    with pytest.raises(ConfigurationError, match=r"ttl=None is not a duration.*Omit it"):
        cache.memoize(ttl=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="ignore='x' is one string"):
        cache.memoize(ignore="x")
    with pytest.raises(ConfigurationError, match="ignore='y' is no parameter"):
        cache.memoize(ignore=["y"])(lambda x: x)


# --- memoize_many --------------------------------------------------------------------------------------------------
def test_only_what_is_missing_is_computed_in_one_call(cache: Cache) -> None:
    asked: list[list[str]] = []

    @cache.memoize_many(ttl="5m")
    def prices(skus: list[str], *, currency: str = "EUR") -> dict[str, Decimal]:
        asked.append(skus)
        return {sku: Decimal(len(sku)) for sku in skus}

    assert prices(["a", "bb"]) == {"a": Decimal(1), "bb": Decimal(2)}
    assert list(prices(["ccc", "a", "bb", "a"])) == ["ccc", "a", "bb"], "in the order asked, each once"
    assert prices(["a"], currency="USD") == {"a": Decimal(1)}
    assert asked == [["a", "bb"], ["ccc"], ["a"]]
    assert prices([]) == {}
    assert prices.invalidate(["a", "bb"]).applied
    prices(["a", "bb", "ccc"])
    assert asked[-1] == ["a", "bb"]
    prices.put({"a": Decimal(99)})
    assert prices(["a"]) == {"a": Decimal(99)}
    assert cache.get(prices.key("a")) == Decimal(99)
    prices.invalidate_all()
    assert prices(["a"]) == {"a": Decimal(1)}


def test_ids_that_are_left_out_are_left_out(cache: Cache) -> None:
    asked: list[list[int]] = []

    @cache.memoize_many()
    def names(ids: list[int]) -> Mapping[int, str | None]:
        asked.append(ids)
        return {each: None for each in ids if each % 2}

    assert names([1, 2, 3]) == {1: None, 3: None}
    assert names([1, 2, 3]) == {1: None, 3: None}
    assert asked == [[1, 2, 3], [2]]


def test_each_value_has_its_own_tags(cache: Cache) -> None:
    asked: list[list[str]] = []

    @cache.memoize_many(tags=["sku:{skus}", "all prices"])
    def prices(skus: list[str]) -> dict[str, int]:
        asked.append(skus)
        return dict.fromkeys(skus, 1)

    prices(["a", "b"])
    cache.invalidate_tags("sku:a")
    prices(["a", "b"])
    cache.invalidate_tags("all prices")
    prices(["a", "b"])
    assert asked == [["a", "b"], ["a"], ["a", "b"]]


def test_values_that_are_put_have_their_own_tags(cache: Cache) -> None:
    @cache.memoize_many(tags=["sku:{skus}"])
    def prices(skus: list[str]) -> dict[str, int]:
        return dict.fromkeys(skus, 1)

    prices.put({"a": 10, "b": 20})
    assert prices(["a", "b"]) == {"a": 10, "b": 20}
    cache.invalidate_tags("sku:a")
    assert prices(["a", "b"]) == {"a": 1, "b": 20}


def test_overlapping_batches_compute_each_id_once(cache: Cache) -> None:
    asked: list[int] = []

    @cache.memoize_many()
    def squares(ids: list[int]) -> dict[int, int]:
        asked.extend(ids)
        time.sleep(0.05)
        return {each: each**2 for each in ids}

    results: list[dict[int, int]] = []
    batches = [[0, 1, 2, 3], [3, 4, 5, 0], [5, 6, 1], [6, 2, 4]] * 3
    threads = [threading.Thread(target=lambda ids=ids: results.append(squares(ids))) for ids in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(asked) == list(range(7))
    assert all(value == each**2 for result in results for each, value in result.items())
    assert sorted(map(len, results)) == sorted(map(len, batches))


def test_a_batch_that_raises_leaves_nobody_waiting(cache: Cache) -> None:
    fail = [True]

    @cache.memoize_many()
    def values(ids: list[int]) -> dict[int, int]:
        time.sleep(0.02)
        if fail.pop() if fail else False:
            raise RuntimeError
        return {each: each for each in ids}

    results: list[Any] = []

    def call() -> None:
        try:
            results.append(values([1, 2]))
        except RuntimeError as error:
            results.append(error)

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sum(isinstance(result, RuntimeError) for result in results) == 1
    assert sum(result == {1: 1, 2: 2} for result in results) == 4


def test_coroutine_functions_batch_too(cache: Cache) -> None:
    asked: list[list[int]] = []

    @cache.memoize_many()
    async def names(ids: list[int]) -> dict[int, str]:
        asked.append(ids)
        await asyncio.sleep(0.01)
        return {each: str(each) for each in ids}

    async def main() -> None:
        first, second = await asyncio.gather(names([1, 2]), names([2, 3]))
        assert (first, second) == ({1: "1", 2: "2"}, {2: "2", 3: "3"})
        assert sorted(each for ids in asked for each in ids) == [1, 2, 3]
        await names.put({4: "four"})
        assert await names([4]) == {4: "four"}
        assert (await names.invalidate([4])).applied
        assert await names([4]) == {4: "4"}
        assert (await names.invalidate_all()).applied
        await cache.aio.aclose()

    asyncio.run(main())


def test_a_batch_that_is_no_batch_is_refused(cache: Cache) -> None:
    @cache.memoize_many()
    def wrong(ids: list[str]) -> Any:
        return [1]

    with pytest.raises(TypeError, match=r"takes several ids, not one str: pass a list, \['abc'\]"):
        wrong("abc")
    with pytest.raises(TypeError, match="must return a mapping from ids to values, not list"):
        wrong(["a"])


def test_a_batch_without_a_server_computes(namespace: str) -> None:
    @Cache("unix:///nowhere/socket", namespace=namespace).memoize_many()
    def values(ids: list[int]) -> dict[int, int]:
        return {each: each for each in ids}

    assert values([1, 2]) == {1: 1, 2: 2}


def test_a_hundred_ids_cost_one_round_trip(valkey: Server, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:

        @cache.memoize_many()
        def values(ids: list[int]) -> dict[int, int]:
            return {each: each for each in ids}

        values(range(100))
        valkey.command("CONFIG", "RESETSTAT")
        values(range(100))
        calls = {name: stats["calls"] for name, stats in valkey.command("INFO", "commandstats").items()}
        assert (calls["cmdstat_mget"], calls["cmdstat_get"]) == (1, 2)  # the entries, and the stamps of namespace and function


# --- stamps --------------------------------------------------------------------------------------------------------
def test_a_result_is_kept_though_its_compute_took_longer_than_its_ttl(cache: Cache) -> None:
    @cache.memoize(ttl="200ms", tags=["group"])
    def slow() -> list[int]:
        time.sleep(0.5)
        return []

    slow()
    assert slow.peek() is not None


def test_an_exception_may_be_kept_for_longer_than_a_result(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(ttl="100ms", tags=["group"], negative={LookupError: "1h"})
    def fails() -> None:
        calls.append(1)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            fails()
        time.sleep(0.3)
    assert calls == [1]


def test_what_is_not_stored_leaves_no_tags_stamp_for_ever(valkey: Server, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:

        @cache.memoize(ttl=0, tags=["user:{user_id}"])
        def user(user_id: int) -> int:
            return user_id

        assert user(7) == 7
        cache.set("k", 1, ttl=0, tags=["group"])
    names = list(valkey.keys())
    assert sum(not key.has_ttl for key in names) == 2, "the namespace's stamp and the function's"


def test_a_memoized_function_may_be_memoized_again(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize(name="inner")
    def inner(x: int) -> int:
        calls.append(x)
        return x

    outer = cache.memoize(name="outer")(inner)

    assert outer(1) == outer(1) == 1
    assert outer.tag != inner.tag
    assert outer.key(1) != inner.key(1)
    outer.invalidate(1)
    assert outer(1) == 1
    assert calls == [1], "the inner one still had it"
    assert outer.stats().computes == 2
