"""Whoever knows `Cache` knows `cache.aio`: the same methods, with the same parameters, defaults and types."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_overloads

import pytest

from afresh import AsyncCache, Cache

# What only one of the two can have, and what their colour renames.
OF_CACHE = {"aio", "recurrence"}
OF_ASYNC = {"aclose": "close"}
# No I/O: plain methods on both.
PLAIN = {"bypass", "lock", "memoize", "memoize_many", "pending", "stats", "writing"}


def methods(facade: type) -> dict[str, Callable[..., Any]]:
    return {name: getattr(facade, name) for name in dir(facade) if not name.startswith("_")}


SYNC, ASYNC = methods(Cache), {OF_ASYNC.get(name, name): method for name, method in methods(AsyncCache).items()}


def test_both_have_the_same_methods() -> None:
    assert ASYNC.keys() == SYNC.keys() - OF_CACHE


@pytest.mark.parametrize("name", sorted(SYNC.keys() - OF_CACHE))
def test_a_method_has_the_same_signature_on_both(name: str) -> None:
    assert shape(ASYNC[name]) == shape(SYNC[name])


@pytest.mark.parametrize("name", sorted(SYNC.keys() - OF_CACHE - {"get_or_compute"}))
def test_a_method_has_the_same_types_on_both(name: str) -> None:
    assert types(ASYNC[name]) == types(SYNC[name])


def test_get_or_compute_takes_coroutine_functions_on_the_asynchronous_one_only() -> None:
    returning, plain = types(ASYNC["get_or_compute"])

    assert plain == types(SYNC["get_or_compute"])[0]
    assert returning == plain | {"compute": "Callable[[], Awaitable[R]]"}


@pytest.mark.parametrize("name", sorted(ASYNC))
def test_what_does_io_is_awaited_on_the_asynchronous_one(name: str) -> None:
    assert not inspect.iscoroutinefunction(SYNC.get(name))
    assert inspect.iscoroutinefunction(ASYNC[name]) == (name not in PLAIN)


def shape(method: Callable[..., Any]) -> list[tuple[str, object, object]]:
    """Return each parameter's name, kind and default."""
    return [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]


def types(method: Callable[..., Any]) -> list[dict[str, str]]:
    """Return the annotations as they are written, of each overload, without what a colour adds to a context manager."""
    variants = get_overloads(inspect.unwrap(method)) or [inspect.unwrap(method)]
    return [{name: re.sub("AbstractAsync", "Abstract", text) for name, text in one.__annotations__.items()} for one in variants]
