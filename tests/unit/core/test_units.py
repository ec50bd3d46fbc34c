from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from afresh.core.units import MAX_TTL_MS, duration_ms, size_bytes
from afresh.errors import ConfigurationError


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (0, 0),
        (1, 1000),
        (0.25, 250),
        (1.0005, 1001),
        (1e-9, 1),
        (0.1 + 0.2, 300),
        ("90s", 90_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("1h30m15s250ms", 5_415_250),
        ("1.5h", 5_400_000),
        ("250ms", 250),
        ("0.4ms", 1),
        ("0s", 0),
        ("30d", MAX_TTL_MS),
        ("2w", 14 * 86_400_000),
        (timedelta(minutes=5), 300_000),
        (timedelta(microseconds=1), 1),
        (timedelta(0), 0),
    ],
)
def test_durations_are_whole_milliseconds(value: object, ms: int) -> None:
    assert duration_ms(value) == ms


@given(seconds=st.floats(min_value=0, exclude_min=True, max_value=1e9))
def test_a_positive_duration_is_never_nothing(seconds: float) -> None:
    assert duration_ms(seconds) >= 1 or seconds < 1e-9


@pytest.mark.parametrize(
    "value",
    [
        "",
        "5",
        "m",
        "5 m",
        "-5m",
        "5m ",
        "1h-30m",
        "five",
        "5M",
        "٥m",
        "1e3s",
        -1,
        -0.1,
        float("inf"),
        float("nan"),
        1e308,
        "9" * 400 + "s",
        True,
        Decimal(5),
        [],
        b"5m",
    ],
)
def test_what_is_no_duration_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^stale_ttl=.* is not a duration: give seconds, text such as '90s'"):
        duration_ms(value, what="stale_ttl")


def test_a_negative_timedelta_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not a duration"):
        duration_ms(timedelta(seconds=-1))


def test_none_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(ConfigurationError, match=r"ttl=None is not a duration.* Omit it to use the cache's default\."):
        duration_ms(None, what="ttl")


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (0, 0),
        (4096, 4096),
        ("0B", 0),
        ("10kB", 10_000),
        ("10KB", 10_000),
        ("1KiB", 1024),
        ("64MiB", 64 * 2**20),
        ("1.5 GiB", 3 * 2**29),
        ("2MB", 2_000_000),
        ("1GB", 10**9),
    ],
)
def test_sizes_are_bytes(value: object, size: int) -> None:
    assert size_bytes(value) == size


@pytest.mark.parametrize("value", ["", "10", "MiB", "10 mib", "-1B", "1TiB", "1KiB1B", "9" * 400 + "B", -1, 1.5, True, None, b"1B"])
def test_what_is_no_size_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^max_bytes=.* is not a size: give bytes, or text such as '64MiB'"):
        size_bytes(value, what="max_bytes")
