from __future__ import annotations

import time

from afresh.stores.server_time import ServerTime
from afresh.testing import wait_until


def told(at_ms: int) -> list[bytes | int]:
    """Return a reply to TIME."""
    return [b"%d" % (at_ms // 1000), b"%d" % (at_ms % 1000 * 1000 + 999)]


def test_before_the_first_reply_the_wall_clock_stands_in() -> None:
    assert abs(ServerTime().now_ms() - time.time() * 1000) < 1000


def test_the_servers_time_is_told_from_then_on() -> None:
    server = ServerTime()

    server.observe(told(5_000_000_000_000), server.ticks_ms())

    first = server.now_ms()
    assert 5_000_000_000_000 <= first < 5_000_000_001_000
    wait_until(lambda: server.now_ms() > first, 5, "time to pass")


def test_a_slow_reply_counts_as_of_the_middle_of_its_way() -> None:
    server = ServerTime()
    sent_ms = server.ticks_ms() - 1000

    server.observe(told(5_000_000_000_000), sent_ms)

    assert 5_000_000_000_500 <= server.now_ms() < 5_000_000_001_500


def test_the_latest_reply_counts() -> None:
    server = ServerTime()
    server.observe(told(5_000_000_000_000), server.ticks_ms())

    server.observe([4_000_000_000, 0], server.ticks_ms())

    assert 4_000_000_000_000 <= server.now_ms() < 4_000_000_001_000
