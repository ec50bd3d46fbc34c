from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_spec = importlib.util.spec_from_file_location("budgets", ROOT / "scripts" / "budgets.py")
budgets = importlib.util.module_from_spec(_spec)
sys.modules["budgets"] = budgets  # dataclasses look their module up
_spec.loader.exec_module(budgets)

LIMITS = budgets.Limits(module_lines=20, function_lines=3, class_public_methods=2)


def found(source: str) -> dict[str, str]:
    return {excess.where: excess.size for excess in budgets.excesses(source, "m.py", LIMITS)}


def test_a_long_module_is_found() -> None:
    assert found("x = 1\n" * 20) == {}
    assert found("x = 1\n" * 21) == {"m.py": "21 lines, at most 20"}


@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_a_long_function_is_found_wherever_it_stands(keyword: str) -> None:
    long = f"{keyword} f():\n    1\n    2\n    3\n"
    inner = "".join("    " + line for line in long.splitlines(keepends=True))

    assert found(f"{keyword} f():\n    1\n    2\n") == {}
    assert found(long) == {"m.py:f": "4 lines, at most 3"}
    assert found("class C:\n" + inner) == {"m.py:C.f": "4 lines, at most 3"}
    assert found("if True:\n" + inner) == {"m.py:f": "4 lines, at most 3"}
    assert found("def g():\n" + inner) == {"m.py:g": "5 lines, at most 3", "m.py:g.f": "4 lines, at most 3"}


def test_docstrings_and_decorators_are_not_counted() -> None:
    assert found('@a\n@b\ndef f():\n    """One.\n\n    Two.\n    """\n    1\n    2\n') == {}


def test_public_methods_are_counted_once_each() -> None:
    accessors = "    @property\n    def a(self): ...\n    @a.setter\n    def a(self, value): ...\n"
    private = "    def __init__(self): ...\n    def _b(self): ...\n    def b(self): ...\n"

    assert found("class C:\n" + accessors + private) == {}
    assert found("class C:\n" + accessors + private + "    def c(self): ...\n") == {"m.py:C": "3 public methods, at most 2"}


def test_what_is_over_must_be_split_listed_or_a_facade() -> None:
    over = [budgets.Excess("m.py", "500 lines, at most 400"), budgets.Excess("m.py:C", "9 public methods, at most 7")]

    assert budgets.verdict(over, {"m.py:C"}, {"m.py": "one table"}) == []
    assert budgets.verdict(over, set(), {"m.py": "one table"}) == ["m.py:C: 9 public methods, at most 7. Split it by concept"]


def test_the_list_of_excesses_stays_short_and_true() -> None:
    listed = {f"m{n}.py": "reason" for n in range(6)}
    over = [budgets.Excess(where, "500 lines") for where in listed]

    assert budgets.verdict(over, set(), listed) == ["6 excesses are listed, at most 5 may be"]
    assert budgets.verdict([], set(), {"m.py": "reason"}) == ["m.py: is within its budget. Take it off the list of excesses"]
