"""The checker, on histories written by hand: each clause has one that keeps it and some that break it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from afresh.testing.chaos.checker import Report, Terms, check
from afresh.testing.chaos.history import Compute, Fault, History, Invalidation, Outcome, Raised, Read, Tier
from afresh.testing.chaos.places import FUNCTIONS, Way, entry_of, scope

S = 1_000_000_000
PLAIN = entry_of("plain", 1)
KEY = scope(Way.KEY, PLAIN)
TERMS = Terms(budget_ns=S // 4, margin_ns=S, max_stale_ns=2 * S)


def read(
    start: float, computed: float, *, process: int = 1, entry: int = PLAIN, took: float = 0.01, compute: int | None = None, **more: Any
) -> Read:
    number = int(computed * 1000) if compute is None else compute
    return Read(process, entry, int(start * S), int((start + took) * S), number, int(computed * S), **more)


def invalidation(
    start: float, end: float, *, process: int = 2, number: int = 1, what: int = KEY, outcome: int = Outcome.APPLIED
) -> Invalidation:
    return Invalidation(process, number, what, int(start * S), int(end * S), outcome, int((start - 1) * S))


def judged(reads: Sequence[Read], invalidations: Sequence[Invalidation] = (), *, terms: Terms = TERMS, **more: Any) -> Report:
    """Judge these, every value of a compute of its own entry."""
    computes = {each.compute: Compute(9, each.entry, each.compute, each.computed_ns, each.computed_ns + S // 100) for each in reads}
    return check(History(reads, invalidations, **{"computes": computes} | more), terms)


def broken(report: Report) -> list[int]:
    return [number for number, clause in report.clauses.items() if clause.broken]


# --- clause 1 ------------------------------------------------------------------------------------------------------
def test_a_value_from_after_the_call_is_right() -> None:
    report = judged([read(3.0, 1.5)], [invalidation(1, 2)])

    assert report.is_kept
    assert (report.reads, report.hits, report.stale, report.lost) == (1, 1, 0, 0)


def test_a_value_from_before_the_call_is_stale_once_it_returned() -> None:
    report = judged([read(3.0, 0.9)], [invalidation(1, 2)])

    assert broken(report) == [1]
    assert report.stale == 1
    assert report.clauses[1].broken[0].what == "plain(1) read 1000.0 ms after plain(1) was invalidated, computed 100.0 ms before"


def test_a_read_that_began_before_the_return_may_have_either() -> None:
    assert judged([read(1.9, 0.9)], [invalidation(1, 2)]).is_kept


def test_an_older_invalidation_that_returned_late_does_not_hide_a_newer_one() -> None:
    report = judged([read(6.0, 2.0)], [invalidation(3, 3.5, number=1), invalidation(2.9, 4, number=2)])

    assert broken(report) == [1]


def test_a_later_return_of_an_older_call_forbids_less_than_what_returned_before() -> None:
    assert judged([read(6.0, 3.1)], [invalidation(3, 3.5, number=1), invalidation(2.9, 4, number=2)]).is_kept


@pytest.mark.parametrize("what", [scope(Way.TAG, 1), scope(Way.FUNCTION, FUNCTIONS.index("plain")), scope(Way.NAMESPACE)])
def test_every_way_to_invalidate_counts(what: int) -> None:
    assert broken(judged([read(3.0, 0.5)], [invalidation(1, 2, what=what)])) == [1]


@pytest.mark.parametrize("what", [scope(Way.TAG, 2), scope(Way.FUNCTION, FUNCTIONS.index("aging")), scope(Way.KEY, PLAIN + 1)])
def test_what_does_not_cover_the_entry_does_not_count(what: int) -> None:
    assert judged([read(3.0, 0.5)], [invalidation(1, 2, what=what)]).is_kept


def test_an_entry_of_get_or_compute_has_no_function() -> None:
    function = scope(Way.FUNCTION, FUNCTIONS.index("given"))

    assert judged([read(3.0, 0.5, entry=entry_of("given", 1))], [invalidation(1, 2, what=function)]).is_kept


# --- clause 2 ------------------------------------------------------------------------------------------------------
def test_near_may_be_stale_for_as_long_as_it_was_promised() -> None:
    assert judged([read(3.9, 0.5, tier=Tier.NEAR)], [invalidation(1, 2)]).is_kept
    assert broken(judged([read(4.1, 0.5, tier=Tier.NEAR)], [invalidation(1, 2)])) == [2]


def test_near_shows_a_process_its_own_effect_at_once() -> None:
    assert broken(judged([read(2.1, 0.5, tier=Tier.NEAR, process=2)], [invalidation(1, 2, process=2)])) == [2]


# --- clause 3 ------------------------------------------------------------------------------------------------------
COMMIT = invalidation(1, 2, outcome=Outcome.COMMITTED)


def test_nothing_from_before_a_commit_is_read_after_it() -> None:
    assert broken(judged([read(3.0, 0.5)], [COMMIT])) == [3]
    assert judged([read(3.0, 1.5)], [COMMIT]).is_kept


def test_near_may_serve_from_before_a_commit_for_a_while() -> None:
    assert judged([read(3.9, 0.5, tier=Tier.NEAR)], [COMMIT]).is_kept
    assert broken(judged([read(4.1, 0.5, tier=Tier.NEAR)], [COMMIT])) == [3]


def test_a_commit_within_which_the_server_lost_its_data_is_not_judged_and_said_so() -> None:
    report = judged([read(3.0, 0.5)], [COMMIT], faults=[Fault("FLUSHALL", S, S, 1)])

    assert report.is_kept
    assert report.clauses[3].unjudged == {"the server lost data within the transaction": 1}


def test_data_lost_before_the_mark_or_after_the_commit_excuses_nothing() -> None:
    for at in (-1, 3):
        assert broken(judged([read(3.0, 0.5)], [COMMIT], faults=[Fault("FLUSHALL", at * S, at * S, 1)])) == [3]


# --- clause 4 ------------------------------------------------------------------------------------------------------
def test_a_read_that_raises_breaks_the_contract() -> None:
    assert broken(judged([], raised=[Raised(1, PLAIN, S, S)])) == [4]


def test_a_read_that_takes_longer_than_its_budget_and_margin_breaks_the_contract() -> None:
    assert judged([read(3.0, 1.0, took=1.2)]).is_kept
    report = judged([read(3.0, 1.0, took=1.3)])

    assert broken(report) == [4]
    assert report.worst_ns == int(1.3 * S)


def test_neither_computing_nor_waiting_for_it_counts() -> None:
    slow = Compute(9, PLAIN, 1000, S, 60 * S)

    assert judged([read(3.0, 1.0, took=30)], computes={1000: slow}).is_kept


def test_a_compute_without_an_end_keeps_others_waiting_for_a_lease_only() -> None:
    killed = Compute(9, PLAIN, 1000, S, 0)

    def run(took: float) -> Report:
        return judged([read(3.0, 1.0, took=took)], computes={1000: killed}, died_at={9: 3 * S})

    assert run(5 + 1.4).is_kept
    assert broken(run(5 + 1.6)) == [4]


def test_time_in_which_a_client_is_stopped_does_not_count() -> None:
    assert judged([read(3.0, 1.0, took=6)], faults=[Fault("SIGSTOP of a client", 3 * S, 4 * S, 1)]).is_kept


def test_a_lost_reply_may_leave_a_lease_to_wait_for_but_not_to_those_who_are_served_what_is_there() -> None:
    lost = [Fault("drop", int(2.5 * S), 3 * S, 1)]

    assert judged([read(3.0, 3.001, took=6)], faults=lost).is_kept
    assert broken(judged([read(3.0, 3.001, took=6.6)], faults=lost)) == [4]
    assert broken(judged([read(3.0, 1.0, took=6)], faults=lost)) == [4]
    assert judged([read(3.0, 1.0, took=6, entry=entry_of("batch", 1))], faults=lost).is_kept, "others of its batch waited"


def test_an_invalidation_has_a_budget_too() -> None:
    assert broken(judged([], [invalidation(1, 2.3)])) == [4]


def test_a_value_of_no_compute_or_of_another_entry_breaks_the_contract() -> None:
    other = Compute(9, PLAIN + 1, 1000, S, S)

    assert broken(judged([read(3.0, 1.0)], computes={})) == [4]
    assert broken(judged([read(3.0, 1.0)], computes={1000: other})) == [4]


def test_a_queued_invalidation_counts_from_its_replay_on() -> None:
    queued = invalidation(1, 2, outcome=Outcome.QUEUED)

    assert judged([read(3.0, 0.5)], [queued], replayed={(2, 1): 4 * S}).is_kept
    assert broken(judged([read(5.0, 0.5)], [queued], replayed={(2, 1): 4 * S})) == [1]


def test_a_queued_invalidation_that_is_never_replayed_is_lost_unless_its_process_was_killed() -> None:
    queued = invalidation(1, 2, outcome=Outcome.QUEUED)

    assert judged([], [queued]).lost == 1
    report = judged([], [queued], died_at={2: 3 * S})
    assert report.is_kept
    assert report.clauses[4].unjudged == {"queued by a process that was killed": 1}


def test_until_the_replay_its_own_process_returns_nothing_older() -> None:
    queued = invalidation(1, 2, outcome=Outcome.QUEUED)

    assert broken(judged([read(3.0, 0.5, process=2)], [queued], replayed={(2, 1): 4 * S})) == [4]


def test_where_nothing_is_replayed_an_unapplied_invalidation_promises_nothing() -> None:
    queued = invalidation(1, 2, outcome=Outcome.QUEUED)

    assert judged([read(3.0, 0.5, process=2)], [queued], terms=Terms(replays=False)).is_kept


def test_what_an_old_primary_acknowledged_last_is_not_judged_and_said_so() -> None:
    report = judged([read(3.0, 0.5)], [invalidation(1, 2)], faults=[Fault("failover", int(1.5 * S), int(2.6 * S), 1)])

    assert report.is_kept
    assert sum(report.clauses[1].unjudged.values()) == 1


# --- what is reported ----------------------------------------------------------------------------------------------
def test_an_invalidation_that_a_read_in_the_calm_contradicts_is_lost() -> None:
    reads = [read(3.0, 0.5), read(9.0, 0.5), read(9.5, 0.5)]

    assert judged(reads, [invalidation(1, 2)], calm_since_ns=8 * S).lost == 1
    assert judged(reads[:1], [invalidation(1, 2)], calm_since_ns=8 * S).lost == 0


def test_faults_are_counted_and_whether_anything_was_judged_under_them() -> None:
    faults = [
        Fault("reset", 3 * S, 3 * S, 2),
        Fault("reset", 90 * S, 91 * S, 1),  # nothing was read any more
        Fault("FLUSHALL", 2 * S, 2 * S, 0),  # had no effect
    ]
    report = judged([read(3.0, 1.5)], [invalidation(1, 2)], faults=faults)

    assert report.clauses[1].covered == {"reset": (2, 1)}


def test_hits_are_what_was_there_before() -> None:
    report = judged([read(3.0, 1.0), read(3.0, 3.001)])

    assert (report.reads, report.hits) == (2, 1)


def test_invalidations_are_counted_by_what_became_of_them() -> None:
    fates = [
        invalidation(1, 2),
        invalidation(1, 2, number=2, outcome=Outcome.QUEUED),
        invalidation(1, 2, number=3, outcome=Outcome.QUEUED),
        invalidation(1, 2, number=4, outcome=Outcome.COMMITTED),
    ]

    assert judged([], fates, replayed={(2, 2): 3 * S}).invalidations == {"applied": 1, "replayed": 1, "not applied": 1, "committed": 1}
