"""Drive the whole site from a program and see what each visit costs, without a web server.

`open_site` prepares a site of its own; its visits go through everything a browser's would, from the middleware to the cache:

    sys.path.insert(0, "examples/cookbook")
    from cookbook_site.measure import open_site

    with open_site("embedded://", database=Path(folder, "cookbook.sqlite3"), ttl_s=2) as site:
        site.visit().queries                                     # several: this visit renders the page
        sum(site.visit().queries for _ in range(200))            # 0
        site.rename("carrot-soup-with-ginger-and-lime", "Carrot soup, renamed")
        "Carrot soup, renamed" in site.visit().html              # True, at once

Django keeps one configuration for a process, so a process opens one site.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import django
from cookbook.meter import Meter
from django.apps import apps
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client


@dataclass(frozen=True, slots=True)
class Visit:
    """One page as a visitor got it, with what it cost the database and how long it took."""

    status: int
    queries: int
    ms: float
    html: str


class Site:
    """The opened site; made by `open_site`."""

    def __init__(self, client: Client, ttl_s: int) -> None:
        self.ttl_s = ttl_s
        self._client = client

    def visit(self, path: str = "/") -> Visit:
        """Get one page as an anonymous visitor."""
        meter = Meter()
        with connection.execute_wrapper(meter.count_query):
            response = self._client.get(path)
        return Visit(response.status_code, meter.queries, meter.ms, response.content.decode())

    def rename(self, slug: str, title: str) -> None:
        """Give a recipe another title, as the admin would: a saved and committed row, whose signal freshens the pages."""
        from cookbook.models import Recipe

        recipe = Recipe.objects.get(slug=slug)
        recipe.title = title
        recipe.save()


@contextmanager
def open_site(location: str, *, database: Path, ttl_s: int = 300, key_prefix: str = "cookbook") -> Iterator[Site]:
    """Open a site with tables and recipes, and close its connections at the end.

    Args:
        location: Where pages are cached, as AFRESH_URL.
        database: The SQLite file; made if it does not exist.
        ttl_s: For how many seconds a page is kept.
        key_prefix: What the names of its entries on the server begin with, where another site may be cached, too.

    Raises:
        RuntimeError: If Django is configured in this process already.
    """
    if apps.ready:
        raise RuntimeError("Django is configured in this process already, for good; open the site in a process of its own.")
    os.environ |= {
        "AFRESH_URL": location,
        "COOKBOOK_KEY_PREFIX": key_prefix,
        "COOKBOOK_DB": str(database),
        "COOKBOOK_CACHE_TTL": str(ttl_s),
        "DJANGO_SETTINGS_MODULE": "cookbook_site.settings",
    }
    django.setup()

    from cookbook.stock import stock_recipes  # models can be imported from here on

    try:
        call_command("migrate", verbosity=0)
        stock_recipes()
        yield Site(Client(SERVER_NAME="localhost"), ttl_s)
    finally:
        caches.close_all()
        connections.close_all()
