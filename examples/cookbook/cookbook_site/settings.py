"""Settings of the cookbook site.

Four environment variables override what a program that drives the site may want to choose:

    AFRESH_URL           where pages and sessions are cached; by default a private Valkey, shared by the processes of the site
    COOKBOOK_KEY_PREFIX  what the names of its entries on that server begin with; by default cookbook
    COOKBOOK_DB          the SQLite file; by default var/cookbook.sqlite3
    COOKBOOK_CACHE_TTL   for how many seconds a page is kept; by default five minutes
"""

import os
from pathlib import Path
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def _seconds(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if text and not text.isdecimal():
        raise ImproperlyConfigured(f"{name}={text!r} is not a whole number of seconds: set one such as {default}, or unset it")
    return int(text) if text else default


CACHE_TTL = _seconds("COOKBOOK_CACHE_TTL", 5 * 60)

CACHES = {
    "default": {
        "BACKEND": "afresh.django.RedisCache",
        "LOCATION": os.environ.get("AFRESH_URL") or f"embedded://{quote(str(BASE_DIR / 'var' / 'cache'))}",
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        "KEY_PREFIX": os.environ.get("COOKBOOK_KEY_PREFIX") or "cookbook",
    }
}

# An edit clears the whole cache (cookbook/freshen.py), sessions included. "cached_db" reads those from the database again: nobody
# is logged out.
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("COOKBOOK_DB") or BASE_DIR / "var" / "cookbook.sqlite3",
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# An example for one's own machine: with DEBUG and no ALLOWED_HOSTS, Django answers on loopback names only.
DEBUG = True
SECRET_KEY = "django-insecure-cookbook-example-only"  # noqa: S105 - public on purpose, as in every startproject; a real site keeps its own secret

INSTALLED_APPS = [
    "cookbook",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "cookbook.meter.meter_middleware",  # outermost, so that it sees every query of a visit
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",  # answers 304 to a browser that still holds the page
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

ROOT_URLCONF = "cookbook_site.urls"
WSGI_APPLICATION = "cookbook_site.wsgi.application"
STATIC_URL = "static/"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
