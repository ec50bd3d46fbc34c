"""Each sentence of the contract names tests that exist, and each race the wrong variants that are caught."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/consistency.md").read_text()
ROWS = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in PAGE.splitlines() if re.match(r"\| \d \|", line)]


def plain(text: str) -> str:
    """Return text without emphasis and titles, on one line."""
    return " ".join(re.sub(r"\*\*\w+\.\*\* ", "", text).replace("**", "").replace("*called", "called").split())


def sentences_of_the_contract() -> list[str]:
    """Return what the README promises; its last clause lists limits."""
    contract = re.search(r"^## The contract\n(.*?)^How:", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert contract is not None
    *clauses, _limits = re.split(r"^\d\. ", contract[1], flags=re.MULTILINE)[1:]
    return [sentence for clause in clauses for sentence in re.split(r"(?<=[\w)]\.) (?=[A-Z])", plain(clause))]


@cache
def functions_in(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("sentence", sentences_of_the_contract())
def test_each_sentence_of_the_contract_names_its_tests(sentence: str) -> None:
    shown = " ".join(by for _, said, by in ROWS if sentence in plain(said))

    assert re.search(r"`tests/[\w/]+\.py::test_\w+`", shown), "docs/explanation/consistency.md must have it, and the tests that show it"


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)

    assert len(named) > 20
    assert [
        f"{file}::{name}" for file, name in named if not (ROOT / file).is_file() or (name and name not in functions_in(ROOT / file))
    ] == []


def test_every_wrong_variant_that_is_named_is_caught_by_a_step_test() -> None:
    modules = [import_module(f"tests.flows.{file.stem}") for file in (ROOT / "tests/flows").glob("test_*.py")]
    caught = {name for module in modules for name in getattr(module, "WRONG", {})}
    cells = [line.strip("|").split("|")[2] for line in PAGE.splitlines() if line.count("|") == 4 and "*" in line.rsplit("|", 2)[1]]
    named = {name for cell in cells for name in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", cell)}

    assert len(named) > 10
    assert named - caught == set()
