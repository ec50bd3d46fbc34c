"""What is made of counts of instructions."""

from __future__ import annotations

import json

import pytest

from benchmarks import import_cost
from scripts.guard import BASELINE, per_call, shares_of_redis, verdict
from scripts.guarded_paths import REPEATS, TIMES

REFERENCE, GET = list(TIMES)[:2]
SLOWER_REFERENCE = 1.2


def test_what_is_around_a_loop_cancels() -> None:
    around, per_mark = 5_000, 70
    counts = [1_000_000]
    for at, times in enumerate(TIMES.values(), 1):
        for _ in range(REPEATS):
            counts += [around + times * 100 * at, per_mark, around + 2 * times * 100 * at, per_mark]

    assert per_call(counts[:-1]) == {name: 100 * at for at, name in enumerate(TIMES, 1)}


@pytest.mark.parametrize(("growth", "is_slower"), [(1.029, False), (1.031, True), (0.5, False)])
def test_a_path_may_grow_by_3_percent(growth: float, is_slower: bool) -> None:
    assert verdict({REFERENCE: 1001, GET: 1000 * growth}, {REFERENCE: 1000, GET: 1000})[1] is is_slower


@pytest.mark.parametrize(("growth", "is_slower"), [(1.09, False), (1.11, True)])
def test_another_build_of_python_is_allowed_for(growth: float, is_slower: bool) -> None:
    counts = {REFERENCE: 1000 * SLOWER_REFERENCE, GET: 1000 * SLOWER_REFERENCE * growth}

    assert verdict(counts, {REFERENCE: 1000, GET: 1000})[1] is is_slower


def test_a_gain_is_shown_so_that_it_is_kept() -> None:
    lines, _ = verdict({REFERENCE: 1000, GET: 900}, {REFERENCE: 1000, GET: 1000})

    assert "-10.0%" in lines[-1]
    assert lines[-1].endswith("a new baseline would keep this")


@pytest.mark.parametrize(("cost", "is_over"), [(500, False), (501, True)])
def test_an_import_may_cost_half_of_importing_redis(cost: int, is_over: bool) -> None:
    imports = {import_cost.AGAINST: 1000, **dict.fromkeys(import_cost.STATEMENTS[1:], 1), import_cost.STATEMENTS[0]: cost}

    assert shares_of_redis(imports)[1] is is_over


def test_every_supported_python_has_its_baseline() -> None:
    baselines = json.loads(BASELINE.read_text())
    counted = [*TIMES, *import_cost.STATEMENTS]
    assert {version: list(counts) for version, counts in baselines.items()} == dict.fromkeys(("3.11", "3.12", "3.13"), counted)
