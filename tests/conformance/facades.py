"""A cache of either colour, awaited: what a test of both facades is written against."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from afresh import Cache


class Colourless:
    """A cache or a handle; what its methods return is awaited where it must be, so that every call can be.

    Args:
        subject: of either colour.
    """

    def __init__(self, subject: Any) -> None:
        self.subject = subject

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.subject, name)
        return self._awaited(attribute) if callable(attribute) else attribute

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self._awaited(self.subject)(*args, **kwargs)

    @staticmethod
    def _awaited(call: Callable[..., Any]) -> Callable[..., Any]:
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            got = call(*args, **kwargs)
            return await got if inspect.isawaitable(got) else got

        return awaited


class ColourlessCache(Colourless):
    """A cache of one colour.

    Args:
        cache: the one that gives both.
        colour: ``sync`` or ``async``.
    """

    def __init__(self, cache: Cache, colour: str) -> None:
        super().__init__(cache if colour == "sync" else cache.aio)
        self.cache = cache
        self.colour = colour

    def coloured(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, or a coroutine function that does the same."""
        if self.colour == "sync":
            return function

        @functools.wraps(function)
        async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return coroutine_function

    def memoized(self, function: Callable[..., Any], **options: Any) -> Colourless:
        """Return the handle of a function, which is awaited in either colour."""
        return Colourless(self.subject.memoize(**options)(self.coloured(function)))
