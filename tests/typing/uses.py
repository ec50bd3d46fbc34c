# pyright: strict
"""Everything that a program may do with afresh, as a type checker must see it. Never run: `test_typing.py` checks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Protocol, TypeVar, assert_type
from uuid import UUID

from afresh import (
    AsyncCache,
    AsyncMany,
    AsyncMemoized,
    Cache,
    Entry,
    Explanation,
    FunctionStats,
    Key,
    Lease,
    Many,
    Memoized,
    Near,
    Receipt,
    Recurrence,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Profile:
    id: int
    name: str


@dataclass
class Token:
    value: str
    expires_in: int


# --- caches --------------------------------------------------------------------------------------------------------
cache = Cache("redis://localhost/0", namespace="shop", near=Near(max_bytes="64MiB", max_entries=1000, max_stale="2s"))
Cache()
Cache(ttl=300, stale_ttl=timedelta(hours=1), budget=0.25, durable=True)
assert_type(cache.aio, AsyncCache)
with Cache("memory://") as opened:
    assert_type(opened, Cache)


# --- functions -----------------------------------------------------------------------------------------------------
@cache.memoize(ttl="5m", stale_ttl="1h", tags=["user:{user_id}"])
def profile(user_id: int, *, lang: str = "en") -> Profile:
    return Profile(user_id, lang)


assert_type(profile(7), Profile)
assert_type(profile(7, lang="de"), Profile)
assert_type(profile(user_id=7), Profile)
assert_type(profile.key(7, lang="de"), Key)
assert_type(profile.tag, str)
assert_type(profile.invalidate(7, lang="de"), Receipt)
assert_type(profile.invalidate_all(), Receipt)
assert_type(profile.expire(7, lang="de"), Receipt)
assert_type(cache.expire("k", profile.key(7)), Receipt)
assert_type(profile.refresh(7), Profile)
assert_type(profile.uncached(7), Profile)
assert_type(profile.__wrapped__(7), Profile)
assert_type(profile.peek(7), Entry[Profile] | None)
profile.put(Profile(7, "a"), 7, lang="de")
assert_type(profile.stats(), FunctionStats)
assert_type(profile.options(read="redis", wait="1s")(7), Profile)
assert_type(profile.options(wait=timedelta(seconds=1)).invalidate(7), Receipt)
assert_type(profile.__name__, str)

if (entry := profile.peek(7)) is not None:
    assert_type(entry.value, Profile)
    assert_type(entry.age_s, float)
    if entry.state == "stale":
        profile.refresh(entry.value.id)
assert_type(profile.invalidate(7).applied, bool)
assert_type(profile.invalidate(7).at, float)


@cache.memoize()
def plain(x: int) -> str:
    return str(x)


assert_type(plain(1), str)


@cache.memoize()
def nothing() -> None:
    return None


nothing()
nothing.invalidate()


def by_day(day: date, *regions: str, currency: str, **filters: int) -> object:
    return day.isoformat(), regions


def tags_of_order(connection: object, oid: UUID) -> Iterable[str]:
    yield f"order:{oid}"


@cache.memoize(key=by_day, name="sales", version=2, tags=["sales"])
def sales(day: date, /, *regions: str, currency: str = "EUR", **filters: int) -> Mapping[str, Decimal]:
    return {}


assert_type(sales(date.today(), "north", "south", currency="USD", year=2026), Mapping[str, Decimal])
sales.invalidate(date.today(), "north", year=2026)


@cache.memoize(ignore=["connection"], tags=tags_of_order, version="2026-01")
def order_of(connection: object, oid: UUID) -> Profile | None:
    return None


assert_type(order_of(object(), UUID(int=1)), Profile | None)


@cache.memoize(
    ttl=lambda token: token.expires_in,
    negative={LookupError: "10s"},
    result_tags=lambda token: [f"token:{token.value}"],
    wait="5s",
    share=True,
    near=False,
)
def fetch_token(audience: str) -> Token:
    return Token(audience, 3)


assert_type(fetch_token("a"), Token)


# --- coroutine functions -------------------------------------------------------------------------------------------
@cache.memoize(ttl=60)
async def rate(code: str) -> Decimal:
    return Decimal(1)


@cache.aio.memoize(ttl=60)
async def country(code: str) -> str:
    return code


@cache.aio.memoize(ttl=60)
def capital(code: str) -> str:
    return code


async def worker() -> None:
    assert_type(await rate("EUR"), Decimal)
    assert_type(await rate.uncached("EUR"), Decimal)
    assert_type(await rate.refresh("EUR"), Decimal)
    assert_type(await rate.__wrapped__("EUR"), Decimal)
    assert_type(await rate.peek("EUR"), Entry[Decimal] | None)
    await rate.put(Decimal(1), "EUR")
    assert_type(await rate.invalidate("EUR"), Receipt)
    assert_type(await rate.invalidate_all(), Receipt)
    assert_type(await rate.options(wait=1)("EUR"), Decimal)
    assert_type(rate.key("EUR"), Key)
    assert_type(rate.stats(), FunctionStats)
    assert_type(await country("FR"), str)
    assert_type(capital("FR"), str)  # a decorator follows the function's colour, not the facade's
    await cache.aio.invalidate(profile.key(7))  # a plain function's entry, from a coroutine
    await cache.aio.invalidate_tags(profile.tag, "user:7")
    assert_type(await asyncio.gather(rate("A"), rate("B")), tuple[Decimal, Decimal])
    task = asyncio.create_task(rate("X"))
    assert_type(await task, Decimal)


# --- methods -------------------------------------------------------------------------------------------------------
class Repo:
    def __init__(self, tenant: int) -> None:
        self.tenant = tenant

    def __cache_key__(self) -> object:
        return self.tenant

    @cache.memoize(tags=["tenant:{self.tenant}"])
    def order(self, oid: int) -> Profile:
        return Profile(oid, "")

    @cache.memoize(ttl=5)
    async def aorder(self, oid: int) -> Profile:
        return Profile(oid, "")

    @staticmethod  # called by its class: on an instance, checkers bind every descriptor, whatever this says
    @cache.memoize(ttl=5)
    def double(x: int) -> int:
        return 2 * x

    @property
    @cache.memoize(ttl=5)
    def total(self) -> Decimal:
        return Decimal(0)


class SpecialRepo(Repo):
    def twice(self, oid: int) -> tuple[Profile, Profile]:
        return self.order(oid), super().order(oid)


repo = Repo(1)
assert_type(repo.order(3), Profile)
assert_type(repo.order.invalidate(3), Receipt)
assert_type(repo.order.peek(3), Entry[Profile] | None)
assert_type(repo.order.options(wait=1)(3), Profile)
repo.order.put(Profile(3, ""), 3)
assert_type(Repo.order(repo, 3), Profile)
assert_type(Repo.order.invalidate(repo, 3), Receipt)
assert_type(Repo.order.invalidate_all(), Receipt)
assert_type(SpecialRepo(1).order(3), Profile)
assert_type(Repo.double(1), int)
Repo.double.invalidate(1)
assert_type(repo.total, Decimal)


async def methods() -> None:
    assert_type(await repo.aorder(1), Profile)
    assert_type(await repo.aorder.invalidate(1), Receipt)
    assert_type(await Repo.aorder(repo, 1), Profile)


# --- handles among other code --------------------------------------------------------------------------------------
class LooksUp(Protocol):
    def __call__(self, user_id: int, *, lang: str = "en") -> Profile: ...


class Invalidates(Protocol):
    def invalidate(self, user_id: int, /) -> object: ...


def check(handle: Memoized[[int], Any], acheck: AsyncMemoized[[str], Decimal]) -> None:
    handle.invalidate(3)


def apply(function: Callable[[int], T], argument: int) -> T:
    return function(argument)


callback: Callable[[int], Profile] = profile
acallback: Callable[[str], Awaitable[Decimal]] = rate
coroutine_function: Callable[[str], Coroutine[Any, Any, Decimal]] = rate
looks_up: LooksUp = profile
invalidates: Invalidates = profile
profiles = map(profile, [1, 2])
assert_type(next(profiles), Profile)
assert_type(apply(profile, 7), Profile)
assert_type(apply(repo.order, 7), Profile)
in_german = partial(profile, lang="de")
assert_type(in_german(7), Profile)
check(plain, rate)

cache.memoize(stale_ttl="1h", stale_if_error=timedelta(days=1), backoff="5s", refresh_wait="100ms", compute_timeout=1.5, early_refresh=False)
cache.memoize(stale_ttl="1h", refresh_wait=None)
assert_type(cache.get_or_compute("k", lambda: 1, ttl="5m", stale_ttl="1h"), int)
long_lived = partial(cache.memoize, ttl="1d", stale_ttl="7d")  # a policy that functions share


@long_lived()
def rare(x: int) -> str:
    return str(x)


@long_lived(tags=["rare"])
async def arare(x: int) -> str:
    return str(x)


assert_type(rare(1), str)
rare.invalidate(1)


async def rarely() -> None:
    assert_type(await arare(1), str)


# --- many at once --------------------------------------------------------------------------------------------------
@cache.memoize_many(ttl="5m")
def prices(skus: list[str]) -> dict[str, Decimal]:
    return {}


@cache.memoize_many(ttl="5m", stale_ttl="1h", tags=["names"], name="names", version=2)
def names(ids: Sequence[int], *, lang: str = "en") -> dict[int, str]:
    return {}


@cache.memoize_many()
async def anames(ids: list[int]) -> dict[int, str]:
    return {}


assert_type(prices(["a"]), dict[str, Decimal])
assert_type(prices.invalidate(["a"]), Receipt)
assert_type(prices.key("a"), Key)
prices.put({"a": Decimal(1)})
assert_type(names([1], lang="de"), dict[int, str])
assert_type(names(range(3)), dict[int, str])
prices_again: Many[str, Decimal, []] = prices
anames_again: AsyncMany[int, str, []] = anames


async def many() -> None:
    assert_type(await anames([1]), dict[int, str])
    assert_type(await anames.invalidate([1]), Receipt)


# --- recurrences ---------------------------------------------------------------------------------------------------
@cache.recurrence(base={0: 1})
def factorial(n: int, previous: int) -> int:
    return n * previous


@cache.recurrence(base={0: 0, 1: 1}, name="fib")
def fib(n: int, a: int, b: int) -> int:
    return a + b


@cache.recurrence(base={0: Decimal(1)}, ttl="1d")
def growth(n: int, previous: Decimal) -> Decimal:
    return previous


assert_type(factorial(5), int)
assert_type(factorial.known(), int)
assert_type(factorial.invalidate_all(), Receipt)
assert_type(fib(5), int)
assert_type(growth(5), Decimal)
table: Recurrence[int] = factorial

# --- keys ----------------------------------------------------------------------------------------------------------
assert_type(cache.get("k", type=Profile), Profile | None)
assert_type(cache.get("k", 0, type=int), int)
assert_type(cache.get("k", None, type=int), int | None)
assert_type(cache.get(key="k", type=str), str | None)
cache.get("k")
cache.get(profile.key(7))
cache.get("k", 0)
cache.set("k", 1, ttl="5m", tags=["a"])
assert_type(cache.add("k", 1, ttl=5), bool)
assert_type(cache.get_many(["a", "b"]), dict[str, Any])
cache.set_many({"a": 1, "b": "x"}, ttl=timedelta(minutes=5), tags=("a",))
assert_type(cache.incr("n"), int)
assert_type(cache.incr("n", 5, ttl="1d"), int)
assert_type(cache.touch("k", ttl=1), bool)
assert_type(cache.ttl("k"), float | None)
assert_type(cache.get_or_compute("k", lambda: 3), int)
assert_type(cache.get_or_compute("k", partial(profile.uncached, 7), ttl=lambda found: found.id, tags=["a"]), Profile)
assert_type(cache.invalidate("a", profile.key(7), repo.order.key(3)), Receipt)
assert_type(cache.invalidate_tags(profile.tag, "user:7"), Receipt)
assert_type(cache.invalidate_all(), Receipt)
assert_type(cache.stats(), dict[str, FunctionStats])
assert_type(cache.explain("k"), Explanation)
assert_type(cache.bypass(), AbstractContextManager[None])
assert_type(cache.writing("user:7"), AbstractContextManager[None])
with cache.bypass(), cache.writing("user:7", "users"), cache.lock("nightly", ttl="30s", wait=1) as lease:
    assert_type(lease, Lease)
    assert_type(lease.fence, int)
cache.close()


async def keys() -> None:
    assert_type(await cache.aio.get("k", type=Profile), Profile | None)
    assert_type(await cache.aio.get("k", 0, type=int), int)
    await cache.aio.get("k")
    await cache.aio.set("k", 1, ttl="5m", tags=["a"])
    assert_type(await cache.aio.add("k", 1), bool)
    assert_type(await cache.aio.get_many(["a"]), dict[str, Any])
    await cache.aio.set_many({"a": 1})
    assert_type(await cache.aio.incr("n", by=2), int)
    assert_type(await cache.aio.touch("k"), bool)
    assert_type(await cache.aio.ttl("k"), float | None)
    assert_type(await cache.aio.get_or_compute("k", partial(rate.uncached, "E")), Decimal)
    assert_type(await cache.aio.get_or_compute("k", lambda: 3, ttl="5m"), int)
    assert_type(await cache.aio.invalidate("k"), Receipt)
    assert_type(await cache.aio.invalidate_all(), Receipt)
    assert_type(await cache.aio.explain("k"), Explanation)
    assert_type(cache.aio.stats(), dict[str, FunctionStats])
    assert_type(cache.aio.writing("a"), AbstractAsyncContextManager[None])
    with cache.aio.bypass():
        await rate("EUR")
    async with cache.aio.writing("a"), cache.aio.lock("nightly", ttl="30s") as lease:
        assert_type(lease.fence, int)
    async with cache.aio as same:
        assert_type(same, AsyncCache)
    await cache.aio.aclose()


# --- frameworks ----------------------------------------------------------------------------------------------------
async def get_cache() -> AsyncIterator[AsyncCache]:
    async with cache.aio as opened:
        yield opened


async def endpoint(user_id: int, injected: AsyncCache) -> Profile:
    return await injected.get_or_compute(f"user:{user_id}", lambda: Profile(1, ""))


def on_save(sender: type[Any], instance: Any, **kwargs: Any) -> None:
    profile.invalidate(instance.pk)
    cache.invalidate_tags(f"user:{instance.pk}")


def test_profile() -> None:
    with cache.bypass():
        assert profile(7).id == 7
    assert profile.uncached(7) == profile.__wrapped__(7)
