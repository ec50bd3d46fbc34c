"""Calls that are answered in the process before a key is made: as right as any other, for every spelling, option and argument."""

from __future__ import annotations

import asyncio
import enum
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from afresh import Cache, Near
from afresh.testing import wait_until
from tests.support.servers import Server


@pytest.fixture
def cache(valkey: Server, namespace: str) -> Iterator[Cache]:
    with Cache(valkey.url, namespace=namespace, budget="10s", near=Near()) as cache:
        yield cache


def warm(call: Callable[[], Any], near_hits: Callable[[], int]) -> None:
    """Call until the near tier answers by the call's arguments: its third answer in a row does."""

    def hits_thrice() -> bool:
        before = near_hits()
        for _ in range(4):
            call()
        return near_hits() == before + 4

    wait_until(hits_thrice, 10, "near hits")


def remembered(handle: Any) -> int:
    """Return how many calls are found by their arguments."""
    return len(handle.stats.__self__._function.call.__globals__["_afresh_entries"])


def test_every_spelling_of_a_call_is_the_same_call(cache: Cache) -> None:
    @cache.memoize()
    def f(a: int, b: int = 2, /, c: int = 3, *, d: int = 4) -> tuple[int, int, int, int]:
        return a, b, c, d

    warm(lambda: f(1), lambda: f.stats().near_hits)
    assert f(1) == f(1, 2) == f(1, 2, 3) == f(1, 2, c=3) == f(1, d=4) == f(1, 2, 3, d=4) == (1, 2, 3, 4)
    assert f.stats().computes == remembered(f) == 1


def test_equal_arguments_of_other_classes_are_other_calls(cache: Cache) -> None:
    @cache.memoize()
    def name(x: Any) -> str:
        return repr(x)

    @cache.memoize()
    def names(x: Any, y: Any) -> str:
        return repr((x, y))

    class Number(enum.IntEnum):
        ONE = 1

    values = [1, True, 1.0, Number.ONE, 0, False, 0.0, -0.0, "1", b"1", None, ""]
    for _ in range(6):
        for value in values:
            assert name(value) == repr(value)
            assert names(value, 7) == repr((value, 7))
            assert names(7, value) == repr((7, value))


def test_arguments_that_cannot_be_looked_up_are_not(cache: Cache) -> None:
    @cache.memoize()
    def total(numbers: Any) -> int:
        return sum(numbers)

    numbers = [1, 2]
    warm(lambda: total(numbers), lambda: total.stats().near_hits)
    numbers.append(3)
    assert total(numbers) == 6
    assert total((1, 2)) == 3
    assert total({1: 1}) == 1
    assert remembered(total) == 0


def test_callers_cannot_change_each_others_values(cache: Cache) -> None:
    @cache.memoize()
    def made(x: int) -> dict[str, list[int]]:
        return {"x": [x]}

    warm(lambda: made(1), lambda: made.stats().near_hits)
    made(1)["x"].append(2)
    assert made(1) == {"x": [1]}
    assert remembered(made) == 1


def test_a_shared_value_is_one_object(cache: Cache) -> None:
    @cache.memoize(share=True)
    def made(x: int) -> list[int]:
        return [x]

    warm(lambda: made(1), lambda: made.stats().near_hits)
    assert made(1) is made(1)


def test_an_invalidation_is_seen_at_once(cache: Cache) -> None:
    truth = [1]

    @cache.memoize(tags=["n:{n}"])
    def f(n: int) -> int:
        return truth[0]

    for invalidate in (
        lambda: f.invalidate(7),
        lambda: f.invalidate_all(),
        lambda: cache.invalidate_tags("n:7"),
        lambda: cache.invalidate(f.key(7)),
        cache.invalidate_all,
        lambda: f.put(truth[0], 7),
        lambda: f.refresh(7),
    ):
        warm(lambda: f(7), lambda: f.stats().near_hits)
        truth[0] += 1
        invalidate()
        assert f(7) == truth[0]


