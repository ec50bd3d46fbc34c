"""What others offer for the same work, to threads. Who is not installed is left out: ``pip install --group bench``."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from benchmarks import Run
from benchmarks._django import backends

__all__ = ["TTL_S", "Peer", "client_side", "clients", "dogpile_region", "inside_the_process", "installed", "memoized"]

TTL_S = 300
P = TypeVar("P")


class Peer(NamedTuple):
    """A way to keep values on a server.

    Attributes:
        get: reads a key of its own.
        set: stores what is read, with a ttl.
    """

    get: Callable[[], Any]
    set: Callable[[], object]


def installed(makers: Mapping[str, Callable[..., P]], *arguments: object) -> dict[str, P]:
    """Return what the makers of those that are installed make of the arguments."""
    found: dict[str, P] = {}
    for name, make in makers.items():
        try:
            found[name] = make(*arguments)
        except ImportError:
            continue
    return found


def clients(run: Run, value: object, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]) -> dict[str, Peer]:
    """Return ways to keep a value, each of which has stored it. Clients by hand use the given encoding, libraries their own."""
    by_hand = {f"{package}-py by hand": functools.partial(_by_hand, package) for package in ("redis", "valkey")}
    found = installed(by_hand, run, value, dumps, loads)
    for name, backend in backends(run).items():
        found[name] = Peer(functools.partial(backend.get, "key"), functools.partial(backend.set, "key", value, TTL_S))
    found |= installed({"dogpile.cache": _of_dogpile}, run, value)
    for peer in found.values():
        peer.set()
    return found


def memoized(run: Run, function: Callable[[int], object]) -> dict[str, Callable[[], Any]]:
    """Return calls of that function, memoized on the server by others."""
    return {name: functools.partial(made, 7) for name, made in installed(_MEMOIZED, run, function).items()}


def inside_the_process(function: Callable[[int], int]) -> dict[str, Callable[[int], int]]:
    """Return a function that is memoized in the process by others, with a ttl and without coherence."""

    def make(package: str) -> Callable[[int], int]:
        module = importlib.import_module(package)
        locked = {"lock": importlib.import_module("threading").Lock()} if package == "cachetools" else {}
        made: Callable[[int], int] = module.cached(module.TTLCache(1000, TTL_S), **locked)(function)
        return made

    return installed({package: functools.partial(make, package) for package in ("cachebox", "cachetools")})


def client_side(run: Run) -> Callable[[], object]:
    """Return a read of valkey-py's that the process answers, coherent by the server's tracking of keys."""
    package = importlib.import_module("valkey")
    config = importlib.import_module("valkey.cache").CacheConfig()
    client = package.from_url(run.url.replace("redis:", "valkey:"), protocol=3, cache_config=config)
    client.set("tracked", 1)
    return lambda: int(client.get("tracked"))


def _by_hand(package: str, run: Run, value: object, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]) -> Peer:
    client = importlib.import_module(package).from_url(run.url.replace("redis:", f"{package}:"))
    key = f"{package}-by-hand"
    return Peer(lambda: loads(client.get(key)), lambda: client.set(key, dumps(value), px=TTL_S * 1000))


def dogpile_region(run: Run) -> Any:
    """Return dogpile's, with a ttl."""
    region = importlib.import_module("dogpile.cache").make_region()
    return region.configure("dogpile.cache.redis", expiration_time=TTL_S, arguments={"url": run.url, "redis_expiration_time": TTL_S})


def _of_dogpile(run: Run, value: object) -> Peer:
    region = dogpile_region(run)
    return Peer(lambda: region.get("key"), lambda: region.set("key", value))


def _memoized_by_dogpile(run: Run, function: Callable[[int], object]) -> Callable[[int], object]:
    made: Callable[[int], object] = dogpile_region(run).cache_on_arguments()(function)
    return made


def _memoized_by_flask(run: Run, function: Callable[[int], object]) -> Callable[[int], object]:
    flask, caching = importlib.import_module("flask"), importlib.import_module("flask_caching")
    app = flask.Flask(__name__)
    cache = caching.Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": run.url, "CACHE_DEFAULT_TIMEOUT": TTL_S})
    app.app_context().push()
    made: Callable[[int], object] = cache.memoize()(function)
    return made


def _memoized_by_cachier(run: Run, function: Callable[[int], object]) -> Callable[[int], object]:
    cachier, redis = importlib.import_module("cachier"), importlib.import_module("redis")
    made: Callable[[int], object] = cachier.cachier(backend="redis", redis_client=redis.Redis.from_url(run.url))(function)
    return made


_MEMOIZED = {"dogpile.cache": _memoized_by_dogpile, "Flask-Caching": _memoized_by_flask, "cachier": _memoized_by_cachier}
