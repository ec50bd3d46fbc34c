from __future__ import annotations

from hypothesis import given, settings, strategies as st

from tests.fuzz.__main__ import _MODULES, Property, _tests


@settings(database=None)
@given(st.integers())
def _none_is_large(number: int) -> None:
    assert number < 100


@given(st.integers())
def _all_are_numbers(number: int) -> None:
    assert isinstance(number, int)


def test_a_property_that_does_not_hold_is_found_with_its_smallest_example() -> None:
    finding = Property("broken", _none_is_large).turn()

    assert finding is not None
    assert "number=100" in finding


def test_a_property_that_holds_counts_its_examples() -> None:
    holding = Property("holding", _all_are_numbers)

    assert holding.turn() is None
    assert holding.turn() is None
    assert holding.examples > 100
    assert holding.spent_s > 0


def test_there_is_a_property_in_each_module() -> None:
    assert all(map(_tests, _MODULES))
