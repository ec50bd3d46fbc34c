"""Each corner case runs six times: in both colours of code; on memory, on a real server, and on that with a near tier.

A test is written once, for plain functions: ``memoize(...)`` decorates the function, or a coroutine function that does the same, and
``run(...)`` returns what a call returns, awaited where it must be.
"""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest

from afresh import Cache, Near
from tests.support.near import near_is_trusted


@pytest.fixture(params=["memory", "valkey", "near"])
def tiers(request):
    return request.param


@pytest.fixture
def url(request, tiers):
    return "memory://" if tiers == "memory" else request.getfixturevalue("valkey").url


@pytest.fixture
def cache(url, tiers, namespace):
    near = Near(max_stale="1h") if tiers == "near" else None
    with Cache(url, namespace=namespace, budget="10s", near=near) as cache:  # the machine may be busy
        yield cache if near is None else near_is_trusted(cache)


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture
def loop():
    """An event loop that is there for the whole test, as an application's is."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def coloured(colour):
    """Return the function itself, or a coroutine function that does the same."""
    return as_coroutine_function if colour == "async" else lambda function: function


@pytest.fixture
def memoize(cache, coloured):
    return lambda **options: lambda function: cache.memoize(**options)(coloured(function))


@pytest.fixture
def run(loop):
    """Return what was returned, awaited where that is needed."""
    return lambda got: loop.run(_await(got)) if inspect.isawaitable(got) else got


def as_coroutine_function(function):
    @functools.wraps(function)
    async def coroutine_function(*args, **kwargs):
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return coroutine_function


async def _await(something):
    return await something
