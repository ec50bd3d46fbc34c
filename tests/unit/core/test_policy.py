from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from afresh.core.policy import LEASE_MS, Policy, hard_ttl_ms, jittered_ms, pause_after_ms, tag_ttl_ms
from afresh.core.units import MAX_TTL_MS

ttls = st.integers(0, MAX_TTL_MS)


def test_the_ttl_may_depend_on_the_value() -> None:
    assert Policy(1000).ttl_for("any") == 1000
    assert Policy(MAX_TTL_MS, ttl_of=lambda value: len(value)).ttl_for("four") == 4
    assert Policy(None).ttl_for("any") is None


@given(ttl_ms=ttls, stale_ttl_ms=ttls)
def test_an_entry_lives_as_long_as_it_may_be_served_and_at_most_thirty_days(ttl_ms: int, stale_ttl_ms: int) -> None:
    assert hard_ttl_ms(ttl_ms, stale_ttl_ms) == min(ttl_ms + stale_ttl_ms, MAX_TTL_MS)


def test_djangos_longer_ttls_are_kept() -> None:
    assert hard_ttl_ms(2 * MAX_TTL_MS, 1000) == 2 * MAX_TTL_MS


@given(ttl_ms=ttls, stale_ttl_ms=ttls)
def test_a_tags_stamp_outlives_the_compute_and_twice_the_entry(ttl_ms: int, stale_ttl_ms: int) -> None:
    assert tag_ttl_ms(ttl_ms, stale_ttl_ms) >= LEASE_MS + 2 * hard_ttl_ms(ttl_ms, stale_ttl_ms)


def test_what_never_ends_has_no_ttl_nor_have_its_tags() -> None:
    assert hard_ttl_ms(None, 0) == 0
    assert tag_ttl_ms(None, 0) == 0


def test_only_what_never_ends_has_no_ttl() -> None:
    assert tag_ttl_ms(0, 0) > 0


def test_the_longest_ttl_counts_exceptions_in() -> None:
    assert Policy(1000).longest_ttl_ms == 1000
    assert Policy(1000, negative=((LookupError, 500), (ValueError, 2000))).longest_ttl_ms == 2000
    assert Policy(None, negative=((LookupError, 500),)).longest_ttl_ms is None


@pytest.mark.parametrize(("error", "ttl_ms"), [(KeyError(), 500), (LookupError(), 500), (ValueError(), 2000), (OSError(), None)])
def test_the_first_declaration_that_fits_an_exception_counts(error: Exception, ttl_ms: int | None) -> None:
    policy = Policy(1000, negative=((LookupError, 500), (KeyError, 700), (ValueError, 2000)))

    assert policy.negative_ttl_ms(error) == ttl_ms


def test_an_interruption_is_never_kept() -> None:
    assert Policy(1000, negative=((Exception, 500),)).negative_ttl_ms(KeyboardInterrupt()) is None


@given(ttl_ms=st.integers(1, MAX_TTL_MS), rand=st.floats(0, 1, exclude_min=True))
def test_by_chance_a_ttl_is_a_little_shorter_and_never_longer(ttl_ms: int, rand: float) -> None:
    assert 0.95 * ttl_ms - 1 <= (jittered_ms(ttl_ms, 0.05, rand) or 0) <= ttl_ms
    assert jittered_ms(ttl_ms, 0.05, 1.0) == jittered_ms(ttl_ms, 0, rand) == ttl_ms


@pytest.mark.parametrize("ttl_ms", [0, None])
def test_what_is_not_stored_or_never_ends_has_no_jitter(ttl_ms: int | None) -> None:
    assert jittered_ms(ttl_ms, 0.05, 0.5) == ttl_ms


def test_an_entry_is_kept_as_long_as_it_is_of_use() -> None:
    assert Policy(1000, stale_ttl_ms=10, stale_if_error_ms=20).kept_ms == 20
    assert Policy(1000, stale_ttl_ms=20, stale_if_error_ms=10).kept_ms == 20


def test_a_bounded_call_waits_for_others_no_longer_than_for_itself() -> None:
    assert Policy(1000, wait_ms=5).longest_wait_ms == 5
    assert Policy(1000, wait_ms=5, compute_timeout_ms=7).longest_wait_ms == 7


@pytest.mark.parametrize(("overdue_ms", "pause_ms"), [(-5, 2), (0, 2), (16, 2), (80, 10), (400, 50), (10**6, 50)])
def test_who_waits_looks_more_and_more_rarely(overdue_ms: float, pause_ms: float) -> None:
    assert pause_after_ms(overdue_ms) == pause_ms
