"""The ``Cache`` behind an alias of ``CACHES``."""

from __future__ import annotations

from functools import partial

from django.core.cache import DEFAULT_CACHE_ALIAS, caches

from afresh.cache import Cache
from afresh.core.units import MAX_TTL_MS
from afresh.django.backend import RedisCache
from afresh.django.configuration import ImproperlyConfiguredCache
from afresh.facade import Defaults

__all__ = ["get_cache"]


def get_cache(alias: str = DEFAULT_CACHE_ALIAS) -> Cache:
    """Return the ``Cache`` behind an alias: ``@get_cache().memoize()`` and all the rest, on the same connections.

    Its namespace is the alias's KEY_PREFIX (``django`` without one), its default ttl the alias's TIMEOUT, at most 30 days.

    Args:
        alias: of a cache whose BACKEND is ``afresh.django.RedisCache``.

    Raises:
        ImproperlyConfiguredCache: if its BACKEND is another one.
        InvalidCacheBackendError: if there is no such alias.

    Cost: no I/O.
    """
    backend = caches[alias]
    if not isinstance(backend, RedisCache):
        raise ImproperlyConfiguredCache(
            f"CACHES[{alias!r}] has the BACKEND {type(backend).__module__}.{type(backend).__qualname__}: set it to "
            f"'afresh.django.RedisCache', or name the alias of a cache that has it."
        )
    timeout_s = backend.get_backend_timeout()
    ttl_ms = MAX_TTL_MS if timeout_s is None else min(int(timeout_s * 1000), MAX_TTL_MS)
    backend.engine.stores.peer.namespace = backend.engine.namespace  # what is kept here carries its stamp
    again = partial(get_cache, alias)
    return Cache._on(backend.engine, Defaults(ttl_ms, stale_ttl_ms=0), again)  # noqa: SLF001  it is there for integrations
