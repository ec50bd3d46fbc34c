"""What others offer for the same work, where it is installed: ``pip install --group bench``. What is absent is left out."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks import Run

__all__ = ["Peer", "clients", "inside_the_process", "memoized"]

_TTL_S = 300


class Peer(NamedTuple):
    """A way to keep values on a server."""

    get: Callable[[], Any]
    set: Callable[[], object]


def clients(run: Run, value: object, packed: bytes) -> dict[str, Peer]:
    """Return those that are installed, each with the value stored under a key of its own."""
    found: dict[str, Peer] = {}
    for name, make in _CLIENTS.items():
        try:
            found[name] = make(run, value, packed)
        except ImportError as absent:
            logging.getLogger(__name__).info("%s is left out: %s", name, absent)
    for peer in found.values():
        peer.set()
        if peer.get() != value:
            raise AssertionError(peer)
    return found


def memoized(run: Run, value: object) -> Mapping[str, Callable[[], Any]]:
    """Return functions that are memoized on the server by others."""
    try:
        region = _dogpile(run)
    except ImportError:
        return {}

    @region.cache_on_arguments()  # type: ignore[untyped-decorator]  # dogpile.cache may be absent
    def profile(user_id: int) -> object:
        return value if user_id else None

    profile(7)
    return {"dogpile.cache": lambda: profile(7)}


def inside_the_process(function: Callable[[int], int]) -> dict[str, Callable[[int], int]]:
    """Return a function that is memoized in the process by others, with a ttl and without coherence."""
    found: dict[str, Callable[[int], int]] = {}
    for package in ("cachebox", "cachetools"):
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue
        found[package] = module.cached(module.TTLCache(1000, _TTL_S))(function)
    return found


def _by_hand(package: str) -> Callable[[Run, object, bytes], Peer]:
    def make(run: Run, value: object, packed: bytes) -> Peer:
        import ormsgpack

        module = importlib.import_module(package)
        client = (module.Redis if package == "redis" else module.Valkey).from_url(run.url.replace("redis:", f"{package}:"))
        key = f"{package}-by-hand"
        assert ormsgpack.unpackb(packed) == value
        return Peer(lambda: ormsgpack.unpackb(client.get(key)), lambda: client.set(key, ormsgpack.packb(value), px=_TTL_S * 1000))

    return make


def _django(backend: str) -> Callable[[Run, object, bytes], Peer]:
    def make(run: Run, value: object, _: bytes) -> Peer:
        from django.conf import settings

        if not settings.configured:
            settings.configure()
        package, name = backend.rsplit(".", 1)
        made = getattr(importlib.import_module(package), name)(
            run.url.replace("redis:", "valkey:" if "valkey" in backend else "redis:"), {}
        )
        return Peer(lambda: made.get("key"), lambda: made.set("key", value, _TTL_S))

    return make


def _dogpile(run: Run) -> Any:
    region = importlib.import_module("dogpile.cache").make_region()
    return region.configure("dogpile.cache.redis", expiration_time=_TTL_S, arguments={"url": run.url, "redis_expiration_time": _TTL_S})


def _of_dogpile(run: Run, value: object, _: bytes) -> Peer:
    region = _dogpile(run)
    return Peer(lambda: region.get("key"), lambda: region.set("key", value))


_CLIENTS: Mapping[str, Callable[[Run, object, bytes], Peer]] = {
    "redis-py by hand": _by_hand("redis"),
    "valkey-py by hand": _by_hand("valkey"),
    "Django's own backend": _django("django.core.cache.backends.redis.RedisCache"),
    "django-redis": _django("django_redis.cache.RedisCache"),
    "django-valkey": _django("django_valkey.cache.ValkeyCache"),
    "dogpile.cache": _of_dogpile,
}
