"""Connections that threads share: so many at most, and whoever waits longest is next."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from afresh.stores.pool import Pool
from afresh.testing import wait_until


class Line:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def pool() -> Pool[Line]:
    return Pool(2, Line)


def taken(pool: Pool[Line], timeout_s: float = 0.0) -> Line:
    try:
        return pool.idle.pop()
    except IndexError:
        return pool.take(timeout_s)


def test_the_last_one_given_back_is_the_next(pool: Pool[Line]) -> None:
    first, second = taken(pool), taken(pool)
    pool.give(first)
    pool.give(second)

    assert taken(pool) is second


def test_there_are_no_more_than_allowed(pool: Pool[Line]) -> None:
    held = [taken(pool), taken(pool)]

    with pytest.raises(TimeoutError):
        taken(pool, 0.01)

    pool.give(held[0])
    assert taken(pool) is held[0]


def test_who_waits_longest_is_next(pool: Pool[Line]) -> None:
    held = [taken(pool), taken(pool)]
    served: list[int] = []

    def wait(number: int) -> None:
        line = pool.take(10)
        served.append(number)
        pool.give(line)

    threads = []
    for number in range(6):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        wait_until(lambda: len(pool._waiting) == len(threads), 10, "the thread to stand in the queue")
    pool.give(held[0])
    for thread in threads:
        thread.join()

    assert served == list(range(6))


def test_a_dropped_one_makes_room_for_who_waits(pool: Pool[Line]) -> None:
    held = [taken(pool), taken(pool)]
    got: list[Line] = []
    waiting = threading.Thread(target=lambda: got.append(pool.take(10)))
    waiting.start()
    wait_until(lambda: bool(pool._waiting), 10, "the thread to stand in the queue")

    pool.drop(held[0])
    waiting.join()

    assert held[0].is_closed
    assert got[0] not in held


def test_one_that_was_lost_on_the_way_is_not_counted_for_ever(pool: Pool[Line]) -> None:
    taken(pool)
    taken(pool)
    gc.collect()

    assert taken(pool)
    assert taken(pool)


def test_who_waits_in_vain_leaves_the_queue(pool: Pool[Line]) -> None:
    held = [taken(pool), taken(pool)]
    with pytest.raises(TimeoutError):
        pool.take(0.01)

    pool.give(held[0])

    assert pool.idle == [held[0]]


def test_a_closed_pool_keeps_nothing(pool: Pool[Line]) -> None:
    idle, used = taken(pool), taken(pool)
    pool.give(idle)
    pool.close()
    pool.give(used)

    assert idle.is_closed
    assert used.is_closed
    assert pool.idle == []


def test_two_hundred_threads_share_two_connections(pool: Pool[Line]) -> None:
    users: dict[Line, int] = {}
    clashes: list[Line] = []

    def use() -> None:
        for _ in range(20):
            line = taken(pool, 30)
            users[line] = users.get(line, 0) + 1
            if users[line] > 1:
                clashes.append(line)
            time.sleep(0)
            users[line] -= 1
            pool.give(line)

    threads = [threading.Thread(target=use) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert clashes == []
    assert len(users) <= 2
