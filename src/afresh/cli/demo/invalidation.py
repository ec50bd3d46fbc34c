"""A price changes while it is being looked up: what is served from then on, the old one or the new one?"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from afresh.cli.demo.by_hand import get_or_set
from afresh.cli.demo.findings import Claim, Figure, Findings
from afresh.cli.demo.place import NAMESPACE, Place, open_cache

__all__ = ["TITLE", "judge", "measure"]

TITLE = "A price changes while it is being looked up"

_ROUNDS = 20
_OLD, _NEW = 100, 80
_TIMEOUT_S = 10.0

Get = Callable[[Callable[[], int]], int]


def measure(place: Place, tell: Callable[[str], None]) -> Findings:
    """Let both ways meet the same race, again and again."""
    redis, key = place.redis, f"{NAMESPACE}:price"
    stale_by_hand = stale = 0
    with open_cache(place.url) as cache:
        for at in range(_ROUNDS):
            tell(f"price change {at + 1} of {_ROUNDS}")
            stale_by_hand += serves_old(lambda compute: get_or_set(redis, key, compute), lambda: redis.delete(key))
            redis.delete(key)
            stale += serves_old(lambda compute: cache.get_or_compute("price", compute), lambda: cache.invalidate("price"))
            cache.invalidate("price")
    return judge(stale_by_hand, stale)


def judge(stale_by_hand: int, stale: int) -> Findings:
    """Return what these counts say."""
    return Findings(
        [
            Figure("by hand (GET, SET, DEL): old price served", {f"of {_ROUNDS}": stale_by_hand}),
            Figure("afresh: old price served", {f"of {_ROUNDS}": stale}),
        ],
        [Claim("an invalidation leaves nothing old behind", f"{stale} old", stale == 0)],
    )


def serves_old(get: Get, invalidate: Callable[[], object]) -> bool:
    """Say whether a read serves the old price after it was changed, and invalidated, in the midst of a slow look-up."""
    prices = [_OLD]
    looked_up, changed = threading.Event(), threading.Event()

    def slowly() -> int:
        price = prices[-1]
        looked_up.set()
        changed.wait(_TIMEOUT_S)
        return price

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(get, slowly)
        looked_up.wait(_TIMEOUT_S)
        prices.append(_NEW)
        invalidate()
        changed.set()
        reader.result()
    return get(lambda: prices[-1]) != _NEW
