"""Django's cache framework with every backend that is installed, and a page that is cached in each."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Mapping
from contextvars import Context
from functools import partial
from typing import Any
from weakref import ReferenceType

from afresh import Near
from benchmarks import Run

__all__ = ["LOCMEM", "OURS", "OURS_NEAR", "backends", "cached_pages", "is_near"]

OURS = "afresh: Django backend"
OURS_NEAR = "afresh: Django backend, near"
LOCMEM = "Django's locmem, in the process"
_OF_VALKEY = "django-valkey"
_BACKENDS = {
    OURS: ("afresh.django.RedisCache", "redis:"),
    "Django's own backend": ("django.core.cache.backends.redis.RedisCache", "redis:"),
    "django-redis": ("django_redis.cache.RedisCache", "redis:"),
    _OF_VALKEY: ("django_valkey.cache.ValkeyCache", "valkey:"),
}


def backends(run: Run) -> Mapping[str, Any]:
    """Return the backend by its name. Each is asked for as a project that holds on to it would."""
    from django.core.cache import caches

    return {name: caches[name] for name in _configured(run) if name != OURS_NEAR}


def cached_pages(run: Run, page: bytes) -> dict[str, Callable[[], bytes]]:
    """Return what asks Django's handler for a page that `cache_page` keeps in each backend, and in the process.

    But for django-valkey: after each request it runs an event loop in a thread, whichever backend the page was in, for some 400 µs.
    """
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpRequest, HttpResponse
    from django.urls import path
    from django.views.decorators.cache import cache_page

    def view(_: HttpRequest) -> HttpResponse:
        return HttpResponse(page)

    aliases = [LOCMEM, *(name for name in _configured(run) if name != _OF_VALKEY)]
    _disconnect("django_valkey")
    urlpatterns[:] = [path(str(at), cache_page(300, cache=alias)(view)) for at, alias in enumerate(aliases)]
    handler = WSGIHandler()
    return {alias: _asks(handler, f"/{at}") for at, alias in enumerate(aliases)}


def is_near() -> bool:
    """Say whether the near tier has both entries of the page."""
    from django.core.cache import caches

    backend: Any = caches[OURS_NEAR]
    tier = backend.engine.near
    return tier is not None and len(tier.generation) > 1


urlpatterns: list[Any] = []  # Django looks for it by that name


def _disconnect(package: str) -> None:
    """Take what a package does after each request out of this process, if it has been loaded."""
    from django.core.signals import request_finished

    for _, reference, *_ in list(request_finished.receivers):
        receiver = reference() if isinstance(reference, ReferenceType) else reference
        if receiver is not None and receiver.__module__.startswith(package):
            request_finished.disconnect(receiver)


def _asks(handler: Any, path: str) -> Callable[[], bytes]:
    """Return what asks for a page in a context of its own: Django closes all caches that one knows after each request."""
    project = Context()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}

    def start_response(status: str, _: object) -> None:
        assert status == "200 OK", status

    def ask() -> bytes:
        response = handler(environ | {"wsgi.input": io.BytesIO()}, start_response)
        content: bytes = response.content
        response.close()
        return content

    return partial(project.run, ask)


def _configured(run: Run) -> list[str]:
    """Configure Django, once, with the backends that are installed, and return their names."""
    from django.conf import settings

    if not settings.configured:
        found: dict[str, dict[str, Any]] = {LOCMEM: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
        for name, (backend, scheme) in _BACKENDS.items():
            if importlib.util.find_spec(backend.partition(".")[0]):
                found[name] = {"BACKEND": backend, "LOCATION": run.url.replace("redis:", scheme), "KEY_PREFIX": str(len(found))}
        found[OURS_NEAR] = found[OURS] | {"KEY_PREFIX": "near", "OPTIONS": {"NEAR": Near(max_stale="10s")}}
        settings.configure(
            ALLOWED_HOSTS=["localhost"],
            CACHES=found | {"default": found[LOCMEM]},
            ROOT_URLCONF=__name__,
            SECRET_KEY="of no consequence",  # noqa: S106  signs what this run alone reads
            USE_TZ=True,
        )
        import django

        django.setup()
    return [name for name in settings.CACHES if name not in {LOCMEM, "default"}]
