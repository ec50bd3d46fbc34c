"""Each claim of a row holds or fails by what was measured, and by nothing else."""

from __future__ import annotations

import pytest

from afresh.cli.demo import by_hand, cookbook, factorial, invalidation, second_process, stampede
from afresh.cli.demo.findings import Findings, NotMeasured

ALL = stampede.PROCESSES * (stampede.THREADS + stampede.TASKS)


def visits(**changed: object) -> dict[str, object]:
    rendered, cached = {"queries": 10, "ms": 30.0}, {"queries": 0, "ms": 1.0}
    return {
        "first": rendered,
        "more": cached,
        "visited": 200,
        "expired": rendered,
        "after_expired": cached,
        "edited": rendered,
        "after_edited": cached,
        "fresh": True,
    } | changed


def failed(findings: Findings) -> list[str]:
    return [claim.what for claim in findings.claims if not claim.holds]


@pytest.mark.parametrize(
    "findings",
    [
        factorial.judge(50.0, 0.2, 5.0, 0.25, right=True),
        second_process.judge(known=1000, computed=200, elapsed_ms=1.0, right=True),
        cookbook.judge(visits()),
        stampede.judge([1, 0], [101.0] * ALL),
        stampede.judge([1, 1], [101.0] * ALL),
        invalidation.judge(20, 0),
        invalidation.judge(0, 0),
    ],
)
def test_the_claims_hold_on_good_findings(findings: Findings) -> None:
    assert failed(findings) == []


@pytest.mark.parametrize(
    ("findings", "claim"),
    [
        (factorial.judge(50.0, 0.2, 5.0, 0.251, right=True), "at least 20 times faster than the tutorial's way"),
        (factorial.judge(50.0, 0.2, 5.0, 0.1, right=False), "both ways give the factorial"),
        (second_process.judge(known=1000, computed=201, elapsed_ms=1.0, right=True), "it computes the 200 new rows alone"),
        (second_process.judge(known=0, computed=1200, elapsed_ms=1.0, right=True), "it computes the 200 new rows alone"),
        (second_process.judge(known=1000, computed=200, elapsed_ms=1.0, right=False), "its value is the factorial"),
        (cookbook.judge(visits(more={"queries": 1, "ms": 1.0})), "200 more visits without a query"),
        (cookbook.judge(visits(first={"queries": 0, "ms": 1.0})), "200 more visits without a query"),
        (cookbook.judge(visits(expired={"queries": 0, "ms": 1.0})), "after its ttl, queries for one visit"),
        (cookbook.judge(visits(after_expired={"queries": 10, "ms": 1.0})), "after its ttl, queries for one visit"),
        (cookbook.judge(visits(edited={"queries": 0, "ms": 1.0})), "after an edit, queries for one visit"),
        (cookbook.judge(visits(fresh=False)), "the edit is on the page at once"),
        (stampede.judge([2, 0], [101.0] * ALL), "at most 1 computation in each process"),
        (stampede.judge([1, 0], [101.0] * (ALL - 1)), f"all {ALL} callers get the value"),
        (invalidation.judge(20, 1), "an invalidation leaves nothing old behind"),
    ],
)
def test_a_claim_fails_on_bad_findings(findings: Findings, claim: str) -> None:
    assert failed(findings) == [claim]


def test_the_race_serves_the_old_value_from_a_cache_that_does_not_watch_for_it() -> None:
    kept: dict[str, int] = {}

    def get(compute):
        if "price" not in kept:
            kept["price"] = compute()
        return kept["price"]

    assert invalidation.serves_old(get, kept.clear)
    assert not invalidation.serves_old(lambda compute: compute(), kept.clear)


def test_the_tutorials_table_is_written_once_and_read_whole(valkey) -> None:
    with by_hand.connected("here", url=valkey.url) as redis, by_hand.cleaned(redis, "t-demo"):
        assert [by_hand.tutorial_factorial(redis, "t-demo:table", n) for n in (5, 7, 3, 0)] == [120, 5040, 6, 1]
        assert redis.hget("t-demo:table", "max") == b"7"
        assert redis.hlen("t-demo:table") == 9

    assert list(valkey.keys()) == []


def test_away_from_the_repository_the_site_is_not_measured_and_nothing_failed(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(cookbook.afresh, "__file__", str(tmp_path / "lib" / "afresh" / "__init__.py"))

    with pytest.raises(NotMeasured, match="clone it"):
        cookbook.find_site()
