"""Settings with which Django's own test suite tests another cache backend than its own.

Wherever its tests name the backend for local memory, they get the one named in the environment:

    SUITE_BACKEND    the class, "afresh.django.RedisCache"
    SUITE_LOCATION   its LOCATION, without a database; each LOCATION that the tests name is a database of its own
    SUITE_NEAR       if it is set, caches have a near tier
    SUITE_RESULTS    the file to which the outcome is written, as JSON
"""

import json
import os
from pathlib import Path
from unittest import TestSuite, defaultTestLoader

from django.core.cache.backends import locmem
from django.test import TestCase, override_settings
from django.test.runner import DiscoverRunner, iter_test_cases
from django.utils.module_loading import import_string

from afresh import Near

Backend = import_string(os.environ["SUITE_BACKEND"])
DATABASES_BY_LOCATION = {"": 0}
OTHER_BACKENDS = ("CreateCacheTable", "DBCache", "Dummy", "FileBased", "LocMem", "PyLibMC", "PyMemcache", "RedisCacheTests")


class InsteadOfLocMem(Backend):
    """The backend in the place of ``LocMemCache``, whose LOCATION may be any name."""

    def __init__(self, name, params):
        database = DATABASES_BY_LOCATION.setdefault(name, len(DATABASES_BY_LOCATION))
        near = {"NEAR": Near(max_stale="200ms")} if os.environ.get("SUITE_NEAR") else {}
        params = params | {"OPTIONS": {"SOCKET_TIMEOUT": 10} | near}  # the machine may be busy
        super().__init__(f"{os.environ['SUITE_LOCATION']}?db={database}", params)


class Runner(DiscoverRunner):
    """Runs what tests the configured backend, and writes down how it ended."""

    def build_suite(self, *args, **kwargs):
        every = iter_test_cases(super().build_suite(*args, **kwargs))
        kept = TestSuite(test for test in every if not type(test).__name__.startswith(OTHER_BACKENDS))
        kept.addTests(defaultTestLoader.loadTestsFromTestCase(tests_of_a_backend()))
        return kept

    def suite_result(self, suite, result, **kwargs):
        failed = {getattr(test, "test_case", test).id() for test, _ in (*result.failures, *result.errors)}
        skipped = {test.id(): reason for test, reason in result.skipped}
        outcome = {"run": result.testsRun, "failed": sorted(failed), "skipped": skipped}
        Path(os.environ["SUITE_RESULTS"]).write_text(json.dumps(outcome))
        return super().suite_result(suite, result, **kwargs)


def tests_of_a_backend():
    from cache.tests import BaseCacheTests, caches_setting_for_tests

    # A server evicts by its own rules: Django does not test its own Redis backend for culling either.
    caches = caches_setting_for_tests(base=CACHES["default"], exclude={"cull", "zero_cull"})
    return override_settings(CACHES=caches)(type("BackendTests", (BaseCacheTests, TestCase), {}))


locmem.LocMemCache = InsteadOfLocMem

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}, "other": {"ENGINE": "django.db.backends.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SECRET_KEY = "of Django's own tests"
TEST_RUNNER = f"{__name__}.Runner"
USE_TZ = False
