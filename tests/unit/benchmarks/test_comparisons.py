"""The harness: what a comparison computes, and that every area still measures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import Comparison
from benchmarks.__main__ import AREAS, RESULTS
from benchmarks._profile import profiled
from benchmarks._report import profiles

ROOT = Path(__file__).parents[3]


def test_a_ratio_is_taken_round_by_round_so_that_a_slow_moment_meets_both() -> None:
    samples = {"floor": [10.0, 100.0, 10.0], "ours": [15.0, 150.0, 15.0]}

    assert Comparison("work", samples).ratio("ours") == 1.5


def test_spread_leaves_out_the_tenth_at_each_end() -> None:
    comparison = Comparison("work", {"floor": [float(us) for us in range(1, 102)]})

    assert comparison.median_us("floor") == 51
    assert comparison.spread_us("floor") == (11, 91)


# tests/unit/test_import_cost.py has that one; hanging waits for the slowest of the peers.
@pytest.mark.parametrize("area", sorted(set(AREAS) - {"import_cost", "hanging"}))
def test_an_area_measures_and_a_part_of_them_is_no_report(area: str) -> None:
    before = RESULTS.read_bytes()

    told = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--rounds", "2", area], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert "| floor: " in told
    assert "| afresh: " in told
    assert RESULTS.read_bytes() == before


def test_an_aim_is_missed_if_the_upper_end_of_the_interval_is_beyond_it() -> None:
    samples = {"floor": [10.0] * 5, "near": [14.0] * 4 + [16.0], "under": [14.0] * 5}

    assert Comparison("work", samples, aims={"near": 1.5, "under": 1.5}).missed() == ["near"]


def test_what_misses_its_aim_is_told_with_its_profile() -> None:
    comparison = Comparison("work", {"floor": [1.0, 1.0], "ours": [2.0, 2.0]}, {"ours": 1.5}, profiles={"ours": lambda: profiled(slow)})

    told = "\n".join(profiles(comparison, comparison.missed()))

    assert "Work: ours" in told
    assert "Aim ≤ 1.5, measured 2.00 (2.00–2.00)." in told
    assert "test_comparisons.py" in told


def slow(times: int) -> float:
    return float(sum(range(1000 * times)))


@pytest.mark.parametrize("arguments", [["--rounds", "1"], ["keyz"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    ran = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert arguments[-1] in ran.stderr or "at least 2" in ran.stderr
