"""mypy and pyright, both strict, see in afresh what a program may do (`uses.py`) and what it may not (`misuses.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MARK = "  # E"


def mypy(*files: str) -> dict[str, dict[int, str]]:
    """Return the errors' messages by file and line."""
    options = [
        "--strict",
        "--explicit-package-bases",
        "--config-file=",
        "--output=json",
        f"--cache-dir={ROOT / '.mypy_cache/typing'}",
    ]
    run = _run("mypy", *options, *files)
    reports = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    return _by_line((report["file"], report["line"], report["message"]) for report in reports if report["severity"] == "error")


def pyright(*files: str) -> dict[str, dict[int, str]]:
    """Return the errors' messages by file and line. The files say themselves how strict it is to be."""
    run = _run("pyright", "--outputjson", f"--pythonpath={sys.executable}", *files)
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    reports = json.loads(run.stdout)["generalDiagnostics"]
    return _by_line(
        (Path(report["file"]).name, report["range"]["start"]["line"] + 1, report["message"])
        for report in reports
        if report["severity"] == "error"
    )


@pytest.fixture(scope="module", params=[mypy, pyright], ids=lambda checker: checker.__name__)
def errors(request: pytest.FixtureRequest) -> dict[str, dict[int, str]]:
    return request.param("uses.py", "misuses.py")


def test_every_use_type_checks(errors: dict[str, dict[int, str]]) -> None:
    assert errors.get("uses.py", {}) == {}


def test_every_misuse_is_an_error_and_nothing_else_is(errors: dict[str, dict[int, str]]) -> None:
    lines = dict(enumerate((HERE / "misuses.py").read_text().splitlines(), start=1))
    marked = {number for number, line in lines.items() if line.endswith(MARK)}
    found = errors["misuses.py"]

    assert {number: lines[number] for number in marked - found.keys()} == {}, "these lines pass"
    assert {number: message for number, message in found.items() if number not in marked} == {}, "these lines do not"


def test_the_checkers_look_inside(errors: dict[str, dict[int, str]]) -> None:
    """An import that is not found would make everything `Any`, and every use pass."""
    assert not [message for found in errors.values() for message in found.values() if "import" in message.lower()]
    assert len(errors["misuses.py"]) > 60


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "NO_COLOR": "1", "MYPY_FORCE_COLOR": "0"}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=HERE, env=environment, capture_output=True, text=True, check=False
    )


def _by_line(reports: Iterable[tuple[str, int, str]]) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for file, line, message in reports:
        found.setdefault(file, {})[line] = message
    return found
