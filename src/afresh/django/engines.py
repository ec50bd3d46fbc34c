"""One engine for a process and a configuration: Django makes a backend object for each thread, and all of them share it."""

from __future__ import annotations

from typing import Any, Final

from django.core.signals import setting_changed

from afresh.codec.values import Codecs
from afresh.core.keys import Namespace
from afresh.django.configuration import Configuration
from afresh.runtime.background import after_each
from afresh.runtime.engine import Engine

__all__ = ["engine_for"]

_ENGINES: Final[dict[Configuration, Engine]] = {}


def engine_for(configuration: Configuration) -> Engine:
    """Return the engine of this configuration. It lives as long as the process: Django closes caches after each request."""
    engine = _ENGINES.get(configuration)
    if engine is None:
        # Making an engine opens nothing, so one that loses the race to be kept needs no closing.
        namespace = Namespace(configuration.namespace)
        made = Engine(configuration.url, namespace=namespace, codecs=Codecs(), budget_s=configuration.budget_s, has_stamps=False)
        engine = _ENGINES.setdefault(configuration, made)
    return engine


def _close_all(*, setting: str, **_: Any) -> None:
    """Let tests that override CACHES begin with nothing open, and leave nothing open."""
    if setting == "CACHES":
        while _ENGINES:
            _ENGINES.popitem()[1].close()


def _close_connections() -> None:
    """Close the database connections that a computation behind its caller has opened in its thread: no request's end does."""
    from django.conf import settings
    from django.db import connections  # who names this backend in settings need not use a database

    if settings.configured:  # who imports this need not run Django
        connections.close_all()


setting_changed.connect(_close_all, dispatch_uid="afresh.django.engines")
after_each(_close_connections)
