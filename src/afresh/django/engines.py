"""One engine for a process and a configuration: Django makes a backend object for each thread or task, and all of them share it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from django.core.signals import setting_changed

from afresh.codec.values import Codecs
from afresh.core.keys import Namespace
from afresh.django.configuration import Configuration
from afresh.django.requests import OWNER, Requests
from afresh.facade import NearKeys
from afresh.runtime.background import after_each
from afresh.runtime.engine import Engine

__all__ = ["Shared", "shared_by"]


class Shared(NamedTuple):
    """What all backends of a configuration share.

    Attributes:
        near: finds what the near tier has; None where there is none.
    """

    engine: Engine
    requests: Requests
    near: NearKeys | None


_SHARED: Final[dict[Configuration, Shared]] = {}


def shared_by(configuration: Configuration) -> Shared:
    """Return what this configuration's backends share. It lives as long as the process: Django closes caches after each request."""
    # Making an engine opens nothing, so one that loses the race to be kept needs no closing.
    return _SHARED.get(configuration) or _SHARED.setdefault(configuration, _made(configuration))


def _made(configuration: Configuration) -> Shared:
    engine = Engine(
        configuration.url,
        namespace=Namespace(configuration.namespace),
        codecs=Codecs(),
        budget_s=configuration.budget_s,
        near=configuration.near,
        has_stamps=False,
        outside=configuration.near_head,
    )
    requests = Requests(configuration)
    return Shared(engine, requests, NearKeys(engine, requests.values, OWNER, requests.of) if configuration.near is not None else None)


def _close_all(*, setting: str, **_: Any) -> None:
    """Let tests that override CACHES begin with nothing open, and leave nothing open."""
    if setting == "CACHES":
        while _SHARED:
            _SHARED.popitem()[1].engine.close()


def _close_connections() -> None:
    """Close the database connections that a computation behind its caller has opened in its thread: no request's end does."""
    from django.conf import settings
    from django.db import connections  # who names this backend in settings need not use a database

    if settings.configured:  # who imports this need not run Django
        connections.close_all()


setting_changed.connect(_close_all, dispatch_uid="afresh.django.engines")
after_each(_close_connections)
