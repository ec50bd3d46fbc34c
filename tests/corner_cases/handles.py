"""Memoized functions that other processes import: to be called there by name, and sent to and fro."""

from __future__ import annotations

import os

from afresh import Cache
from tests.corner_cases.arguments import Tenant

# In a process that a test starts: on the server that the test has started.
URL, NAMESPACE = (os.environ.get(f"AFRESH_CORNER_CASES_{name}") for name in ("URL", "NAMESPACE"))
cache = Cache(URL or "memory://", namespace=NAMESPACE or "t-handles", budget="10s")


@cache.memoize()
def square(x: int, *, by: str = "itself") -> tuple[int, int]:
    """Return a square, and who computed it."""
    return x * x, os.getpid()


@cache.memoize()
async def async_square(x: int, *, by: str = "itself") -> tuple[int, int]:
    """Return a square, and who computed it."""
    return x * x, os.getpid()


@cache.memoize_many()
def squares(numbers: list[int]) -> dict[int, tuple[int, int]]:
    """Return squares, and who computed them."""
    return {x: (x * x, os.getpid()) for x in numbers}


@cache.recurrence(base={0: 1})
def factorial(n: int, previous: int) -> int:
    """Return a factorial."""
    return n * previous


class Account(Tenant):
    @cache.memoize()
    def balance(self, day: int) -> tuple[object, int, int]:
        """Return who, when, and who computed it."""
        return self.name, day, os.getpid()

    @cache.memoize()
    async def async_balance(self, day: int) -> tuple[object, int, int]:
        """Return who, when, and who computed it."""
        return self.name, day, os.getpid()

    @cache.memoize()
    @classmethod
    def kind(cls, day: int) -> tuple[str, int, int]:
        """Return who, when, and who computed it."""
        return cls.__name__, day, os.getpid()

    @cache.memoize()
    @staticmethod
    def unit(day: int) -> tuple[int, int]:
        """Return when, and who computed it."""
        return day, os.getpid()


class Premium(Account):
    """Inherits."""


HANDLES = [square, async_square, squares, factorial]
METHODS = {
    "method": (lambda: Account("a").balance, Account.balance),
    "coroutine method": (lambda: Account("a").async_balance, Account.async_balance),
    "inherited": (lambda: Premium("a").balance, Account.balance),
    "class method": (lambda: Account.kind, None),
    "inherited class method": (lambda: Premium.kind, None),
    "static method": (lambda: Account.unit, None),
}


def call(handle, *args):
    """Call a handle that came from another process."""
    import asyncio
    import inspect

    got = handle(*args)
    return asyncio.run(_awaited(got)) if inspect.isawaitable(got) else got


async def _awaited(something):
    got = await something
    await cache.aio.aclose()
    return got
