"""Fixtures for the tests of the backend: a project, caches on a server, and both ways to call them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import django
import pytest
from django.conf import global_settings, settings as configured
from django.core.cache import caches
from django.test import override_settings

from tests.django_project import settings
from tests.support.servers import Server

BACKEND = "afresh.django.RedisCache"
PATIENT = {"SOCKET_TIMEOUT": 10}  # the machine may be busy

UseCaches = Callable[..., Any]


def set_up_project() -> None:
    """Configure Django with the project's settings, unless it is: a process does so once, whichever test comes first."""
    if not configured.configured:
        configured.configure(global_settings, **{name: value for name, value in vars(settings).items() if name.isupper()})
        django.setup()


@pytest.fixture(scope="session")
def _project() -> None:
    set_up_project()


@pytest.fixture
def use_caches(_project: None) -> Iterator[UseCaches]:
    """Set CACHES for the test: ``use_caches(default={…}, other={…})``; gives the default one. BACKEND is ours, and patient."""
    with ExitStack() as until_the_end:

        def use(**aliases: dict[str, Any]) -> Any:
            settings = {
                alias: {"BACKEND": BACKEND, **params, "OPTIONS": PATIENT | params.get("OPTIONS", {})} for alias, params in aliases.items()
            }
            until_the_end.enter_context(override_settings(CACHES=settings))
            return caches["default"]

        yield use


@pytest.fixture
def cache(use_caches: UseCaches, server: Server, namespace: str) -> Any:
    """The default cache, on each server in turn; its prefix is the test's namespace."""
    return use_caches(default={"LOCATION": server.url, "KEY_PREFIX": namespace})


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Call a cache's method by name: the plain one, or the ``a`` one on an event loop of the test's own."""
    if request.param == "sync":
        yield lambda cache, name, *args, **kwargs: getattr(cache, name)(*args, **kwargs)
        return
    with asyncio.Runner() as runner:

        async def await_it(cache: Any, name: str, *args: Any, **kwargs: Any) -> Any:
            return await getattr(cache, f"a{name}")(*args, **kwargs)

        yield lambda *args, **kwargs: runner.run(await_it(*args, **kwargs))


@pytest.fixture
def commands_of(server: Server) -> Callable[[Callable[[], object]], Counter[str]]:
    """Return the commands that the server ran during a call, those inside scripts too."""

    def run(act: Callable[[], object]) -> Counter[str]:
        server.command("CONFIG", "RESETSTAT")
        act()
        calls = {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in server.command("INFO", "commandstats").items()}
        return Counter({name: number for name, number in calls.items() if not name.startswith(("client", "config", "hello", "info"))})

    return run
