"""No two functions share a name, and each has the same one in every process (docs/adr/0005-function-names.md)."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from afresh import ConfigurationError
from afresh.naming import base_name, name_of


def adder(n: Any) -> Any:
    def add(x: Any) -> Any:
        return x + n

    return add


def wrapper_of(fn: Any) -> Any:
    def wrapper(x: Any) -> Any:
        return fn(x)

    return wrapper


def power(base: int, exponent: int) -> int:
    return base**exponent


class Keyed:
    def __init__(self, key: int) -> None:
        self.key = key

    def __cache_key__(self) -> int:
        return self.key

    def method(self, x: int) -> int:
        return x + self.key


def versions() -> tuple[Any, Any]:
    def version(x: int) -> int:
        return x

    first = version

    def version(x: int) -> int:  # type: ignore[no-redef]  # redefined on purpose
        return -x

    return first, version


def nested(body: int) -> Any:
    def outer() -> Any:
        def inner() -> int:
            return body

        return inner

    return outer()


PAIRS = {
    "closures over numbers": (adder(1), adder(2)),
    "closures over equal but changeable lists": (adder([]), adder([])),
    "closures over objects without identity": (adder(threading.Lock()), adder(threading.Lock())),
    "closures over 1 and True": (adder(1), adder(True)),
    "lambdas on one line": (lambda x: x + 1, lambda x: x + 2),
    "a redefinition": versions(),
    "partials": (functools.partial(power, 2), functools.partial(power, 3)),
    "bound methods": (Keyed(1).method, Keyed(2).method),
    "wrappers of two functions": (wrapper_of(power), wrapper_of(versions)),
    "closures two levels deep": (nested(1), nested(2)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_different_functions_have_different_names(pair: tuple[Any, Any]) -> None:
    taken: dict[str, Any] = {}
    first, second = (name_of(fn, taken) for fn in pair)

    assert base_name(pair[0]) == base_name(pair[1]), "the pair shows nothing: module and qualname tell them apart"
    assert first != second
    assert name_of(pair[0], taken) == first


def test_equal_functions_have_one_name() -> None:
    taken: dict[str, Any] = {}

    assert name_of(adder(1), taken) == name_of(adder(1), taken)
    assert name_of(functools.partial(power, 2), taken) == name_of(functools.partial(power, 2), taken)


def test_a_function_of_a_module_or_class_is_its_module_and_qualname() -> None:
    taken: dict[str, Any] = {}

    assert name_of(power, taken) == f"{__name__}.power"
    assert name_of(Keyed.method, taken) == f"{__name__}.Keyed.method"


def test_a_function_that_closes_over_itself_has_a_name() -> None:
    def countdown(n: int) -> int:
        return n and countdown(n - 1)

    assert name_of(countdown, {}).startswith(base_name(countdown) + "~")


def test_names_are_the_same_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from afresh.naming import name_of\ndef f(): pass\nprint(name_of(f, {}), name_of(lambda x: {x, 'a'}, {}))\n")
    names = {
        subprocess.run([sys.executable, script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    }

    assert len(names) == 1
    assert names.pop().startswith("script~")


def test_functions_of_two_scripts_have_different_names(tmp_path: Path) -> None:
    names = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        script = tmp_path / folder / "script.py"
        script.write_text("from afresh.naming import name_of\ndef f(): pass\nprint(name_of(f, {}))\n")
        names.add(subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout)

    assert len(names) == 2


def test_an_object_without_a_name_is_told_to_bring_one() -> None:
    class Callable:
        def __call__(self) -> None: ...

    with pytest.raises(ConfigurationError, match="Callable has no name of its own: pass name="):
        name_of(Callable(), {})
