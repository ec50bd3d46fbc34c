from __future__ import annotations

import pytest

from afresh import Near
from afresh.errors import ConfigurationError


def test_options_are_read_as_people_write_them():
    near = Near(max_bytes="1MiB", max_entries=10, max_stale="500ms")

    assert (near.max_bytes, near.max_entries, near.max_stale_ms) == (2**20, 10, 500)


@pytest.mark.parametrize(
    "options",
    [
        {"max_bytes": 0},
        {"max_bytes": "much"},
        {"max_entries": 0},
        {"max_entries": True},
        {"max_entries": "10"},
        {"max_stale": 0},
        {"max_stale": "49ms"},
    ],
)
def test_what_cannot_be_is_refused_by_name(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Near(**options)


def test_a_misspelt_option_names_the_nearest():
    with pytest.raises(TypeError, match="max_stale"):
        Near(max_stal=1)
