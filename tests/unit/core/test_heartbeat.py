"""What an answered heartbeat proves, and when the next one is due."""

from __future__ import annotations

from math import inf

import pytest

from afresh.core.heartbeat import Heartbeat, next_pause_s, pause_s


def beat(heartbeat: Heartbeat, sent_at: float) -> float:
    assert heartbeat.is_due(sent_at)
    heartbeat.sent(sent_at)
    return heartbeat.answered()


def test_the_first_answer_proves_nothing_and_the_second_beat_follows_at_once() -> None:
    heartbeat = Heartbeat(2.0)

    assert heartbeat.wait_s(10.0) == 0
    assert beat(heartbeat, 10.0) == -inf
    assert heartbeat.is_due(10.0)
    assert beat(heartbeat, 10.1) == 12.0


def test_an_answer_proves_what_had_changed_when_the_beat_before_it_was_sent() -> None:
    heartbeat = Heartbeat(2.0)
    bounds = [beat(heartbeat, at) for at in (10.0, 10.5, 11.0, 11.5)]

    assert bounds == [-inf, 12.0, 12.5, 13.0]


@pytest.mark.parametrize(("max_stale_s", "period_s"), [(0.2, 0.05), (2.0, 0.5), (60.0, 0.5)])
def test_beats_come_four_times_in_max_stale_and_twice_a_second_at_least(max_stale_s: float, period_s: float) -> None:
    heartbeat = Heartbeat(max_stale_s)
    beat(heartbeat, 9.0)
    beat(heartbeat, 10.0)

    assert heartbeat.wait_s(10.0) == pytest.approx(period_s)
    assert not heartbeat.is_due(10.0 + 0.99 * period_s)
    assert heartbeat.is_due(10.0 + 1.01 * period_s)


def test_no_beat_is_sent_before_the_last_one_is_answered() -> None:
    heartbeat = Heartbeat(2.0)
    heartbeat.sent(10.0)

    assert not heartbeat.is_due(11.9)
    assert heartbeat.wait_s(10.5) == 1.5


@pytest.mark.parametrize(("max_stale_s", "patience_s"), [(0.1, 2.0), (10.0, 10.0)])
def test_a_silent_connection_is_given_up_once_it_could_prove_nothing_any_more(max_stale_s: float, patience_s: float) -> None:
    heartbeat = Heartbeat(max_stale_s)
    assert not heartbeat.is_lost(1e9)
    heartbeat.sent(10.0)

    assert not heartbeat.is_lost(10.0 + patience_s)
    assert heartbeat.is_lost(10.1 + patience_s)


def test_a_busy_server_proves_nothing_and_is_asked_again() -> None:
    heartbeat = Heartbeat(2.0)
    beat(heartbeat, 10.0)
    beat(heartbeat, 10.5)
    heartbeat.sent(11.0)

    assert not heartbeat.refused("BUSY")
    assert heartbeat.wait_s(11.0) == 0.5
    assert beat(heartbeat, 11.5) == 12.5, "proves what had changed at the last beat that was done"


@pytest.mark.parametrize("code", ["READONLY", "MOVED", "LOADING", "NOPERM", "ERR"])
def test_any_other_refusal_ends_the_connection(code: str) -> None:
    heartbeat = Heartbeat(2.0)
    heartbeat.sent(10.0)

    assert heartbeat.refused(code)


def test_pauses_double_up_to_five_seconds_while_connections_do_not_last() -> None:
    pauses = [0.0]
    for _ in range(9):
        pauses.append(next_pause_s(pauses[-1], lived_s=0.01))

    assert pauses[1:] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert next_pause_s(5.0, lived_s=60.0) == 0.05


def test_processes_do_not_come_back_all_at_once() -> None:
    assert [pause_s(1.0, rand) for rand in (0.0, 0.5, 1.0)] == [0.5, 1.0, 1.5]
