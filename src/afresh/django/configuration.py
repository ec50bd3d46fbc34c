"""What stands in ``CACHES`` for a cache: LOCATION, OPTIONS and KEY_PREFIX become a URL, a budget and a namespace, checked at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import blake2b
from os.path import commonprefix
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from django.core.cache.backends.base import InvalidCacheBackendError

from afresh.core.keys import Namespace, watched
from afresh.core.units import duration_ms
from afresh.errors import ConfigurationError
from afresh.near.options import Near
from afresh.stores.address import Address, parse_url

__all__ = ["OPTIONS", "Configuration", "ImproperlyConfiguredCache", "configure"]

_BUDGET_S: Final = 0.25
_NO_PREFIX: Final = "django"
_CLIENT_CLASS: Final = "django_redis.client.DefaultClient"


class ImproperlyConfiguredCache(ConfigurationError, InvalidCacheBackendError):
    """Raised for a setting in ``CACHES`` that cannot work: afresh's error and Django's ``ImproperlyConfigured`` in one."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What caches must have in common to share connections.

    Attributes:
        url: of the server, with its password.
        budget_s: how long the server may take to answer.
        namespace: of leases, and of what `afresh.django.get_cache` stores.
        near: what may be kept inside the process; None for nothing.
        near_head: what keys begin with that may be; nothing for all of them.
    """

    url: str = field(repr=False)
    budget_s: float
    namespace: str
    near: Near | None = None
    near_head: str = ""


def configure(location: object, options: Mapping[str, Any], key_prefix: object, keys: Iterable[str] = ()) -> Configuration:
    """Return what the settings say.

    Args:
        location: LOCATION: a URL, or a list of one.
        options: OPTIONS: see `OPTIONS`.
        key_prefix: KEY_PREFIX.
        keys: some of those that KEY_FUNCTION makes in the default version, of names that differ in their first character.

    Raises:
        ImproperlyConfiguredCache: naming the setting and what to write instead.
    """
    given = _checked(options)
    try:
        url = _only(location)
        url = _with_credentials(url, parse_url(url), given)
    except ImproperlyConfiguredCache:
        raise
    except ConfigurationError as error:
        raise ImproperlyConfiguredCache(f"LOCATION of a cache: {error}") from None
    timeouts = [given[name] for name in ("SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT") if name in given]
    budget_s, namespace, near = min(timeouts, default=_BUDGET_S), _namespace(str(key_prefix)), given.get("NEAR")
    return Configuration(url, budget_s, namespace, near, _near_head(namespace, keys) if near is not None else "")


# --- LOCATION ------------------------------------------------------------------------------------------------------
def _only(location: object) -> str:
    """Return the one URL; Django's own backend takes several, the first to write to."""
    servers: Iterable[object] = re.split("[;,]", location) if isinstance(location, str) else location  # type: ignore[assignment]
    if not isinstance(servers, (list, tuple)) or not all(isinstance(server, str) for server in servers):
        raise ImproperlyConfiguredCache(f"LOCATION of a cache is a URL such as redis://localhost:6379/0, not {type(location).__name__}.")
    urls: list[str] = [server.strip() for server in servers if server.strip()]
    if not urls:
        raise ImproperlyConfiguredCache("LOCATION of a cache is missing: name the server, as in redis://localhost:6379/0 or embedded://.")
    if len(urls) > 1:
        raise ImproperlyConfiguredCache(
            f"LOCATION of a cache names {len(urls)} servers. Replicas are not available in this version: name the primary alone. "
            f"(A comma or semicolon inside a URL is written %2C or %3B.)"
        )
    return urls[0]


def _with_credentials(url: str, address: Address, given: Mapping[str, Any]) -> str:
    for name, held in (("PASSWORD", "password"), ("DB", "db")):
        if name not in given:
            continue
        if address.scheme not in {"redis", "rediss", "unix"}:
            raise ImproperlyConfiguredCache(
                f"OPTIONS[{name!r}] is for redis://, rediss:// and unix://: {address.scheme}:// has no such thing."
            )
        if held in address.options:
            raise ImproperlyConfiguredCache(f"OPTIONS[{name!r}] and LOCATION both name it: keep one of them.")
    if "PASSWORD" in given:
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        user, _, host = authority.rpartition("@")
        url = f"{scheme}://{user.rstrip(':')}:{quote(given['PASSWORD'], safe='')}@{host}{slash}{path}"
    if "DB" in given:
        url += f"{'&' if '?' in url else '?'}db={given['DB']}"
    return url


