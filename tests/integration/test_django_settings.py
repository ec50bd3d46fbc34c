"""CACHES: what works, and what is refused with the name of the setting and a remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured

from afresh.django import ImproperlyConfiguredCache, RedisCache, get_cache
from afresh.django.configuration import OPTIONS, Configuration, configure
from afresh.errors import ConfigurationError
from tests.django_project.keys import make_key

pytest_plugins = ["tests.django_project.fixtures"]
pytestmark = pytest.mark.keys(r"t-[0-9a-f]{8}:-?\d+:.*", permanent=True)

SECRET = "s3cret/@:,;#"
URL = "redis://cache.example:6379"


# --- LOCATION ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("location", "url"),
    [
        (f"{URL}/1", f"{URL}/1"),
        ([f"{URL}/1"], f"{URL}/1"),
        ((f"{URL}/1",), f"{URL}/1"),
        (f" {URL}/1, ;", f"{URL}/1"),
        ("rediss://u:p@cache.example", "rediss://u:p@cache.example"),
        ("unix:///run/valkey.sock?db=2", "unix:///run/valkey.sock?db=2"),
        ("memory://", "memory://"),
        ("embedded://", "embedded://"),
        ("embedded:///srv/a%2Cb", "embedded:///srv/a%2Cb"),
    ],
    ids=repr,
)
def test_a_location_is_one_url(location, url):
    assert configure(location, {}, "") == Configuration(url, budget_s=0.25, namespace="django")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("", "LOCATION of a cache is missing"),
        ([], "LOCATION of a cache is missing"),
        (None, "not NoneType"),
        (7, "not int"),
        ([7], "not list"),
        ("127.0.0.1:6379", "has no scheme"),
        ("reddis://localhost", "Did you mean redis://"),
        (f"{URL},redis://replica", "names 2 servers. Replicas are not available"),
        (f"{URL};{URL};{URL}", "names 3 servers"),
        ([URL, URL], "names 2 servers"),
        ("redis+cluster://localhost", "not available in this version"),
        (f"redis://u:{SECRET}@localhost", "%2C"),
        (f"{URL}/first", "number of the database"),
        (f"{URL}?dbb=1", "Did you mean 'db'"),
        ("embedded://relative/path", "three slashes"),
    ],
    ids=repr,
)
def test_any_other_location_is_refused_and_not_repeated(location, said):
    with pytest.raises(ImproperlyConfiguredCache, match=said) as refused:
        configure(location, {}, "")

    assert "LOCATION" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_the_error_is_afreshs_and_djangos(use_caches):
    with pytest.raises(ConfigurationError) as refused:
        use_caches(default={"LOCATION": "nowhere"})

    assert isinstance(refused.value, ImproperlyConfigured)
    assert isinstance(refused.value, InvalidCacheBackendError)


# --- OPTIONS -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "url", "budget_s"),
    [
        (None, URL, 0.25),
        ({}, URL, 0.25),
        ({"CLIENT_CLASS": "django_redis.client.DefaultClient"}, URL, 0.25),
        ({"IGNORE_EXCEPTIONS": True}, URL, 0.25),
        ({"PASSWORD": SECRET}, "redis://:s3cret%2F%40%3A%2C%3B%23@cache.example:6379", 0.25),
        ({"PASSWORD": None, "SOCKET_TIMEOUT": None}, URL, 0.25),
        ({"DB": 3}, f"{URL}?db=3", 0.25),
        ({"db": "3", "password": "p"}, "redis://:p@cache.example:6379?db=3", 0.25),
        ({"SOCKET_TIMEOUT": 2}, URL, 2),
        ({"SOCKET_TIMEOUT": 2, "SOCKET_CONNECT_TIMEOUT": 0.5}, URL, 0.5),
        ({"SOCKET_CONNECT_TIMEOUT": "100ms"}, URL, 0.1),
    ],
    ids=repr,
)
def test_options_are_taken(options, url, budget_s):
    assert configure(URL, options or {}, "") == Configuration(url, budget_s, "django")


@pytest.mark.parametrize(
    ("location", "password", "url"),
    [
        ("redis://user@h", "p", "redis://user:p@h"),
        ("redis://user:@h/2", "p", "redis://user:p@h/2"),
        ("rediss://h?ssl_cert_reqs=none", "p", "rediss://:p@h?ssl_cert_reqs=none"),
        ("unix:///run/s", "p", "unix://:p@/run/s"),
    ],
)
def test_a_password_goes_where_the_url_has_none(location, password, url):
    assert configure(location, {"PASSWORD": password}, "").url == url


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"CLIENT_CLAS": "x"}, "unknown option 'CLIENT_CLAS'.*Did you mean 'CLIENT_CLASS'"),
        ({"MAX_ENTRIES": 30}, "unknown option 'MAX_ENTRIES'.*There are: CLIENT_CLASS, PASSWORD"),
        ({"CLIENT_CLASS": "django_redis.client.HerdClient"}, "'django_redis.client.DefaultClient' is accepted"),
        ({"PASSWORD": 7}, "OPTIONS.'PASSWORD'. is not a text"),
        ({"PASSWORD": ""}, "OPTIONS.'PASSWORD'. is not a text"),
        ({"DB": -1}, "OPTIONS.'DB'. is -1"),
        ({"DB": "one"}, "OPTIONS.'DB'. is 'one'"),
        ({"DB": True}, "OPTIONS.'DB'. is True"),
        ({"SOCKET_TIMEOUT": 0}, "OPTIONS.'SOCKET_TIMEOUT'. is 0: .*more than 0"),
        ({"SOCKET_TIMEOUT": "soon"}, "OPTIONS.'SOCKET_TIMEOUT'.='soon' is not a duration"),
        ({"SOCKET_TIMEOUT": -1}, "not a duration"),
        ({"IGNORE_EXCEPTIONS": "yes"}, "OPTIONS.'IGNORE_EXCEPTIONS'. is 'yes'"),
        ({7: 7}, "unknown option 7"),
    ],
    ids=repr,
)
def test_any_other_option_is_refused(options, said):
    with pytest.raises(ImproperlyConfiguredCache, match=said):
        configure(URL, options, "")


@pytest.mark.parametrize(
    ("location", "options", "said"),
    [
        ("redis://:p@h", {"PASSWORD": SECRET}, "OPTIONS.'PASSWORD'. and LOCATION both name it"),
        ("redis://h/1", {"DB": 1}, "OPTIONS.'DB'. and LOCATION both name it"),
        ("unix:///run/s?db=1", {"DB": 1}, "both name it"),
        ("memory://", {"PASSWORD": SECRET}, "memory:// has no such thing"),
        ("embedded://", {"DB": 1}, "embedded:// has no such thing"),
    ],
)
def test_what_is_said_twice_or_means_nothing_is_refused(location, options, said):
    with pytest.raises(ImproperlyConfiguredCache, match=said) as refused:
        configure(location, options, "")

    assert "s3cret" not in str(refused.value)


def test_password_and_database_reach_the_server(use_caches, start_server, namespace):
    server = start_server(requirepass=SECRET)
    cache = use_caches(
        default={
            "LOCATION": f"redis://127.0.0.1:{server.port}",
            "KEY_PREFIX": namespace,
            "OPTIONS": {"PASSWORD": SECRET, "DB": 5},
        }
    )
    cache.set("k", "v")

    assert cache.get("k") == "v"
    assert server.command("KEYS", "*", database=5) == [f"{namespace}:1:k".encode()]


def test_no_repr_shows_the_password(use_caches):
    cache = use_caches(default={"LOCATION": f"redis://:{SECRET[:6]}@localhost"})

    assert "s3cret" not in repr(cache) + repr(cache._configuration) + repr(vars(cache)) + repr(get_cache())


# --- the rest ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("prefix", "namespace"),
    [("", "django"), ("shop", "shop"), ("a.b-c:d", "a.b-c:d"), (5, "5"), ("a b", "django-"), ("{", "django-"), ("x" * 200, "django-")],
)
def test_the_namespace_is_the_prefix_or_made_from_it(prefix, namespace):
    made = configure(URL, {}, prefix).namespace

    assert made == namespace or (namespace.endswith("-") and made.startswith(namespace) and made != namespace)
    assert made == configure(URL, {}, prefix).namespace


def test_a_key_function_is_taken_by_path_or_as_it_is(use_caches, call):
    use_caches(
        default={"LOCATION": "memory://"},
        path={"LOCATION": "memory://", "KEY_FUNCTION": "tests.django_project.keys.make_key"},
        function={"LOCATION": "memory://", "KEY_FUNCTION": make_key},
    )
    call(caches["path"], "set", "k", 1)

    assert call(caches["function"], "get", "k") == 1
    assert call(caches["default"], "get", "k") is None


def test_get_cache_wants_an_alias_of_ours(use_caches):
    use_caches(default={"LOCATION": "memory://"}, other={"BACKEND": "django.core.cache.backends.locmem.LocMemCache"})

    with pytest.raises(ImproperlyConfiguredCache, match=r"CACHES\['other'\] has the BACKEND django.core.cache.backends.locmem.LocMemCache"):
        get_cache("other")
    with pytest.raises(InvalidCacheBackendError, match="nowhere"):
        get_cache("nowhere")


def test_every_option_is_in_the_guide():
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "django.md").read_text()

    assert [name for name in OPTIONS if f"| `{name}` " not in guide] == []


def test_importing_reads_no_setting_and_opens_nothing():
    program = """
import sys, afresh.django
from django.conf import settings
assert not settings.configured
assert not [name for name in ("redis", "django.db", "django.http") if name in sys.modules]
"""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_the_backend_is_found_by_its_documented_name(use_caches):
    assert type(use_caches(default={"LOCATION": "memory://"})) is RedisCache
