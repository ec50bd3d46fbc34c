"""What is known to go wrong elsewhere, and has no place in the other files here.

Keys that collide and other hash seeds are in test_keys.py; closures of one name in test_functions.py; re-entrance, leaders that raise
or are cancelled, forks and loops in test_robustness.py; a None that is never cached in test_values.py.
"""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from afresh import Cache


def test_an_entry_does_not_come_back_after_its_invalidation(cache):
    """By a computation that had read the old data."""
    source, began, go_on = ["old"], threading.Event(), threading.Event()

    @cache.memoize(tags=["t"])
    def value(x):
        read = source[0]
        began.set()
        assert go_on.wait(10)
        return read

    ways = [lambda: value.invalidate(1), value.invalidate_all, lambda: cache.invalidate_tags("t"), cache.invalidate_all]
    for invalidate in ways:
        source[0] = "old"
        began.clear()
        go_on.clear()
        slow = threading.Thread(target=value, args=(1,))
        slow.start()
        assert began.wait(10)
        source[0] = "new"
        assert invalidate().applied
        go_on.set()
        slow.join(10)
        assert value(1) == "new"
        value.invalidate(1)


async def test_an_entry_does_not_come_back_after_its_invalidation_by_a_task(cache):
    source, go_on = ["old"], asyncio.Event()

    @cache.aio.memoize(tags=["t"])
    async def value(x):
        read = source[0]
        await asyncio.wait_for(go_on.wait(), 10)
        return read

    ways = [lambda: value.invalidate(1), value.invalidate_all, lambda: cache.aio.invalidate_tags("t"), cache.aio.invalidate_all]
    for invalidate in ways:
        source[0] = "old"
        go_on.clear()
        slow = asyncio.create_task(value(1))
        await asyncio.sleep(0.05)
        source[0] = "new"
        assert (await invalidate()).applied
        go_on.set()
        assert await slow == "old", "its own caller asked before"
        assert await value(1) == "new"
        await value.invalidate(1)
    await cache.aio.aclose()


def test_a_counter_that_is_counted_as_it_expires_still_expires(cache, url, request):
    """Elsewhere the increment comes between the expiry and the new lifetime, and the counter lives for ever."""
    ends = time.monotonic() + 0.5

    def count():
        while time.monotonic() < ends:
            cache.incr("visits", ttl="5ms")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    left = cache.ttl("visits")
    assert left is None or left <= 0.005
    time.sleep(0.05)
    assert cache.get("visits") is None
    if url != "memory://":
        stored = list(request.getfixturevalue("valkey").keys())
        assert not [name for name, has_ttl in stored if b":v:" in name and not has_ttl]


async def test_a_counter_that_tasks_count_as_it_expires_still_expires(cache):
    ends = time.monotonic() + 0.3

    async def count():
        while time.monotonic() < ends:
            await cache.aio.incr("visits", ttl="5ms")
            await asyncio.sleep(0)

    await asyncio.gather(*(count() for _ in range(4)))
    await asyncio.sleep(0.05)
    assert await cache.aio.get("visits") is None
    await cache.aio.aclose()


@pytest.mark.keys(".*", permanent=True)
def test_clearing_leaves_other_applications_alone(valkey, namespace):
    others = ["session:1", f"{namespace}", f"{namespace}:", f"{namespace}x:v:{{k:a}}", "*", "{k:a}"]
    for key in others:
        valkey.command("SET", key, "theirs")
    made = [Cache(valkey.url, namespace=name, budget="10s") for name in (namespace, f"{namespace}x")]
    with made[0] as cache, made[1] as theirs:
        cache.set("k", 1)
        theirs.set("k", 2)
        assert cache.invalidate_all().applied
        assert cache.get("k") is None
        assert theirs.get("k") == 2
    assert [valkey.command("GET", key) for key in others] == [b"theirs"] * len(others)


@pytest.mark.parametrize("whose", ["the function's", "a tag's", "the namespace's"])
def test_a_stamp_that_was_overwritten_is_replaced(valkey, namespace, whose):
    """What is no stamp says nothing, so what was stored under it is computed anew: once, and not for as long as the bytes are there."""
    computed = []
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:

        @cache.memoize(tags=["t"])
        def value(x):
            computed.append(x)
            return x

        tags = cache._engine.namespace
        stamp = {"the function's": tags.tag_of(value.tag), "a tag's": tags.tag_of("t"), "the namespace's": tags.tag}[whose].key
        for _ in range(3):
            value(1)
            cache.get_or_compute("k", lambda: 1)
        assert valkey.command("SET", stamp, "no stamp", "XX", "KEEPTTL") is not None
        assert valkey.command("APPEND", stamp, ", that is") > 8
        for _ in range(3):
            assert value(1) == 1
    assert computed == [1, 1]


@pytest.mark.keys(".*", permanent=True)
def test_what_another_application_keeps_under_a_stamps_name_is_left_alone_and_told(valkey, namespace, caplog):
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:

        @cache.memoize()
        def value(x):
            return x

        stamp = cache._engine.namespace.tag_of(value.tag).key
        valkey.command("RPUSH", stamp, "theirs")
        assert value(1) == value.refresh(1) == value(1) == 1
    assert valkey.command("LRANGE", stamp, 0, -1) == [b"theirs"]
    assert "Another application keeps something else under this name: choose another namespace" in caplog.text


def test_a_computation_that_raises_is_not_remembered_unless_it_is_asked_for(memoize, run):
    calls = []

    @memoize()
    def fails(x):
        calls.append(x)
        raise LookupError(x)

    for _ in range(3):
        with pytest.raises(LookupError, match="1"):
            run(fails(1))
    assert calls == [1, 1, 1]


def test_a_traceback_leads_to_the_users_line_and_through_one_frame_of_ours(memoize, run, colour):
    import traceback

    def fails(x):
        raise LookupError(x)

    with pytest.raises(LookupError) as caught:
        run(memoize()(fails)(1))
    frames = traceback.extract_tb(caught.value.__traceback__)
    ours = [frame for frame in frames if "afresh" in frame.filename and "corner_cases" not in frame.filename]
    assert frames[-1].name == "fails"
    assert len(ours) == 1
    assert ours[0].filename == "<afresh wrapper of fails>"