def test_bypassed_calls_compute(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    @cache.memoize()
    def f(n: int) -> object:
        return f"{n}{len(computed)}"

    computed: list[int] = []
    warm(lambda: f(7), lambda: f.stats().near_hits)
    kept = f(7)
    computed.append(1)
    with cache.bypass():
        assert f(7) != kept
    assert f(7) == kept
    monkeypatch.setenv("AFRESH_DISABLED", "1")
    assert f(7) != kept
    monkeypatch.setenv("AFRESH_DISABLED", "0")
    assert f(7) == kept


def test_options_that_forbid_it_are_heeded(cache: Cache) -> None:
    computed: list[int] = []

    @cache.memoize(ttl="1h")
    def f(n: int) -> int:
        computed.append(n)
        return n

    @cache.memoize(near=False)
    def far(n: int) -> int:
        return n

    warm(lambda: f(7), lambda: f.stats().near_hits)
    hits = f.stats().near_hits
    assert f.options(read="redis")(7) == 7
    assert far(7) == far(7) == far(7)
    assert f.stats().near_hits == hits
    assert far.stats().near_hits == 0
    assert f.options(wait="1s")(7) == 7
    assert f.stats().near_hits == hits + 1
    assert computed == [7]


def test_ignored_arguments_make_no_difference(cache: Cache) -> None:
    @cache.memoize(ignore=["session"])
    def f(n: int, session: Any) -> int:
        return n

    warm(lambda: f(7, object()), lambda: f.stats().near_hits)
    assert f(7, []) == 7
    assert f.stats().computes == remembered(f) == 1


def test_a_key_function_is_asked_at_every_call(cache: Cache) -> None:
    tenant = ["a"]

    @cache.memoize(key=lambda n: (tenant[0], n))
    def f(n: int) -> str:
        return tenant[0]

    warm(lambda: f(7), lambda: f.stats().near_hits)
    tenant[0] = "b"
    assert f(7) == "b"


def test_tags_that_may_change_are_rendered_at_every_call(cache: Cache) -> None:
    class Plan(enum.Enum):
        FREE = 1

        @property
        def tag(self) -> str:
            return tag[0]

    tag, truth = ["old"], [1]

    @cache.memoize(tags=["{plan.tag}"])
    def f(plan: Plan) -> int:
        return truth[0]

    @cache.memoize(tags=lambda n: [tag[0]])
    def g(n: int) -> int:
        return truth[0]

    warm(lambda: (f(Plan.FREE), g(7)), lambda: min(f.stats().near_hits, g.stats().near_hits))
    tag[0], truth[0] = "new", 2
    assert (f(Plan.FREE), g(7)) == (2, 2)


def test_parameters_may_have_any_name(cache: Cache) -> None:
    @cache.memoize()
    def f(type: int, self: int, Exception: int = 1, BaseException: int = 2) -> tuple[int, int, int]:  # noqa: A002, N803  what is tested
        if not type:
            raise LookupError(self)
        return type, self, Exception

    warm(lambda: f(1, self=2), lambda: f.stats().near_hits)
    assert f(1, 2) == (1, 2, 1)
    with pytest.raises(LookupError):
        f(0, 2)


def test_functions_without_parameters_are_found_too(cache: Cache) -> None:
    @cache.memoize()
    def f() -> int:
        return 1

    warm(f, lambda: f.stats().near_hits)
    assert remembered(f) == 1


def test_any_number_of_arguments_is_looked_up_by_their_key(cache: Cache) -> None:
    @cache.memoize()
    def f(*args: int, **kwargs: int) -> tuple[int, ...]:
        return *args, *kwargs.values()

    warm(lambda: f(1, a=2), lambda: f.stats().near_hits)
    assert f(1, a=2) == (1, 2)
    assert f(2, a=1) == (2, 1)


def test_hostile_arguments_are_not_confused_with_others(cache: Cache) -> None:
    class Everything:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return hash(1)

        def __cache_key__(self) -> str:
            return "everything"

    class Unhashable:
        def __hash__(self) -> int:
            raise RuntimeError("not hashable today")

        def __cache_key__(self) -> str:
            return "unhashable"

    @cache.memoize()
    def kind(x: Any) -> str:
        return type(x).__name__

    warm(lambda: kind(1), lambda: kind.stats().near_hits)
    assert [kind(x) for x in (Everything(), Unhashable(), 1)] == ["Everything", "Unhashable", "int"]


def test_negative_results_are_raised(cache: Cache) -> None:
    @cache.memoize(negative={LookupError: "1h"})
    def f(n: int) -> int:
        raise LookupError(n)

    for _ in range(8):
        with pytest.raises(LookupError):
            f(7)
    assert remembered(f) == 0


def test_methods_are_found_by_what_is_part_of_their_key(cache: Cache) -> None:
    class Shop:
        @cache.memoize(ignore=["self"])
        def price(self, sku: str) -> str:
            return f"price of {sku}"

        @classmethod
        @cache.memoize(ignore=["cls"])
        def tax(cls, sku: str) -> str:
            return f"tax of {sku}"

        @cache.memoize(ignore=["self"])
        async def stock(self, sku: str, *, at: str = "here") -> str:
            return f"{sku} {at}"

    warm(lambda: Shop().price("a"), lambda: Shop.price.stats().near_hits)
    assert Shop().price("a") == Shop.price(Shop(), "a") == "price of a"
    assert Shop().price("b") == "price of b"
    assert Shop.tax("a") == Shop().tax("a") == "tax of a"

    async def main() -> None:
        assert [await Shop().stock("a") for _ in range(9)] == ["a here"] * 9
        assert await Shop().stock("a", at="there") == "a there"
        await cache.aio.aclose()

    asyncio.run(main())


def test_coroutine_functions_are_found_too(cache: Cache) -> None:
    @cache.memoize()
    async def f(n: int) -> int:
        return 2 * n

    async def main() -> None:
        while f.stats().near_hits < 5:
            assert await f(7) == 14
            await asyncio.sleep(0.01)
        assert remembered(f) == 1
        f.invalidate  # noqa: B018  an attribute like any other
        await f.invalidate(7)
        assert remembered(f) == 0
        await cache.aio.aclose()

    asyncio.run(main())


def test_near_hits_are_counted_by_threads_without_losing_one(cache: Cache) -> None:
    @cache.memoize()
    def f(n: int) -> int:
        return n

    warm(lambda: f(7), lambda: f.stats().near_hits)
    before = f.stats().hits
    threads = [threading.Thread(target=lambda: [f(7) for _ in range(5_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert f.stats().hits == before + 20_000


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # what is tested
def test_a_forked_child_finds_nothing_of_its_parents(cache: Cache) -> None:
    @cache.memoize()
    def f(n: int) -> int:
        return n

    warm(lambda: f(7), lambda: f.stats().near_hits)
    pid = os.fork()
    if pid == 0:
        f(7)
        os._exit(f.stats().near_hits)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_was_evicted_or_ended_is_not_remembered(valkey: Server, namespace: str) -> None:
    with Cache(valkey.url, namespace=namespace, budget="10s", near=Near(max_entries=10)) as cache:

        @cache.memoize()
        def f(n: int) -> int:
            return n

        for n in range(50):
            warm(lambda n=n: f(n), lambda: f.stats().near_hits)
        assert 0 < remembered(f) <= 10
    assert remembered(f) == 0


def test_what_a_compute_reads_by_its_arguments_is_what_it_depends_on(cache: Cache) -> None:
    truth = [1]

    @cache.memoize()
    def part(n: int) -> int:
        return truth[0]

    @cache.memoize()
    def whole(n: int) -> int:
        return part(n)

    warm(lambda: part(7), lambda: part.stats().near_hits)
    assert whole(7) == 1
    truth[0] = 2
    part.invalidate(7)
    assert whole(7) == 2


def test_applications_keys_are_found_too(cache: Cache) -> None:
    cache.set("k", {"a": [1]})

    def near_hits() -> int:
        return cache.stats()["keys"].near_hits

    assert cache.get("k") == {"a": [1]}
    warm(lambda: cache.get("k"), near_hits)
    hits = near_hits()
    cache.get("k")["a"].append(2)
    assert cache.get("k", "default") == {"a": [1]}
    assert near_hits() == hits + 2
    assert cache.get("k", type=int) is None
    assert cache.get("other", "default") == "default"
    with cache.bypass():
        assert cache.get("k", "default") == "default"
    cache.set("k", 2)
    assert cache.get("k") == 2
    warm(lambda: cache.get("k"), near_hits)
    cache.invalidate("k")
    assert cache.get("k") is None


def test_applications_keys_are_found_by_coroutines_too(cache: Cache) -> None:
    cache.set("k", 1)

    async def main() -> None:
        while not (keys := cache.stats().get("keys")) or keys.near_hits < 5:
            assert await cache.aio.get("k") == 1
            await asyncio.sleep(0.01)
        await cache.aio.set("k", 2)
        assert await cache.aio.get("k") == 2
        await cache.aio.aclose()

    asyncio.run(main())


def test_a_bound_handle_shows_what_is_set_on_its_function(cache: Cache) -> None:
    class Shop:
        @cache.memoize(ignore=["self"])
        def price(self, sku: str) -> str:
            """Say what it costs."""
            return sku

    Shop.price.marked = "yes"
    bound = Shop().price
    assert (bound.marked, bound.__name__, bound.__doc__, bound.__module__) == ("yes", "price", "Say what it costs.", __name__)
    assert bound.__annotations__ == {"sku": "str", "return": "str"}
    assert bound.__wrapped__ is Shop.price.__wrapped__
    with pytest.raises(AttributeError, match="unmarked"):
        bound.unmarked  # noqa: B018  what is tested


def test_methods_are_found_by_what_their_object_says_it_is(cache: Cache) -> None:
    class Shop:
        def __init__(self, key: Any) -> None:
            self.key = key

        def __cache_key__(self) -> Any:
            return self.key

        @cache.memoize()
        def name(self, n: int) -> str:
            return f"{type(self).__name__} {self.key!r} {n}"

        @classmethod
        @cache.memoize()
        def kind(cls, n: int) -> str:
            return f"{cls.__name__} {n}"

    class Other(Shop):
        pass

    shop = Shop(("a", 1))
    warm(lambda: shop.name(7), lambda: Shop.name.stats().near_hits)
    assert remembered(Shop.name) == 1
    shop.key = ("a", True)
    assert shop.name(7) == "Shop ('a', True) 7"
    keys = [1, True, 1.0, "1", (1,), (True,), ((1,),), [1], None, (), 0.0, -0.0]
    for _ in range(5):
        for kind in (Shop, Other):
            for key in keys:
                assert kind(key).name(7) == Shop.name(kind(key), 7) == f"{kind.__name__} {key!r} 7"
            assert kind.kind(7) == kind(1).kind(7) == f"{kind.__name__} 7"


def test_methods_of_objects_that_cannot_be_looked_up_are_right_too(cache: Cache) -> None:
    @dataclass
    class Shop:
        tenant: str

        @cache.memoize(tags=["tenant:{self.tenant}"])
        def name(self) -> str:
            return self.tenant

    shop = Shop("a")
    warm(shop.name, lambda: Shop.name.stats().near_hits)
    shop.tenant = "b"
    assert shop.name() == "b"
