"""Clause 1 of the contract, under every order of the steps of the production flows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from afresh.testing import explore
from afresh.testing.stepping import Scenario
from tests.flows.scenarios import SAMPLED, SCENARIOS
from tests.flows.world import PRODUCTION, Variant, sample

RUNS = 400


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_breaks_the_contract(name: str) -> None:
    found = explore(SCENARIOS[name](PRODUCTION))

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", SAMPLED)
def test_no_schedule_drawn_breaks_the_contract(name: str) -> None:
    make: Callable[[Variant], Scenario] = SAMPLED[name]

    found = sample(make(PRODUCTION), runs=RUNS, seed=7)

    print(f"{name}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)
