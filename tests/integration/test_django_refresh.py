"""Refreshes behind a request: what their threads hold of Django's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.servers import Server

PROGRAM = """
import sys, time
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="short",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[3]}},
    CACHES={"default": {"BACKEND": "afresh.django.RedisCache", "LOCATION": sys.argv[1], "KEY_PREFIX": sys.argv[2]}},
)
django.setup()

import threading
from django.db import connections
from afresh.django import get_cache
from afresh.testing import wait_until

used = []

@get_cache().memoize(ttl="1ms", stale_ttl="1h", name="f")
def answer():
    mine = connections["default"]  # each thread has one of its own
    with mine.cursor() as cursor:
        cursor.execute("select 42")
        used.append((threading.current_thread().name, mine))
        return cursor.fetchone()[0]

assert answer() == 42
time.sleep(0.01)
assert answer() == 42
wait_until(lambda: len(used) == 2, 20, "a thread to compute")
(_, here), (name, behind) = used
assert name == "afresh-background", name
# Not by using it: SQLite does not bear that while another thread closes it.
wait_until(lambda: behind.connection is None, 20, "its connection to be closed")
assert here.connection is not None, "the caller's own is not touched"
get_cache().close()
"""


def test_a_refresh_leaves_no_database_connection_open(valkey: Server, namespace: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, valkey.url, namespace, str(tmp_path / "db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")


WITHOUT_DJANGO = """
import afresh.django
from afresh import Cache

with Cache("memory://") as cache:
    assert cache.memoize(compute_timeout="1m", name="f")(lambda: 42)() == 42
"""


def test_a_program_that_does_not_run_django_may_import_it() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_DJANGO], capture_output=True, text=True, timeout=60, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
