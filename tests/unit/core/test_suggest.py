from __future__ import annotations

import inspect

import pytest

from afresh.core.suggest import names_nearest_option


@names_nearest_option
def configure(url: str, *, ttl: int = 1, namespace: str = "n") -> tuple[str, int, str]:
    """Configure something."""
    return url, ttl, namespace


def test_known_options_pass() -> None:
    assert configure("u", ttl=2) == ("u", 2, "n")
    assert configure(url="u", namespace="m") == ("u", 1, "m")


def test_a_misspelt_option_names_the_nearest() -> None:
    with pytest.raises(
        TypeError, match=r"^configure\(\) has no option 'namespcae'\. Did you mean 'namespace'\? There are: url, ttl, namespace\.$"
    ):
        configure("u", namespcae="m")


def test_an_option_like_no_other_lists_them_all() -> None:
    with pytest.raises(TypeError, match=r"^configure\(\) has no option 'xyz'\. There are: url, ttl, namespace\.$"):
        configure("u", xyz=1)


def test_a_decorator_without_parentheses_is_told_so() -> None:
    def function() -> None: ...

    with pytest.raises(TypeError, match=r"configure\(\) takes options by name only, not <function .*@cache\.configure\(\)"):
        configure("u", function)


def test_other_mistakes_are_pythons_to_tell() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'url'"):
        configure(ttl=2)


def test_the_signature_is_kept() -> None:
    assert list(inspect.signature(configure).parameters) == ["url", "ttl", "namespace"]
    assert configure.__doc__ == "Configure something."
