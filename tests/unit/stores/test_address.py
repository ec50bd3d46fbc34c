"""URLs that cannot be, and what is not repeated of them."""

from __future__ import annotations

import pytest

from afresh import Cache, ConfigurationError


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hid℀den@host",
        "redis://:pass?hidden@host/0",
        "redis://:123?hidden=word@host/0",
        "redis://user:hidden@[::1",
        "redis://:123/hidden@host",
        "redis://:123#hidden@host",
        "redis://:hidden/word@host",
        "redis://:hidden@host:port/0",
        "hidden://:hidden@host",
        ":hidden@host",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Cache(url)
    assert "hid" not in str(caught.value).replace("hidden://", "")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["redis://host/?db=-1", "redis://host/?db=1_0", "memory://?max_entries=-5", "redis://host/?db="])
def test_an_option_that_is_no_number_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a number"):
        Cache(url)
