"""The design names ways to get the protocol wrong: each is run through the step tests of production."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

FLOWS = Path(__file__).parents[2] / "flows"

# What the models of the design call it, and where the step tests have it: a row of WRONG, or a test of its own.
DESIGN = {
    "stamps after compute": "stamps after the compute",
    "no lease": "no lease at the commit",
    "naive joining": "late followers share unproven",
    "join before compute only": "joined while the commit is under way",
    "no fill token": "no fill token, tag",
    "no key stamp": "no push of the key's stamp",
    "fill unstored": "fill of an unstored value",
    "late fill by a held stamp": "late fill by a held stamp",
    "entry before bound": "test_near_instructions.test_a_hit_that_loads_the_entry_first_is_caught",
    "renewal by SET": "renewal that brings a lease back",
    "renewal by SET XX": "renewal of whoever's lease",
    "token per process": "one mark for all claims of a process",
    "marker cleared by an invalidation": "a marker cleared by an invalidation",
    "the open set alone": "the set alone",
    "the mark alone": "the stamp alone",
    "memo table without g": "test_tables.test_a_table_without_its_fence_is_caught",
    "failure record without vector": "failure record without vector",
    "value stored without its lease, by a refresh": "refresh stored without the lease",
    "capture: no stamp of the inner key": "no stamp of the key's own",
    "capture: the stamp after the read": "own stamp taken after the read",
    "capture: stamps of now": "stamps of now, not as served",
    "late tags, whatever was pushed": "stamps after the compute, whatever was pushed",
}


@pytest.mark.parametrize("wrong", DESIGN)
def test_what_the_design_calls_wrong_is_caught(wrong: str) -> None:
    modules = {file.stem: import_module(f"tests.flows.{file.stem}") for file in FLOWS.glob("test_*.py")}
    found = {name for module in modules.values() for name in getattr(module, "WRONG", {})}
    found |= {f"{place}.{name}" for place, module in modules.items() for name in vars(module) if name.startswith("test_")}

    assert DESIGN[wrong] in found
