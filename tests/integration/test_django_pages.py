"""Sessions, pages and fragments: what Django itself keeps in a cache, asked for by a client."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.core.cache import caches
from django.core.management import call_command
from django.test import AsyncClient, Client, override_settings

pytest_plugins = ["tests.django_project.fixtures"]
pytestmark = pytest.mark.keys(r"t-[0-9a-f]{8}:-?\d+:.*")

WHOLE_SITE = [
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]


@pytest.fixture
def sessions(_project):
    """The model of sessions, whose table is empty."""
    call_command("migrate", verbosity=0)
    model = apps.get_model("sessions", "Session")
    yield model
    model.objects.all().delete()


def test_a_page_is_made_once_for_all_visitors(cache):
    first, second = Client().get("/cached/"), Client().get("/cached/")

    assert second.content == first.content
    assert (second.status_code, second["X-Made"]) == (200, "here")
    assert second["Cache-Control"] == "max-age=60"
    assert Client().get("/cached/?page=2").content != first.content


async def test_a_page_is_made_once_for_an_asynchronous_client(cache):
    first, second = await AsyncClient().get("/cached/"), await AsyncClient().get("/cached/")

    assert second.content == first.content


def test_a_cleared_cache_makes_pages_anew(cache):
    first = Client().get("/cached/")

    cache.clear()

    assert Client().get("/cached/").content != first.content


def test_the_middleware_keeps_the_whole_site(cache):
    with override_settings(MIDDLEWARE=WHOLE_SITE, CACHE_MIDDLEWARE_SECONDS=60):
        first, second = Client().get("/plain/"), Client().get("/plain/")
        head = Client().head("/plain/")

    assert second.content == first.content
    assert head.status_code == 200


def test_a_fragment_is_kept_for_what_it_varies_on(cache):
    one, other, again = (Client().get(f"/fragment/{name}/").content for name in ("one", "other", "one"))

    assert again == one
    assert b"<b>one " in one
    assert b"<b>other " in other


@pytest.mark.parametrize("alias", ["default", "sessions"])
def test_sessions_are_kept_in_the_cache(use_caches, server, namespace, alias):
    settings = {"LOCATION": server.url, "KEY_PREFIX": namespace}
    use_caches(default=settings, sessions={**settings, "VERSION": 2})
    visitor, other = Client(), Client()

    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cache", SESSION_CACHE_ALIAS=alias):
        assert [visitor.get("/visits/").json()["visits"] for _ in range(3)] == [1, 2, 3]
        assert other.get("/visits/").json()["visits"] == 1
        caches[alias].clear()
        assert visitor.get("/visits/").json()["visits"] == 1


def test_sessions_in_cache_and_database_outlive_the_cache(cache, sessions):
    visitor = Client()

    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cached_db"):
        assert [visitor.get("/visits/").json()["visits"] for _ in range(2)] == [1, 2]
        cache.clear()
        assert visitor.get("/visits/").json()["visits"] == 3


async def test_sessions_work_for_an_asynchronous_client(cache):
    visitor = AsyncClient()

    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.cache"):
        assert [(await visitor.get("/visits/")).json()["visits"] for _ in range(3)] == [1, 2, 3]


def test_a_model_instance_and_a_query_are_kept(cache, sessions):
    row = sessions.objects.create(session_key="k" * 32, session_data="d", expire_date="2030-01-01T00:00:00Z")
    cache.set_many({"row": row, "rows": sessions.objects.all()})

    assert cache.get("row") == row
    assert list(cache.get("rows")) == [row]
