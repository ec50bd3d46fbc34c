"""Every place in the package that raises a public error has a trigger here, and says what was given and what to do."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.corner_cases.raising import Site, passed_by, sites
from tests.corner_cases.triggers import ELSEWHERE, TRIGGERS, UNSEEN

TESTS = Path(__file__).parents[1]


class Raised(NamedTuple):
    text: str
    at: frozenset[Site]


@functools.cache
def raised(name):
    deed, _ = TRIGGERS[name]
    try:
        deed()
    except Exception as error:  # noqa: BLE001  # whichever it is: its place is what counts
        return Raised(str(error), frozenset(passed_by(error)))
    return Raised("nothing was raised", frozenset())


@pytest.mark.parametrize("name", TRIGGERS)
def test_an_error_says_what_was_given_and_what_to_do(name):
    text, at = raised(name)

    assert re.search(TRIGGERS[name][1], text, re.DOTALL)
    assert at, "it came from somewhere else"
    assert len(text) < 1000


def test_every_place_that_raises_has_a_trigger():
    """A new ``raise`` needs one: add it to tests/corner_cases/triggers.py, where users can cause it."""
    reached = frozenset().union(*(raised(name).at for name in TRIGGERS))
    left = [site for site in sites() if site not in reached and not any(is_unseen(site, what) for what in UNSEEN)]

    assert [str(site) for site in left if not any(map(site.place.startswith, ELSEWHERE))] == []
    assert [place for place in ELSEWHERE if not any(site.place.startswith(place) for site in left)] == [], (
        "these have a trigger, or are gone"
    )


def test_what_is_triggered_elsewhere_is():
    for test in ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert re.search(rf"^(async )?def {name}\b", (TESTS / file).read_text(), re.MULTILINE), test


def is_unseen(site, what):
    if what.startswith("raise "):
        return site.text.startswith(what)
    return site.place.startswith(what) and (what != "codec/" or site.text.startswith(("raise TypeError", "raise ValueError")))
