"""What a result was made of: it is dropped with any of it, in either colour, on memory and on a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from afresh import Cache
from tests.conformance.facades import Colourless, ColourlessCache
from tests.support.servers import Server


@pytest.fixture(params=["memory", "valkey"])
async def base(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    url = "memory://" if request.param == "memory" else request.getfixturevalue("valkey").url
    with Cache(url, namespace="t-capture", budget="10s") as cache:
        yield cache
        await cache.aio.aclose()


@pytest.fixture(params=["sync", "async"])
def cache(request: pytest.FixtureRequest, base: Cache) -> ColourlessCache:
    return ColourlessCache(base, request.param)


class Page:
    """A page made of a memoized fragment, a key and a memo table; and how often it was rendered."""

    def __init__(self, cache: ColourlessCache, **options: object) -> None:
        self.renders = 0
        self.cache = cache
        subject = cache.subject
        colour = cache.coloured
        fragment = subject.memoize(name="fragment", tags=["fragment:{number}"])(colour(lambda number: number))
        table = cache.cache.recurrence(base={0: 1}, name="table")(colour(lambda n, previous: n * previous))

        if cache.colour == "sync":

            def page(number: int) -> object:
                self.renders += 1
                return fragment(number), subject.get("key"), subject.get_or_compute("made", lambda: 1), table(3)
        else:

            async def page(number: int) -> object:
                self.renders += 1
                made = await subject.get_or_compute("made", lambda: 1)
                return await fragment(number), await subject.get("key"), made, await table(3)

        self.call = Colourless(subject.memoize(name="page", **options)(page))
        self.fragment = Colourless(fragment)
        self.table = Colourless(table)

    async def is_fresh(self) -> bool:
        """Ask for it twice; say whether it was there."""
        before = self.renders
        assert await self.call(7) == await self.call(7)
        assert self.renders <= before + 1
        return self.renders == before


INVALIDATIONS = {
    "call": lambda page: page.fragment.invalidate(7),
    "key of a call": lambda page: page.cache.invalidate(page.fragment.subject.key(7)),
    "tag": lambda page: page.cache.invalidate_tags("fragment:7"),
    "function": lambda page: page.fragment.invalidate_all(),
    "function's tag": lambda page: page.cache.invalidate_tags(page.fragment.subject.tag),
    "key that was missing": lambda page: page.cache.invalidate("key"),
    "computed key": lambda page: page.cache.invalidate("made"),
    "memo table": lambda page: page.table.invalidate_all(),
    "everything": lambda page: page.cache.invalidate_all(),
}


@pytest.mark.parametrize("what", INVALIDATIONS)
async def test_result_is_dropped_with_what_it_was_made_of(cache: ColourlessCache, what: str) -> None:
    page = Page(cache)
    await page.is_fresh()
    assert await page.is_fresh()

    assert (await INVALIDATIONS[what](page)).applied

    assert not await page.is_fresh()
    assert await page.is_fresh()


async def test_result_is_not_dropped_with_other_calls(cache: ColourlessCache) -> None:
    page = Page(cache)
    await page.is_fresh()

    await page.fragment.invalidate(8)
    await cache.invalidate("other")

    assert await page.is_fresh()


async def test_result_made_of_stored_parts_is_dropped_with_them(cache: ColourlessCache) -> None:
    page = Page(cache)
    await page.fragment(7)
    await page.is_fresh()

    await page.fragment.invalidate(7)

    assert not await page.is_fresh()


async def test_function_that_does_not_capture_is_not_dropped(cache: ColourlessCache) -> None:
    page = Page(cache, capture=False)
    await page.is_fresh()

    await page.fragment.invalidate(7)

    assert await page.is_fresh()


async def test_result_of_results_is_dropped_with_the_innermost(cache: ColourlessCache) -> None:
    page = Page(cache)
    site = cache.memoized(lambda: page.call.subject(7), name="site") if cache.colour == "sync" else _site(cache, page)
    await site()

    await page.fragment.invalidate(7)

    assert await site.peek() is None


def _site(cache: ColourlessCache, page: Page) -> Colourless:
    async def site() -> object:
        return await page.call.subject(7)

    return Colourless(cache.subject.memoize(name="site")(site))


def test_recursion_deeper_than_a_vector_is_stored(valkey: Server) -> None:
    with Cache(valkey.url, namespace="t-capture", budget="10s") as cache:
        calls: list[int] = []

        @cache.memoize(name="deep")
        def deep(n: int) -> int:
            calls.append(n)
            return n if n < 2 else deep(n - 1) + 1

        for start in range(100, 400, 100):
            deep(start)

        assert deep(300) == 300
        assert len(calls) == 300


def test_threads_of_one_compute_do_not_see_another_one(valkey: Server) -> None:
    with Cache(valkey.url, namespace="t-capture", budget="10s") as cache:
        part = cache.memoize(name="part")(lambda name: name)
        both = threading.Barrier(2)

        @cache.memoize(name="whole")
        def whole(name: str) -> str:
            both.wait(10)
            value = part(name)
            both.wait(10)
            return value

        threads = [threading.Thread(target=whole, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        part.invalidate("a")

        assert whole.peek("a") is None
        assert whole.peek("b") is not None


async def test_tasks_of_a_compute_are_followed(valkey: Server) -> None:
    cache = Cache(valkey.url, namespace="t-capture", budget="10s").aio

    @cache.memoize(name="part")
    async def part(n: int) -> int:
        return n

    @cache.memoize(name="whole")
    async def whole() -> int:
        return sum(await asyncio.gather(*(part(n) for n in range(5))))

    assert await whole() == 10
    await part.invalidate(3)

    assert await whole.peek() is None
    await cache.aclose()


def test_result_made_of_more_than_an_envelope_holds_is_not_stored(valkey: Server) -> None:
    with Cache(valkey.url, namespace="t-capture", budget="10s") as cache:
        part = cache.memoize(name="part")(lambda n: n)
        whole = cache.memoize(name="whole")(lambda: sum(map(part, range(300))))

        assert whole() == sum(range(300))

        assert whole.peek() is None
        assert sum(whole.stats().not_stored.values()) == 1
