"""The cache backend: Django's names and semantics on an engine.

Each operation is one of `afresh.runtime.operations`, driven for threads by the plain methods and for tasks by the ``a`` methods, which
use no threads. Entries carry no stamps, so a get is one GET and a set one script.
"""
# ruff: noqa: ASYNC109 - Django calls the lifetime of an entry `timeout`

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from operator import index
from string import ascii_letters
from typing import Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from afresh.core.policy import Policy, policy_under
from afresh.core.ports import Ports
from afresh.core.reads import Request
from afresh.core.writes import Target
from afresh.django import clearing
from afresh.django.configuration import configure
from afresh.django.engines import shared_by
from afresh.django.requests import READ
from afresh.errors import NotAnInteger
from afresh.facade import MISSING
from afresh.runtime import operations
from afresh.runtime.computing import Tasks, Threads
from afresh.runtime.run_now import run_now

__all__ = ["RedisCache"]

# What nobody waits for is for ever: the server counts its milliseconds in 63 bits.
_LONGEST_MS: Final = 1000 * 365 * 24 * 3600 * 1000


class RedisCache(BaseCache):
    """Django's cache on Redis or Valkey: every method of ``BaseCache``, and the ``a`` ones native to the event loop.

    While the server is away, ``get`` returns the default, ``set`` stores nothing, and each of them returns within its budget; ``incr``
    and ``decr`` raise. ``get_or_set`` computes once at a time for a key, among threads, tasks and processes. ``clear`` and ``close``
    leave other applications' keys, and the connections, alone.

    Attributes:
        engine: what threads' backends with these settings share.

    Args:
        location: LOCATION: a URL as `afresh.Cache` takes it; or a list of one.
        params: the other settings of the cache. ``docs/how-to/django.md`` has the OPTIONS.

    Raises:
        ImproperlyConfiguredCache: for settings that cannot work.
    """

    def __init__(self, location: object, params: dict[str, Any]) -> None:
        super().__init__(params)
        keys = map(self.make_key, ascii_letters)
        self._configuration = configure(location, params.get("OPTIONS") or {}, self.key_prefix, keys)
        self.engine, self._requests, self._near = shared_by(self._configuration)

    # ---- get

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value, a copy of its own, or the default. Cost: 1 round trip; none where the near tier has it."""
        name, near = self.make_and_validate_key(key, version=version), self._near
        if near is not None and (value := near.get(name)) is not MISSING:
            return value
        value = operations.get_now(self.engine, self._requests.of(name), default)
        return value if near is None else near.found(name, value, default)

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """See `get`."""
        name, near = self.make_and_validate_key(key, version=version), self._near
        if near is not None and (value := near.get(name)) is not MISSING:
            return value
        value = await operations.get_soon(self.engine, self._requests.of(name), default)
        return value if near is None else near.found(name, value, default)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """Return those values that there are, by key. Cost: 1 round trip in all."""
        return run_now(self._get_many(self.engine.sync_ports(), keys, version))

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        """See `get_many`."""
        return await self._get_many(self.engine.async_ports(), keys, version)

    async def _get_many(self, ports: Ports, keys: Iterable[Any], version: int | None) -> dict[Any, Any]:
        names = {key: self.make_and_validate_key(key, version=version) for key in keys}
        if not names:
            return {}
        found = await operations.get_many(ports, self._requests.alike(tuple(names.values())), self._missing_key)
        return {key: value for key, value in zip(names, found, strict=True) if value is not self._missing_key}

    # ---- set

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value, and let a compute under way for the key store nothing over it. Cost: 1 round trip.

        Raises:
            Exception: whatever pickling raises; nothing is changed then.
        """
        operations.put_now(self.engine, self._request(key, version, timeout), value)

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """See `set`."""
        await operations.put(self.engine.async_ports(), self._request(key, version, timeout), value)

    def set_many(self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        """Store several values. Return the keys that may not have been stored: all of them, or none. Cost: 1 round trip in all."""
        return run_now(self._set_many(self.engine.sync_ports(), data, timeout, version))

    async def aset_many(self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        """See `set_many`."""
        return await self._set_many(self.engine.async_ports(), data, timeout, version)

    async def _set_many(self, ports: Ports, data: Mapping[Any, Any], timeout: Any, version: int | None) -> list[Any]:
        if not data:
            return []
        names, policy = tuple([self.make_and_validate_key(key, version=version) for key in data]), self._policy(timeout)
        stored = await operations.put_many(ports, self._requests.puts(names, tuple(data.values()), policy))
        return [] if stored or policy.ttl_ms == 0 else list(data)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value if there is none: True for exactly one of several callers. Cost: 1 round trip; 2 where there is one."""
        return run_now(operations.add(self.engine.sync_ports(), self._request(key, version, timeout), value))

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """See `add`."""
        return await operations.add(self.engine.async_ports(), self._request(key, version, timeout), value)

    def get_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> Any:
        """Return the value; if there is none, that of `default`, which is called if it can be, and stored.

        One caller at a time computes, of all threads and processes; the others wait for its value. What was being computed when the
        key was set, deleted or cleared is returned to its caller and not stored.

        Cost: 1 round trip for a hit, 3 for a miss.
        """
        return Threads(self.engine).compute(self._request(key, version, timeout), _computing(default))

    async def aget_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> Any:
        """See `get_or_set`. `default` may be a coroutine function."""
        return await Tasks(self.engine).compute(self._request(key, version, timeout), _computing(default))

    # ---- change

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a number of any size and return the sum. Its lifetime stays. Cost: 1 round trip; 2 beyond 15 digits.

        Raises:
            ValueError: if there is none.
            TypeError: if something else than an integer is stored, or given.
            StoreError: if the server failed: the number may or may not have changed.
        """
        return run_now(self._incr(self.engine.sync_ports(), key, delta, version))

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """See `incr`."""
        return await self._incr(self.engine.async_ports(), key, delta, version)

    async def _incr(self, ports: Ports, key: Any, delta: int, version: int | None) -> int:
        request = self._request(key, version)
        try:
            total = await operations.incr(ports, request, index(delta), create=False)
        except NotAnInteger as error:
            raise TypeError(str(error)) from error
        if total is None:
            raise ValueError(f"Key {request.names.value!r} not found")
        return total

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give an entry a new lifetime from now on. False if there is none. Cost: 1 round trip."""
        return run_now(operations.touch(self.engine.sync_ports(), self._request(key, version, timeout)))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """See `touch`."""
        return await operations.touch(self.engine.async_ports(), self._request(key, version, timeout))

    # ---- delete

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Drop an entry, and say whether there was one. What is being computed for the key is not stored. Cost: 1 round trip."""
        return bool(run_now(self._delete(self.engine.sync_ports(), [key], version)))

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        """See `delete`."""
        return bool(await self._delete(self.engine.async_ports(), [key], version))

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """Drop several entries. Cost: 1 round trip in all."""
        run_now(self._delete(self.engine.sync_ports(), keys, version))

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        """See `delete_many`."""
        await self._delete(self.engine.async_ports(), keys, version)

    async def _delete(self, ports: Ports, keys: Iterable[Any], version: int | None) -> int | None:
        return await operations.drop(ports, [Target(self._request(key, version).names, None) for key in keys])

    def clear(self) -> bool:  # type: ignore[override]  # Django's own Redis backend tells, too
        """Drop this cache's entries, of all versions, and no other application's keys. False if the server failed: call it again.

        What was being computed is not stored; what is stored meanwhile may stay.

        Cost: see `afresh.django.clearing.clear`: it grows with the number of keys on the server.

        Raises:
            ImproperlyConfiguredCache: if KEY_FUNCTION makes keys that cannot be told from others'.
        """
        return run_now(clearing.clear(self.engine.sync_ports(), self._extent(), self._configuration.namespace))

    async def aclear(self) -> bool:  # type: ignore[override]  # as `clear`
        """See `clear`."""
        return await clearing.clear(self.engine.async_ports(), self._extent(), self._configuration.namespace)

    # ---- after a request

    def close(self, **kwargs: Any) -> None:
        """Keep the connections: Django calls this at the end of each request. `get_cache().close()` closes them."""

    async def aclose(self, **kwargs: Any) -> None:
        """See `close`."""

    # ---- settings as requests

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Return a timeout in seconds, 0 for what is not to be stored; None for ever."""
        if timeout == DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return None if timeout is None else max(0, timeout)

    def _request(self, key: Any, version: int | None, timeout: Any = None) -> Request:
        return self._requests.of(self.make_and_validate_key(key, version=version), self._policy(timeout))

    def _policy(self, timeout: Any) -> Policy:
        return READ if timeout is None else policy_under(_ttl_ms(self.get_backend_timeout(timeout)))

    def _extent(self) -> clearing.Extent:
        return clearing.extent_of(self.make_key, self.version)


def _ttl_ms(timeout_s: float | None) -> int | None:
    return None if timeout_s is None or timeout_s * 1000 > _LONGEST_MS else math.ceil(round(timeout_s * 1000, 6))


def _computing(default: Any) -> Callable[[], Any]:
    return default if callable(default) else lambda: default
