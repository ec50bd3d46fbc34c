"""Tags that the result names: stored with it where nothing was invalidated meanwhile, on real servers."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from afresh import Cache, ConfigurationError, Near
from tests.conformance.facades import Colourless, ColourlessCache
from tests.support.near import near_is_trusted
from tests.support.servers import Server


@pytest.fixture
def both(server: Server, namespace: str) -> Iterator[Cache]:
    with Cache(server.url, namespace=namespace, ttl="1h", budget="10s", near=Near(max_stale="1h")) as cache:
        yield near_is_trusted(cache)


@pytest.fixture(params=["sync", "async"])
async def cache(request: pytest.FixtureRequest, both: Cache) -> AsyncIterator[ColourlessCache]:
    yield ColourlessCache(both, request.param)
    await both.aio.aclose()


class Users:
    """A function whose results belong to a team that only they name."""

    def __init__(self, cache: ColourlessCache, **options: Any) -> None:
        self.calls: list[int] = []
        self.user = cache.memoized(self.load, name="user", result_tags=lambda user: [f"team:{user['team']}"], **options)

    def load(self, number: int) -> dict[str, int]:
        self.calls.append(number)
        return {"id": number, "team": number % 2}


async def stored(users: Users, *numbers: int) -> None:
    """Have results of each team stored: the first under a new tag is not."""
    for number in numbers:
        for _ in range(2):
            await users.user(number)
    users.calls.clear()


async def test_a_result_is_kept_under_its_own_tags(cache: ColourlessCache) -> None:
    users = Users(cache)
    await stored(users, 1, 2)

    for _ in range(3):
        assert await users.user(1) == {"id": 1, "team": 1}
    assert users.calls == []

    assert (await cache.invalidate_tags("team:1")).applied
    await users.user(1)
    await users.user(2)
    assert users.calls == [1]


async def test_the_first_result_under_a_new_tag_is_not_stored(cache: ColourlessCache) -> None:
    users = Users(cache)

    await users.user(1)

    assert users.user.subject.stats().not_stored == {"tags of the result not proven": 1}
    assert await users.user.peek(1) is None
    await users.user(1)
    assert (await users.user.peek(1)).value == {"id": 1, "team": 1}


async def test_a_result_whose_tag_was_invalidated_meanwhile_is_not_stored(cache: ColourlessCache) -> None:
    with Cache(cache.cache._again.args[0], namespace=cache.cache._engine.namespace.name, budget="10s") as other:
        users = Users(cache)
        await stored(users, 1)
        await users.user.invalidate(1)
        during = users.load

        def load(number: int) -> dict[str, int]:
            value = during(number)
            other.invalidate_tags("team:1")
            return value

        again = cache.memoized(load, name="user", result_tags=lambda user: [f"team:{user['team']}"])
        await again(1)

        assert await again.peek(1) is None


async def test_results_without_tags_are_stored(cache: ColourlessCache) -> None:
    function = cache.memoized(lambda: 1, name="f", result_tags=lambda _: [])
    await function()

    assert (await function.peek()).value == 1


async def test_what_is_made_of_a_result_depends_on_its_tags(cache: ColourlessCache) -> None:
    users = Users(cache)
    await stored(users, 1)
    calls: list[int] = []

    if cache.colour == "sync":

        def page() -> list[Any]:
            calls.append(1)
            return [users.user.subject(1)]

        page_of = Colourless(cache.subject.memoize(name="page")(page))
    else:

        async def async_page() -> list[Any]:
            calls.append(1)
            return [await users.user.subject(1)]

        page_of = Colourless(cache.subject.memoize(name="page")(async_page))
    for _ in range(3):
        await page_of()
    assert calls == [1]

    await cache.invalidate_tags("team:1")
    await users.user.invalidate(1)
    for _ in range(5):  # an inner result that cannot be stored makes one that cannot, either
        await page_of()
    before = len(calls)
    await cache.invalidate_tags("team:1")
    await page_of()
    assert len(calls) == before + 1


async def test_a_result_read_from_redis_keeps_its_tags(cache: ColourlessCache) -> None:
    users = Users(cache, near=False)
    await stored(users, 1)
    await users.user(1)
    assert users.calls == []

    await cache.invalidate_tags("team:1")

    await users.user(1)
    assert users.calls == [1]


@pytest.mark.parametrize("given", ["team", 5, [5], [""]])
async def test_tags_must_be_text(cache: ColourlessCache, given: Any) -> None:
    function = cache.memoized(lambda: 1, name="f", result_tags=lambda _: given)

    with pytest.raises(ConfigurationError, match="result_tags= must return"):
        await function()
    with pytest.raises(ConfigurationError):  # and nobody waits for what was not committed
        await function()


def test_result_tags_need_a_near_tier(namespace: str) -> None:
    with pytest.raises(ConfigurationError, match=r"result_tags= needs the near tier.*near=Near"):
        Cache("memory://", namespace=namespace).memoize(result_tags=lambda _: [])
    with pytest.raises(ConfigurationError, match="result_tags='team' must be a function"):
        Cache("memory://", namespace=namespace, near=Near()).memoize(result_tags="team")(len)  # type: ignore[arg-type]


def test_in_the_process_alone_such_results_are_not_stored(namespace: str) -> None:
    with Cache("memory://", namespace=namespace, near=Near()) as cache:
        function = cache.memoize(result_tags=lambda _: ["tag"])(lambda: [1])
        assert [function(), function()] == [[1], [1]]

        assert function.stats().computes == 2


def test_no_reader_gets_what_was_computed_before_an_invalidation(both: Cache, server: Server) -> None:
    """A fuzz of everything at once, as the prototype's: the value is the truth of when it was computed."""
    truth = [0]
    applied = [0]
    stop = threading.Event()
    with Cache(server.url, namespace=both._engine.namespace.name, budget="10s") as other:

        @both.memoize(name="f", result_tags=lambda _: ["tag"])
        def function() -> int:
            return truth[0]

        redis = function.options(read="redis")

        def write() -> None:
            while not stop.wait(0.002):
                truth[0] += 1
                if other.invalidate_tags("tag").applied:
                    applied[0] = truth[0]

        wrong: list[tuple[int, int]] = []
        reads = [0]

        def read() -> None:
            while not stop.is_set():
                low = applied[0]
                value = redis()
                reads[0] += 1
                if value < low:
                    wrong.append((value, low))

        threads = [threading.Thread(target=write), *(threading.Thread(target=read) for _ in range(4))]
        for thread in threads:
            thread.start()
        stop.wait(1)
        stop.set()
        for thread in threads:
            thread.join()
        print(f"{reads[0]} reads, {truth[0]} invalidations, {function.stats()}")
        assert wrong == []
        assert function.stats().hits > 0
