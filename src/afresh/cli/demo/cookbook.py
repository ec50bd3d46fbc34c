"""A page of a Django site, cached: its first visit, the next ones, after its ttl and after an edit."""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import afresh
from afresh.cli.demo.elsewhere import Working, run_elsewhere
from afresh.cli.demo.findings import Claim, Figure, Findings, NotMeasured
from afresh.cli.demo.place import NAMESPACE, Place

__all__ = ["TITLE", "judge", "measure"]

TITLE = "A page of 300 recipes on Django, cached by cache_page"

_SITE = Path("examples", "cookbook")
_VISITS = 200  # fewer, if the machine is so busy that the ttl would pass meanwhile
_TTL_S = 4
_MARGIN_S = 0.2
_SLUG = "carrot-soup-with-ginger-and-lime"
_OLD_TITLE, _NEW_TITLE = "Carrot soup with ginger and lime", "Carrot soup, as of this second"


def measure(place: Place, tell: Callable[[str], None]) -> Findings:
    """Visit the site in a process of its own, since Django can be configured once in one.

    Raises:
        NotMeasured: if the site or Django is not there.
    """
    if importlib.util.find_spec("django") is None:
        raise NotMeasured('Django is not installed: pip install "afresh[django]"')
    tell("setting the site up")
    return judge(run_elsewhere(visit_site, tell, site=str(find_site()), url=place.url))


def find_site() -> Path:
    """Return the site's folder in the checkout that this package is run from.

    Raises:
        NotMeasured: if it is run from somewhere else.
    """
    checkout = Path(afresh.__file__).parents[2]
    if not (checkout / _SITE / "manage.py").exists():
        raise NotMeasured("the site is in afresh's repository, not in what pip installs: clone it and run `make demo` there")
    return checkout / _SITE


def visit_site(site: str, url: str) -> Working:
    """Make all visits, and return what each cost."""
    sys.path.insert(0, site)
    measuring: Any = importlib.import_module("cookbook_site.measure")
    with (
        tempfile.TemporaryDirectory(prefix="afresh-demo-") as folder,
        measuring.open_site(url, database=Path(folder, "cookbook.sqlite3"), ttl_s=_TTL_S, key_prefix=f"{NAMESPACE}:cookbook") as opened,
    ):
        visits: dict[str, Any] = {}

        def visit(name: str) -> str:
            made = opened.visit()
            visits[name] = {"queries": made.queries, "ms": made.ms}
            return str(made.html)

        yield "visiting the page"
        asked_at = time.monotonic()
        visit("first")
        stored_by = time.monotonic()
        more: list[Any] = []
        while len(more) < _VISITS and time.monotonic() < asked_at + _TTL_S - _MARGIN_S:
            more.append(opened.visit())
        visits["more"] = {"queries": sum(made.queries for made in more), "ms": statistics.median(made.ms for made in more)}
        yield f"waiting for its ttl of {_TTL_S} s to pass"
        time.sleep(max(0.0, stored_by + _TTL_S + _MARGIN_S - time.monotonic()))
        visit("expired")
        before = visit("after_expired")
        yield "editing a recipe"
        opened.rename(_SLUG, _NEW_TITLE)
        after = visit("edited")
        visit("after_edited")
    return visits | {"visited": len(more), "fresh": _OLD_TITLE in before and _NEW_TITLE in after and _OLD_TITLE not in after}


def judge(visits: dict[str, Any]) -> Findings:
    """Return what these visits say."""

    def once(name: str) -> bool:
        return bool(visits[name]["queries"]) and not visits[f"after_{name}"]["queries"]

    def shown(name: str) -> str:
        return f"{visits[name]['queries']}, then {visits[f'after_{name}']['queries']}"

    names = {
        "first": "the first visit",
        "more": f"{visits['visited']} more visits, time of one",
        "expired": "after its ttl",
        "edited": "after an edit",
    }
    more = visits["more"]["queries"]
    rendered = visits["first"]["queries"] > 0
    return Findings(
        [Figure(what, visits[name]) for name, what in names.items()],
        [
            Claim(f"{visits['visited']} more visits without a query", f"{more} queries", rendered and more == 0),
            Claim("after its ttl, queries for one visit", shown("expired"), once("expired")),
            Claim("after an edit, queries for one visit", shown("edited"), once("edited")),
            Claim("the edit is on the page at once", "it is" if visits["fresh"] else "it is not", visits["fresh"]),
        ],
    )
