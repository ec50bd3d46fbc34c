"""What the documents say is true: dependencies, commands, links, examples."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from afresh import errors

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def each(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=[str(page.relative_to(ROOT)) for page in pages])


def dependencies() -> set[str]:
    """Return the name of everything that pyproject.toml asks for."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = config["project"]
    wanted = [*project["dependencies"], *config["build-system"]["requires"]]
    wanted += [name for extra in project["optional-dependencies"].values() for name in extra]
    return {re.match(r"[\w-]+", name)[0] for name in wanted} - {"afresh"}


def test_each_dependency_is_explained_and_no_other() -> None:
    page = (ROOT / "docs/explanation/dependencies.md").read_text()

    assert set(re.findall(r"\*\*([a-z-]+)\*\*", page)) == dependencies()


def imports(file: Path) -> set[str]:
    """Return the first word of every module that a file imports, wherever in the file."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in names}


def test_each_import_is_a_declared_dependency() -> None:
    files = [file for folder in ("src", "tests", "scripts", "benchmarks", "examples") for file in ROOT.glob(f"{folder}/**/*.py")]
    ours = {"afresh", "tests", "scripts", "benchmarks", "cookbook", "cookbook_site"}
    ours |= {"uses", "cache"}  # tests/typing reads its neighbour; `cache` is of Django's own tests
    distributions = packages_distributions()
    declared = dependencies()

    foreign = {name: file for file in files for name in imports(file) - sys.stdlib_module_names - ours}
    undeclared = {
        name: str(file.relative_to(ROOT))
        for name, file in foreign.items()
        if declared.isdisjoint(distribution.lower().replace("_", "-") for distribution in distributions.get(name, []))
    }
    assert undeclared == {}


def test_each_extra_is_explained() -> None:
    page = (ROOT / "docs/explanation/dependencies.md").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert {f"afresh[{extra}]" for extra in extras} <= set(re.findall(r"afresh\[\w+\]", page))


def test_each_make_target_is_described_in_contributing_and_by_make_itself() -> None:
    targets = set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()) - {"help"}
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert targets == set(re.findall(r"^\| `make ([\w-]+)", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    assert targets == set(re.findall(r"^  make ([\w-]+)", listed, re.MULTILINE)) - {"help"}


def test_the_tree_of_exceptions_is_as_it_is_drawn() -> None:
    drawn, branch = {}, []
    for indent, name in re.findall(r"^    ([ │├└─]*)(\w+)", errors.__doc__, re.MULTILINE):
        branch = [*branch[: len(indent) // 4], name]
        drawn[name] = branch[-2] if len(branch) > 1 else "Exception"
    public = [getattr(errors, name) for name in errors.__all__]

    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in public if issubclass(cls, errors.AfreshError)}
    assert "::: afresh.errors" in (ROOT / "docs/reference/errors.md").read_text()


@each(PAGES)
def test_links_to_files_have_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target
