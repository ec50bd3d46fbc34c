# pyright: strict
"""What a type checker must refuse: each line that ends with `# E`, and no other. Never run: `test_typing.py` checks it."""

from __future__ import annotations

from decimal import Decimal

from afresh import Cache, Near, Receipt
from uses import Profile, Repo, anames, cache, factorial, names, plain, prices, profile, rate, repo

# --- functions -----------------------------------------------------------------------------------------------------
profile("7")  # E
profile()  # E
profile(7, "de")  # E
profile(7, language="de")  # E
profile(7, read="redis")  # E
profile.key("7")  # E
profile.invalidate("7")  # E
profile.invalidate()  # E
profile.invalidate(7, on_commit=True)  # E
profile.expire("7")  # E
cache.memoize(stale_if_error=None)  # E
profile.refresh(7, lang=1)  # E
profile.uncached("7")  # E
profile.peek("7")  # E
profile.put(7, Profile(1, ""))  # E
profile.put("a profile", 7)  # E
profile.options(reed="redis")  # E
profile.options(read="l1")  # E
profile.options(read="redis")("7")  # E
profile.forget(7)  # E
profile.tag = "another"  # E
text: str = profile(7)  # E
length: int = len(plain.peek(1).value)  # E
applied: bool = profile.invalidate(7)  # E
receipt: Receipt = profile.invalidate(7)
receipt.applied = True  # E


# --- methods -------------------------------------------------------------------------------------------------------
repo.order("3")  # E
repo.order(repo, 3)  # E
repo.order.invalidate(repo, 3)  # E
Repo.order(3)  # E
Repo.order.invalidate(3)  # E
Repo.double("1")  # E


# --- coroutine functions -------------------------------------------------------------------------------------------
async def coroutines() -> None:
    rate("EUR")  # E
    rate.invalidate("EUR")  # E
    await rate(1)  # E
    await rate.put("1", "EUR")  # E
    found: Decimal = rate("EUR")  # E
    await profile(7)  # E
    cache.aio.invalidate("k")  # E
    await repo.aorder("1")  # E
    async with cache.bypass():  # E
        pass
    with cache.aio.lock("nightly", ttl=1):  # E
        pass


# --- options -------------------------------------------------------------------------------------------------------
cache.memoize(tll=5)  # E
cache.memoize(ttl=None)  # E
cache.memoize(tags=5)  # E
cache.memoize("5m")  # E
cache.memoize(negative={"LookupError": 5})  # E
cache.memoize(near=Near())  # E
cache.memoize_many(key=len)  # E
Cache("redis://localhost", "shop")  # E
Cache(namespace=5)  # E
Cache(near=True)  # E
Near("64MiB")  # E
cache.lock("nightly")  # E
cache.writing(7)  # E


@cache.memoize  # E
def without_parentheses(x: int) -> int:
    return x


# --- many, recurrences, keys ---------------------------------------------------------------------------------------
prices([1])  # E
prices.invalidate([1])  # E
prices.put({1: Decimal(1)})  # E
names(["1"])  # E
names([1], language="de")  # E
factorial("5")  # E
factorial(5, 4)  # E
factorial(n=5)  # E
cache.get()  # E
cache.get(7)  # E
cache.get("k", tipe=int)  # E
number: str = cache.get("k", 0, type=int)  # E
cache.set("k")  # E
cache.set("k", 1, timeout=5)  # E
cache.set("k", 1, 5)  # E
cache.incr("n", "1")  # E
cache.get_or_compute("k", 3)  # E
cache.get_or_compute("k", lambda x: x)  # E
total: str = cache.get_or_compute("k", lambda: 3)  # E
cache.invalidate(7)  # E
cache.invalidate_tags(["a"])  # E
anames([1])["1"]  # E


@cache.recurrence(base={0: "1"})  # E
def grow(n: int, previous: int) -> int:
    return n * previous
