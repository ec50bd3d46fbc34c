"""Run the properties of keys, values, envelopes and counters again and again, for a stated time, and say what was found.

Each property is an ordinary test with `@given`, and runs in the test suite, too, with fewer examples.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, settings

_MODULES = (
    "tests.fuzz.test_calls",
    "tests.fuzz.test_entries",
    "tests.fuzz.test_models",
    "tests.unit.core.test_canonical_properties",
    "tests.unit.core.test_keys",
    "tests.unit.core.test_envelope",
    "tests.unit.core.test_decide",
    "tests.unit.core.test_stamps",
    "tests.unit.core.test_table",
    "tests.unit.core.test_units",
    "tests.unit.codec.test_msgpack",
    "tests.unit.codec.test_integers",
    "tests.unit.codec.test_compression",
    "tests.unit.codec.test_signing",
    "tests.unit.codec.test_pickle",
    "tests.unit.codec.test_hostile",
)
# A slice of one property's time: long enough for hypothesis to get going, short enough for all of them to have their turns.
_EXAMPLES_A_TURN = 200


@dataclass
class Property:
    """A test with `@given`, how many examples it has seen, and for how long."""

    name: str
    test: Any
    examples: int = 0
    spent_s: float = 0.0

    def __post_init__(self) -> None:
        inner = self.test.hypothesis.inner_test

        @wraps(inner)
        def counting(*args: Any, **kwargs: Any) -> Any:
            self.examples += 1
            return inner(*args, **kwargs)

        self.test.hypothesis.inner_test = counting

    def turn(self) -> str | None:
        """Run it once. Returns what went wrong, with the smallest example."""
        started_s = time.monotonic()
        try:
            self.test()
        except Exception:  # noqa: BLE001  whatever it is, it is a finding, and the others go on
            return traceback.format_exc()
        finally:
            self.spent_s += time.monotonic() - started_s
        return None


def _properties(only: str) -> list[Property]:
    settings.register_profile(
        "fuzz", max_examples=_EXAMPLES_A_TURN, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    settings.load_profile("fuzz")
    found = [Property(f"{module.rpartition('.')[2]}.{name}", test) for module in _MODULES for name, test in _tests(module).items()]
    return [each for each in found if only in each.name]


def _tests(name: str) -> dict[str, Callable[..., Any]]:
    module: ModuleType = importlib.import_module(name)
    return {name: test for name, test in vars(module).items() if name.startswith("test_") and hasattr(test, "hypothesis")}


def fuzz(seconds: float, only: str = "") -> int:
    """Give each property its turn until the time is up. Returns how many of them do not hold."""
    properties = _properties(only)
    broken: list[str] = []
    until_s = time.monotonic() + seconds
    while properties and time.monotonic() < until_s:
        # Who has had the least time is next, so that slow properties are not all that runs.
        each = min(properties, key=lambda each: each.spent_s)
        if (finding := each.turn()) is not None:
            print(f"FOUND {each.name}\n{finding}", flush=True)
            broken.append(each.name)
            properties.remove(each)
    for each in properties:
        print(f"{each.examples:9,} examples {each.examples / max(each.spent_s, 1e-9):9,.0f}/s  {each.name}")
    total = sum(each.examples for each in properties)
    print(f"{total:,} examples in {seconds:,.0f} s, {total / seconds:,.0f}/s; {len(broken)} findings: {', '.join(broken) or 'none'}")
    return len(broken)


def main() -> int:
    """Run as ``python -m tests.fuzz``."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="how long in all (default: an hour)")
    parser.add_argument("--only", default="", help="properties whose name contains this")
    options = parser.parse_args()
    return 1 if fuzz(options.seconds, options.only) else 0


if __name__ == "__main__":
    sys.exit(main())
