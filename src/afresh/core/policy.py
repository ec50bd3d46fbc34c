"""How long an entry lives and how long a caller waits for it: the numbers behind a function's or a key's options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from afresh.core.units import MAX_TTL_MS

__all__ = [
    "KEY_STAMP_MS",
    "LEASE_MS",
    "LEASE_RENEWAL_MS",
    "LONGEST_COMPUTE_MS",
    "MARK_KEEP_MS",
    "MARK_MS",
    "MARK_RENEWAL_MS",
    "POLL_MS",
    "WAIT_MS",
    "Policy",
    "hard_ttl_ms",
    "tag_ttl_ms",
]

# How long a claim keeps other processes from computing, unless its process renews it. A compute whose lease has lapsed is not stored.
LEASE_MS: Final = 5_000
# A compute that takes longer than this is not stored: leases are not renewed beyond it, and stamps of tags need not outlive it.
LONGEST_COMPUTE_MS: Final = 600_000
# How long a caller waits for somebody else's computation before it computes for itself.
WAIT_MS: Final = 10_000
# Between two looks at a lease that another process holds: the first and the longest pause.
POLL_MS: Final = (2, 50)
# A key's own stamp outlives the invalidation only as long as somebody may have captured it meanwhile.
KEY_STAMP_MS: Final = 10_000
# A lease is extended this often while its owner computes.
LEASE_RENEWAL_MS: Final = 1_500
# How long a transaction that died keeps its tags dirty, and a process may stand still before COMMIT.
MARK_MS: Final = 30_000
MARK_RENEWAL_MS: Final = 5_000
# The names of marks are there for much longer: servers that evict by ttl take the shortest first.
MARK_KEEP_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for the entries of one function, or of one call.

    Attributes:
        ttl_ms: how long an entry is fresh; 0 stores nothing, None never ends (Django's ``timeout=None``).
        stale_ttl_ms: how long after that it may be served while one caller computes anew.
        wait_ms: how long a caller waits for another's computation.
        ttl_of: the ttl in ms as a function of the value, instead of `ttl_ms`.
        negative: exceptions of the compute that are kept, and for how many ms.
    """

    ttl_ms: int | None
    stale_ttl_ms: int = 0
    wait_ms: int = WAIT_MS
    ttl_of: Callable[[Any], int] | None = None
    negative: tuple[tuple[type[Exception], int], ...] = ()

    def ttl_for(self, value: object) -> int | None:
        """Return how long an entry with this value is fresh."""
        return self.ttl_ms if self.ttl_of is None else self.ttl_of(value)

    @property
    def longest_ttl_ms(self) -> int | None:
        """The longest ttl that an entry may get, whatever the compute returns or raises."""
        return None if self.ttl_ms is None else max([self.ttl_ms, *(ttl_ms for _, ttl_ms in self.negative)])

    def negative_ttl_ms(self, error: BaseException) -> int | None:
        """Return how long an exception is kept; None if it is not. The first declaration that fits counts."""
        return next((ttl_ms for kind, ttl_ms in self.negative if isinstance(error, kind)), None)


def hard_ttl_ms(ttl_ms: int | None, stale_ttl_ms: int) -> int:
    """Return the PX of an entry; 0 for one that never ends. It is not served stale beyond 30 days, the facades' longest ttl."""
    return 0 if ttl_ms is None else max(ttl_ms, min(ttl_ms + stale_ttl_ms, MAX_TTL_MS))


def tag_ttl_ms(ttl_ms: int | None, stale_ttl_ms: int) -> int:
    """Return the least PX of a tag's stamp under which an entry is computed; 0 for ever. It must outlive compute and entry."""
    return 0 if ttl_ms is None else LONGEST_COMPUTE_MS + 2 * hard_ttl_ms(ttl_ms, stale_ttl_ms)
