"""The diagrams of states are generated, and up to date."""

from __future__ import annotations

from scripts.generate_state_diagrams import BREAKER, LEASE, NEAR, TAG, explored, render


def test_the_diagrams_are_up_to_date() -> None:
    for path, text in render().items():
        assert path.read_text() == text, "run: python -m scripts.generate_state_diagrams"


def test_only_a_claim_gives_us_the_lease() -> None:
    assert {event for (_, reached), events in explored(LEASE).items() if reached == "ours" for event in events} == {"claim"}


def test_no_invalidation_and_no_eviction_of_one_name_makes_a_dirty_tag_clean() -> None:
    cleaning = {event for (state, _), events in explored(TAG).items() if state.startswith("dirty") for event in events}

    assert "invalidation" not in cleaning
    assert "its stamp is evicted" not in cleaning


def test_the_near_tier_serves_after_a_proof_only() -> None:
    serving = {event for (_, reached), events in explored(NEAR).items() if reached == "serving" for event in events}

    assert serving == {"a beat proves that all pushes have arrived"}


def test_every_state_of_the_breaker_leads_back_to_closed() -> None:
    arrows = explored(BREAKER)
    states = {state for arrow in arrows for state in arrow} - {"closed"}

    assert states == {state for state, reached in arrows if reached == "closed"}
