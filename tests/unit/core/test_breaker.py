"""A server that hangs is not asked, but now and then."""

from __future__ import annotations

from afresh.core.breaker import Breaker


def hanging(times: int) -> tuple[Breaker, int]:
    """Return a breaker that saw this many timeouts, each as soon as it admitted a flight, and the time."""
    breaker, now_ms = Breaker(), 0
    for _ in range(times):
        while not breaker.admits(now_ms):
            now_ms += 1
        breaker.timed_out(now_ms)
    return breaker, now_ms


def pause_ms(breaker: Breaker, now_ms: int) -> int:
    return next(pause for pause in range(10_000) if breaker.admits(now_ms + pause))


def test_a_healthy_server_is_always_asked() -> None:
    breaker = Breaker()

    assert breaker.is_closed
    assert all(breaker.admits(0) for _ in range(3))


def test_after_a_timeout_one_flight_may_try_once_the_pause_is_over() -> None:
    breaker, now_ms = hanging(1)

    assert not breaker.is_closed
    assert not breaker.admits(now_ms + 99)
    assert breaker.admits(now_ms + 100)
    assert not breaker.admits(now_ms + 100), "one tries, the others do not wait for it"


def test_pauses_double_up_to_a_second() -> None:
    assert [pause_ms(*hanging(times)) for times in range(1, 7)] == [100, 200, 400, 800, 1000, 1000]


def test_an_answer_closes_it_and_shortens_the_next_pause() -> None:
    breaker, now_ms = hanging(4)
    breaker.answered()

    assert breaker.is_closed
    assert breaker.admits(now_ms)
    breaker.timed_out(now_ms)
    assert pause_ms(breaker, now_ms) == 100


def test_a_flight_that_gave_up_leaves_its_try_to_the_next() -> None:
    breaker, now_ms = hanging(1)
    assert breaker.admits(now_ms + 100)
    breaker.gave_up()

    assert breaker.admits(now_ms + 100)


def test_one_timeout_alone_leaves_a_doubt_and_a_second_does_not() -> None:
    assert hanging(1)[0].is_doubtful
    assert not hanging(2)[0].is_doubtful
