"""Django's cache framework on afresh: ``BACKEND: "afresh.django.RedisCache"``, and the ``Cache`` behind an alias.

Importing this package reads no setting and opens nothing.
"""

from afresh.django.alias import get_cache
from afresh.django.backend import RedisCache
from afresh.django.configuration import ImproperlyConfiguredCache

__all__ = ["ImproperlyConfiguredCache", "RedisCache", "get_cache"]
