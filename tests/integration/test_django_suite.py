"""Django's own tests of its cache framework, on our backend: from the source distribution of the Django that is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import django
import pytest

from tests.support.servers import Server

ROOT = Path(__file__).parents[2]
LABELS = ("cache", "sessions_tests", "template_tests.syntax_tests.test_cache")

# These look inside the backend for local memory, at `cache._expire_info`.
ABOUT_LOCMEM = {
    f"cache.tests.DefaultNonExpiringCacheKeyTests.test_caches_{case}"
    for case in ("set_with_timeout_as_none_set_non_expiring_key", "with_unset_timeout_set_expiring_key")
}
# Nobody's backend can run these: sessions in cookies have no store, and a server evicts by its own rules.
NOT_FOR_US = ("Cookie", "Culling")


@pytest.fixture(scope="session")
def djangos_tests(request: pytest.FixtureRequest) -> Path:
    """The folder of Django's tests, downloaded once for each version."""
    folder = request.config.cache.mkdir(f"django-{django.__version__}")
    if not (folder / "tests").exists():
        _download(f"django=={django.__version__}", folder)
    return folder / "tests"


def _download(requirement: str, folder: Path) -> None:
    # An environment that was made on Debian without python3-venv has no pip of its own.
    pythons = [sys.executable, *map(str, Path(sys.base_prefix, "bin").glob("python3"))]
    said = ""
    for python in pythons:
        command = [python, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--dest", folder / "sdist", requirement]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            break
        said = ran.stderr.strip().splitlines()[-1]
    else:
        pytest.skip(f"Django's source distribution could not be downloaded from PyPI: {said}")
    (archive,) = (folder / "sdist").glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian's Python 3.11.2 has none
        opened.extractall(folder / "unpacked")
    (tests,) = (folder / "unpacked").glob("*/tests")
    tests.rename(folder / "tests")
    shutil.rmtree(folder / "unpacked")
    shutil.rmtree(folder / "sdist")


@pytest.mark.keys(".*", permanent=True)
def test_djangos_own_tests_pass(djangos_tests: Path, server: Server, tmp_path: Path) -> None:
    _run(djangos_tests, server, tmp_path / "results.json")


@pytest.mark.keys(".*", permanent=True)
def test_they_pass_with_a_near_tier(djangos_tests: Path, valkey: Server, tmp_path: Path) -> None:
    _run(djangos_tests, valkey, tmp_path / "results.json", SUITE_NEAR="yes")


def _run(djangos_tests: Path, server: Server, results: Path, **settings: str) -> None:
    suite = {"SUITE_BACKEND": "afresh.django.RedisCache", "SUITE_LOCATION": server.url, "SUITE_RESULTS": str(results)} | settings
    command = [sys.executable, "runtests.py", "--settings=tests.django_project.suite_settings", "--parallel=1", "--noinput", *LABELS]

    env = os.environ | suite | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src")))}
    ran = subprocess.run(command, cwd=djangos_tests, env=env, capture_output=True, text=True, check=False)

    assert results.exists(), ran.stderr
    outcome = json.loads(results.read_text())
    print(f"{outcome['run']} run, {len(outcome['failed'])} failed, {len(outcome['skipped'])} skipped")
    assert set(outcome["failed"]) == ABOUT_LOCMEM, ran.stderr
    assert [reason for reason in outcome["skipped"].values() if not reason.startswith(NOT_FOR_US)] == []
    assert outcome["run"] > 500
