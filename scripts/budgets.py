"""Check the size budgets of pyproject.toml: lines a module and a function, public methods a class.

Small pieces are what keeps the whole readable, and they do not stay small by themselves. What is over its budget is either
split by concept or listed, with the reason, in ``[tool.afresh.budgets.excesses]``: five at most, and none that is not over.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MOST_EXCESSES = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Limits:
    """The budgets, as pyproject.toml names them."""

    module_lines: int
    function_lines: int
    class_public_methods: int


@dataclass(frozen=True)
class Excess:
    """Something that is larger than its budget.

    Attributes:
        where: ``path`` of a module, ``path:qualified.name`` of a function or class.
        size: what was counted, ``"52 lines, at most 40"``.
    """

    where: str
    size: str


def main(root: Path) -> list[str]:
    """Return what is wrong under ``root``, a line each."""
    budgets: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["afresh"]["budgets"]
    limits = Limits(budgets["module_lines"], budgets["function_lines"], budgets["class_public_methods"])
    files = [file for path in budgets["paths"] for file in sorted((root / path).rglob("*.py"))]
    found = [excess for file in files for excess in excesses(file.read_text(), file.relative_to(root).as_posix(), limits)]
    return verdict(found, set(budgets["facades"]), budgets["excesses"])


def verdict(found: Iterable[Excess], facades: set[str], listed: dict[str, str]) -> list[str]:
    """Compare what is over its budget with what may be."""
    sizes = {excess.where: excess.size for excess in found if excess.where not in facades}
    problems = [f"{where}: {size}. Split it by concept" for where, size in sizes.items() if where not in listed]
    problems += [f"{where}: is within its budget. Take it off the list of excesses" for where in listed if where not in sizes]
    if len(listed) > MOST_EXCESSES:
        problems.append(f"{len(listed)} excesses are listed, at most {MOST_EXCESSES} may be")
    return problems


def excesses(source: str, path: str, limits: Limits) -> Iterator[Excess]:
    """Yield what is over its budget in one module."""
    lines = len(source.splitlines())
    if lines > limits.module_lines:
        yield Excess(path, f"{lines} lines, at most {limits.module_lines}")
    for name, node in definitions(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            methods = len(public_methods(node))
            if methods > limits.class_public_methods:
                yield Excess(f"{path}:{name}", f"{methods} public methods, at most {limits.class_public_methods}")
        elif (lines := function_lines(node)) > limits.function_lines:
            yield Excess(f"{path}:{name}", f"{lines} lines, at most {limits.function_lines}")


def definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Yield every class and function below a node, with its qualified name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            name = prefix + child.name
            yield name, child
            yield from definitions(child, name + ".")
        else:
            yield from definitions(child, prefix)


def function_lines(node: Function) -> int:
    """Count the lines of a function, its docstring and decorators left out: documenting it costs nothing."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        docstring = node.body[0]
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def public_methods(node: ast.ClassDef) -> set[str]:
    """Return the names that a class offers to call or read; overloads and property setters count once."""
    return {child.name for child in node.body if isinstance(child, Function) and not child.name.startswith("_")}


if __name__ == "__main__":
    found = main(ROOT)
    print("\n".join(found) if found else "Sizes are within their budgets.")
    sys.exit(bool(found))
