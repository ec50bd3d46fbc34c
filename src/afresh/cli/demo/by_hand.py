"""What one writes with redis-py and without afresh, for comparison; and what the demo itself asks a server for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.retry import Retry

from afresh.stores.replies import refused, unavailable

__all__ = ["cleaned", "connected", "get_or_set", "server_version", "tutorial_factorial"]

_TIMEOUT_S = 5.0
_BATCH = 500


@contextmanager
def connected(shown: str, *, url: str = "", **options: Any) -> Iterator[Redis]:
    """Connect to a server, and turn redis-py's errors into ours.

    Raises:
        StoreError: whatever goes wrong with the server inside.
    """
    options |= {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S, "retry": Retry(NoBackoff(), 0)}
    redis = Redis.from_url(url, **options) if url else Redis(**options)
    try:
        with redis:
            yield redis
    except (ResponseError, AuthenticationError) as error:
        raise refused(str(error)) from error
    except RedisError as error:
        raise unavailable(shown, error) from error


@contextmanager
def cleaned(redis: Redis, namespace: str) -> Iterator[None]:
    """Drop the keys of a namespace, before and after; nobody else's."""
    _clean(redis, namespace)
    try:
        yield
    finally:
        _clean(redis, namespace)


def _clean(redis: Redis, namespace: str) -> None:
    for name in redis.scan_iter(match=f"{namespace}:*", count=_BATCH):
        redis.unlink(name)


def server_version(redis: Redis) -> str:
    """Return the server's name and version."""
    told: dict[str, Any] = redis.info("server")
    return f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {told['redis_version']}"


def tutorial_factorial(redis: Redis, key: str, n: int) -> int:
    """Return n! the tutorial's way: load the whole table, compute what it lacks, store the whole table."""
    table: dict[Any, Any] = redis.hgetall(key) or {b"0": 1, b"max": 0}
    highest = int(table[b"max"])
    if n > highest:
        value = int(table[b"%d" % highest])
        for row in range(highest + 1, n + 1):
            value *= row
            table[b"%d" % row] = str(value)
        table[b"max"] = n
    redis.hset(key, mapping=table)
    return int(table[b"%d" % n])


def get_or_set(redis: Redis, key: str, compute: Callable[[], int]) -> int:
    """Return what is cached, or compute and cache it for a minute: the cache-aside of every tutorial."""
    cached: Any = redis.get(key)
    if cached is not None:
        return int(cached)
    value = compute()
    redis.set(key, value, ex=60)
    return value
