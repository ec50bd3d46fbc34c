"""Where the demo runs: a private server that is gone afterwards, or the user's own, where it leaves nothing."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import quote

from afresh.cache import Cache
from afresh.errors import ConfigurationError
from afresh.stores.address import parse_url

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["NAMESPACE", "Place", "open_cache", "open_place"]

# What every key of the demo begins with, and then a colon.
NAMESPACE = "afresh-demo"


@dataclass(frozen=True, slots=True)
class Place:
    """A server to measure on.

    Attributes:
        url: for caches, in this process and in others. May hold a password.
        shown: the same, fit to be shown.
        redis: redis-py's client, for what is done by hand.
        versions: of everything that matters.
    """

    url: str = field(repr=False)
    shown: str
    redis: Redis
    versions: Mapping[str, str]


def open_cache(url: str) -> Cache:
    """Return the demo's cache. Its budget is for machines that are busy with something else: a row shall not measure time-outs."""
    return Cache(url, namespace=NAMESPACE, budget="2s")


@contextmanager
def open_place(url: str | None) -> Iterator[Place]:
    """Open a server; None is a private one.

    Raises:
        AfreshError: if there is none; the message says what to do.
    """
    from afresh.cli.demo import by_hand  # redis loads when there is something to do

    address = parse_url(url or "embedded://")
    if address.scheme == "memory":
        raise ConfigurationError("the demo shares its cache with other processes, and memory:// is inside one: name a server, or none.")
    if address.scheme != "embedded":
        assert url is not None
        with by_hand.connected(address.shown, url=url) as redis, by_hand.cleaned(redis, NAMESPACE):
            yield _place(url, address.shown, redis, by_hand.server_version(redis))
        return
    from afresh.stores.embedded import attach  # for this scheme only

    attachment = attach(address.path)
    try:
        with by_hand.connected(address.shown, unix_socket_path=attachment.socket_path) as redis, by_hand.cleaned(redis, NAMESPACE):
            private = f"embedded://{quote(str(attachment.directory))}"
            yield _place(private, "a private server", redis, by_hand.server_version(redis))
    finally:
        attachment.release()


def _place(url: str, shown: str, redis: Redis, server: str) -> Place:
    versions = {"afresh": version("afresh"), "server": server, "python": platform.python_version(), "redis-py": version("redis")}
    return Place(url, shown, redis, versions)
