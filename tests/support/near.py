"""Near tiers for tests."""

from __future__ import annotations

from afresh import Cache
from afresh.near.clock import now_s
from afresh.testing import wait_until


def near_is_trusted(cache: Cache) -> Cache:
    """Open the cache, and wait until its near tier serves."""
    engine = cache._engine
    engine.sync_ports()
    tier = engine.near
    assert tier is not None
    wait_until(lambda: now_s() < tier.generation.bound_s, 10, "the near tier to be trusted")
    return cache
