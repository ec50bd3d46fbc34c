"""The reference of values is generated, and up to date."""

from __future__ import annotations

from afresh.codec.kinds import KINDS
from scripts.generate_value_reference import PAGE, render


def test_the_reference_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), "run: python scripts/generate_value_reference.py"


def test_each_code_is_given_once_and_fits_a_byte() -> None:
    codes = [kind.code for kind in KINDS]

    assert len(set(codes)) == len(codes)
    assert all(16 <= code <= 127 for code in codes)
