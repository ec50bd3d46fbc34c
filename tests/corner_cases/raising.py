"""Where the package raises what its users may see: every such statement, and which of them an error came by."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import afresh
from afresh import errors

_ROOT = Path(afresh.__file__).parent
_PUBLIC = {*errors.__all__, "ImproperlyConfiguredCache", "TypeError", "ValueError"}
_TESTING = _ROOT / "testing"  # runs in users' tests, and raises what a test is to see


class Site(NamedTuple):
    """A ``raise`` of a public error.

    Attributes:
        file: of the package, as ``core/keys.py``.
        function: its qualified name.
        text: the statement.
        lines: which ones it takes.
    """

    file: str
    function: str
    text: str
    lines: range

    @property
    def place(self) -> str:
        return f"{self.file}:{self.function}"

    def __str__(self) -> str:
        return f"{self.file}:{self.lines.start} in {self.function}: {self.text[:100]}"


@cache
def sites() -> tuple[Site, ...]:
    """Return every place that raises a public error, or what a function makes that is said to return one."""
    trees = {file: ast.parse(file.read_text()) for file in sorted(_ROOT.rglob("*.py")) if _TESTING not in file.parents}
    makers = _PUBLIC | {name for tree in trees.values() for name in _makers(tree)}
    return tuple(site for file, tree in trees.items() for site in _sites(tree, str(file.relative_to(_ROOT)), "", makers))


def passed_by(error: BaseException) -> Iterator[Site]:
    """Yield the places in which an error, and those that it came from, were raised."""
    by_file: dict[str, list[Site]] = {}
    for site in sites():
        by_file.setdefault(str(_ROOT / site.file), []).append(site)
    todo, seen = [error], []
    while todo:
        seen.append(current := todo.pop())
        frame = current.__traceback__
        while frame is not None:
            here = by_file.get(frame.tb_frame.f_code.co_filename, ())
            yield from (site for site in here if frame.tb_lineno in site.lines)
            frame = frame.tb_next
        todo += [cause for cause in (current.__cause__, current.__context__) if cause is not None and cause not in seen]


def _makers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and isinstance(node.returns, ast.Name) and node.returns.id in _PUBLIC:
            yield node.name


def _sites(node: ast.AST, file: str, function: str, makers: set[str]) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call) and _callee(child.exc) in makers:
            yield Site(file, function, ast.unparse(child), range(child.lineno, (child.end_lineno or 0) + 1))
        inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from _sites(child, file, f"{function}.{child.name}".lstrip(".") if inner else function, makers)


def _callee(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
