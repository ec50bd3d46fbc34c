from __future__ import annotations

import gc

import pytest

from afresh.core.keys import Namespace
from afresh.near.neighbours import TIERS, drop_in_others
from afresh.near.options import Near
from afresh.near.tier import NearTier


@pytest.fixture
def tier() -> NearTier:
    tier = NearTier(Near(), Namespace("t"))
    tier.begin()
    return tier


def hears(tier: NearTier, own: NearTier | None, name: str = "t:v:{k:k}") -> bool:
    pushes = tier.generation.pushes
    before = pushes.moment
    drop_in_others(own, ["another:v:{k:k}", name])
    assert pushes.were_silent(["another:v:{k:k}"], before)
    return not pushes.were_silent([name], before)


def test_a_tier_hears_what_others_do(tier: NearTier) -> None:
    assert hears(tier, None)
    assert hears(tier, NearTier(Near(), Namespace("t")))


@pytest.mark.parametrize(("name", "outside", "expected"), [("shop:1:k", "shop:1:", True), ("shop:1:k", "", False), ("t:t:{k:k}", "", True)])
def test_a_tier_hears_of_what_it_may_depend_on(name: str, outside: str, expected: bool) -> None:
    tier = NearTier(Near(), Namespace("t"), outside)
    tier.begin()

    assert hears(tier, None, name) is expected


def test_a_tier_is_not_told_what_it_did_itself(tier: NearTier) -> None:
    assert not hears(tier, tier)


def test_a_tier_that_keeps_nothing_is_not_told(tier: NearTier) -> None:
    tier.end()
    assert not hears(tier, None)

    tier.begin()
    assert hears(tier, None)

    tier.forget()
    assert not hears(tier, None)


def test_a_tier_is_kept_alive_by_nobody_here() -> None:
    number = id(tier := NearTier(Near(), Namespace("t")))
    tier.begin()
    assert number in TIERS

    del tier
    gc.collect()

    assert number not in TIERS