# --- OPTIONS -------------------------------------------------------------------------------------------------------
def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options by their names in the table; those set to None are as if not given."""
    given: dict[str, Any] = {}
    for name, value in options.items():
        # Django's own backend has them in lower case, django-redis in upper case.
        known = str(name).upper()
        if known not in OPTIONS:
            nearest = get_close_matches(known, OPTIONS, 1)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise ImproperlyConfiguredCache(f"unknown option {name!r} in OPTIONS of a cache.{hint} There are: {', '.join(OPTIONS)}.")
        if value is not None:
            given[known] = OPTIONS[known](known, value)
    return given


def _client_class(name: str, value: object) -> object:
    if value != _CLIENT_CLASS:
        raise ImproperlyConfiguredCache(
            f"OPTIONS[{name!r}] is {value!r}: afresh has one client of its own. Leave the option out; {_CLIENT_CLASS!r} is accepted, "
            f"so that settings written for django-redis work."
        )
    return value


def _password(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ImproperlyConfiguredCache(
            f"OPTIONS[{name!r}] is not a text of at least one character: leave it out where there is no password."
        )
    return value


def _database(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).isdecimal():
        raise ImproperlyConfiguredCache(f"OPTIONS[{name!r}] is {value!r}: a database is a number from 0 up.")
    return int(value)


def _seconds(name: str, value: object) -> float:
    try:
        duration = duration_ms(value, what=f"OPTIONS[{name!r}]")
    except ConfigurationError as error:
        raise ImproperlyConfiguredCache(str(error)) from None
    if not duration:
        raise ImproperlyConfiguredCache(f"OPTIONS[{name!r}] is {value!r}: it is how long the server may take to answer, so more than 0.")
    return duration / 1000


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ImproperlyConfiguredCache(f"OPTIONS[{name!r}] is {value!r}: write True or False, or leave it out.")
    return value


def _near(name: str, value: object) -> Near:
    if not isinstance(value, Near):
        raise ImproperlyConfiguredCache(f"OPTIONS[{name!r}] is {value!r}: write afresh.Near(max_stale='2s'), or leave it out.")
    return value


# What OPTIONS may hold, and what checks it. docs/how-to/django.md says what each does.
OPTIONS: Final[Mapping[str, Callable[[str, object], Any]]] = MappingProxyType(
    {
        "CLIENT_CLASS": _client_class,
        "PASSWORD": _password,
        "DB": _database,
        "SOCKET_TIMEOUT": _seconds,
        "SOCKET_CONNECT_TIMEOUT": _seconds,
        "IGNORE_EXCEPTIONS": _flag,
        "NEAR": _near,
    }
)


# --- KEY_FUNCTION --------------------------------------------------------------------------------------------------
def _near_head(namespace: str, keys: Iterable[str]) -> str:
    """Return what all keys begin with, for the server to push their changes. It takes no prefix twice, nor one within another."""
    head = commonprefix([*keys])  # noqa: RUF071  no paths
    if not head or any(each.startswith(head) or head.startswith(each) for each in watched(Namespace(namespace)).prefixes):
        raise ImproperlyConfiguredCache(
            f"OPTIONS['NEAR'] needs keys that begin with a fixed text, and this cache's begin with {head!r}: leave KEY_FUNCTION out, or "
            f"have it begin with KEY_PREFIX and the version."
        )
    return head


# --- KEY_PREFIX ----------------------------------------------------------------------------------------------------
def _namespace(key_prefix: str) -> str:
    """Return the prefix where it can be a namespace, else a name made from it."""
    if not key_prefix:
        return _NO_PREFIX
    try:
        return Namespace(key_prefix).name
    except ConfigurationError:
        return f"{_NO_PREFIX}-{blake2b(key_prefix.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
