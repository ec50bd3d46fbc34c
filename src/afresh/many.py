"""Functions that compute many values in one call: what `memoize_many` returns. Types only; this version does not run them yet."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from afresh.core.keys import Key
from afresh.core.results import Receipt

__all__ = ["AsyncMany", "Many", "MemoizeMany"]

P = ParamSpec("P")
K = TypeVar("K")
V = TypeVar("V")


class Many(Protocol[K, V, P]):
    """A memoized function from a list of ids to a mapping of their values. Its further arguments hold for all of them."""

    def __call__(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> dict[K, V]:
        """Return the values of these ids. Those that are not stored are computed, all in one call."""
        ...

    def key(self, of_id: K, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """Return the key of one id's value, for `Cache.invalidate` and `Cache.get`. No I/O."""
        ...

    def put(self, values: Mapping[K, V], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Store values by their ids."""
        ...

    def invalidate(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """Forget the values of these ids."""
        ...

    def invalidate_all(self) -> Receipt:
        """Forget the values of all ids."""
        ...


class AsyncMany(Protocol[K, V, P]):
    """The same for a coroutine function. See `Many`."""

    async def __call__(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> dict[K, V]:
        """See `Many.__call__`."""
        ...

    def key(self, of_id: K, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """See `Many.key`."""
        ...

    async def put(self, values: Mapping[K, V], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """See `Many.put`."""
        ...

    async def invalidate(self, ids: Iterable[K], /, *args: P.args, **kwargs: P.kwargs) -> Receipt:
        """See `Many.invalidate`."""
        ...

    async def invalidate_all(self) -> Receipt:
        """See `Many.invalidate_all`."""
        ...


class MemoizeMany(Protocol):
    """The decorator that `memoize_many(...)` returns: it follows the function's colour."""

    @overload
    def __call__(self, fn: Callable[Concatenate[list[K], P], Coroutine[Any, Any, Mapping[K, V]]], /) -> AsyncMany[K, V, P]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[list[K], P], Mapping[K, V]], /) -> Many[K, V, P]: ...
