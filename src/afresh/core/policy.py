"""How long an entry lives and how long a caller waits for it: the numbers behind a function's or a key's options.

What a caller gets, by the age of the entry (`core/decide.py` names the states)::

              0            ttl                 + stale_ttl             + stale_if_error
              │   fresh     │      stale         │        expired        │
    ──────────┼─────────────┼────────────────────┼───────────────────────┼─────────────────────
    gets      │ the value   │ the old value,     │ a new one; the old    │ a new one, or
              │             │ one renews it      │ one if compute raises │ what compute raises
              │          ╱ refresh-due: by chance one renews it early, the others notice nothing
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from afresh.core.units import MAX_TTL_MS

__all__ = [
    "BACKOFF_MS",
    "JITTER",
    "KEY_STAMP_MS",
    "LEASE_MS",
    "LEASE_RENEWAL_MS",
    "LONGEST_COMPUTE_MS",
    "MARK_KEEP_MS",
    "MARK_MS",
    "MARK_RENEWAL_MS",
    "PATIENCE_MS",
    "PATIENCE_RENEWAL_MS",
    "POLL_MS",
    "WAIT_MS",
    "Policy",
    "hard_ttl_ms",
    "jittered_ms",
    "pause_after_ms",
    "policy_under",
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
# How long a process that waits for a lock keeps its place without a word; and how often it speaks up where asking is in vain.
PATIENCE_MS: Final = 1_000
PATIENCE_RENEWAL_MS: Final = 250
# The names of marks are there for much longer: servers that evict by ttl take the shortest first.
MARK_KEEP_MS: Final = 86_400_000
# The part of its ttl by which a computed entry's may be shorter, so that what was computed together does not expire together.
JITTER: Final = 0.05
# How long nobody computes after a compute raised, where there is an old value to serve meanwhile.
BACKOFF_MS: Final = 1_000


class Policy(NamedTuple):
    """What holds for the entries of one function, or of one call.

    Attributes:
        ttl_ms: how long an entry is fresh; 0 stores nothing, None never ends (Django's ``timeout=None``).
        stale_ttl_ms: how long after that it may be served while one caller computes anew.
        wait_ms: how long a caller waits for another's computation.
        ttl_of: the ttl in ms as a function of the value, instead of `ttl_ms`.
        negative: exceptions of the compute that are kept, and for how many ms.
        stale_if_error_ms: how long after its ttl an entry is served if the compute raises.
        backoff_ms: how long after that nobody computes; 0: the next caller does.
        refresh_wait_ms: how long a caller that may be served waits for its own refresh, which runs behind it; None: it runs in its place.
        compute_timeout_ms: how long a call waits for its compute; None: as long as it takes.
        early_refresh: whether one caller may refresh an entry shortly before its ttl is over.
        jitter: the part of its ttl by which a computed entry's may be shorter.
    """

    ttl_ms: int | None
    stale_ttl_ms: int = 0
    wait_ms: int = WAIT_MS
    ttl_of: Callable[[Any], int] | None = None
    negative: tuple[tuple[type[Exception], int], ...] = ()
    stale_if_error_ms: int = 0
    backoff_ms: int = 0
    refresh_wait_ms: int | None = None
    compute_timeout_ms: int | None = None
    early_refresh: bool = False
    jitter: float = 0.0

    def ttl_for(self, value: object) -> int | None:
        """Return how long an entry with this value is fresh."""
        return self.ttl_ms if self.ttl_of is None else self.ttl_of(value)

    @property
    def longest_wait_ms(self) -> int:
        """How long a call waits for others."""
        return self.wait_ms if self.compute_timeout_ms is None else self.compute_timeout_ms

    @property
    def kept_ms(self) -> int:
        """How long after its ttl an entry is of use."""
        return max(self.stale_ttl_ms, self.stale_if_error_ms)

    @property
    def longest_ttl_ms(self) -> int | None:
        """The longest ttl that an entry may get, whatever the compute returns or raises."""
        return None if self.ttl_ms is None else max([self.ttl_ms, *(ttl_ms for _, ttl_ms in self.negative)])

    def negative_ttl_ms(self, error: BaseException) -> int | None:
        """Return how long an exception is kept; None if it is not. The first declaration that fits counts."""
        return next((ttl_ms for kind, ttl_ms in self.negative if isinstance(error, kind)), None)


@lru_cache(256)  # programs have few of them
def policy_under(ttl_ms: int | None) -> Policy:
    """Return the policy of what is stored for so long, where nothing else is said."""
    return Policy(ttl_ms)


def jittered_ms(ttl_ms: int | None, jitter: float, rand: float) -> int | None:
    """Return the ttl, shorter by chance: never longer, since a result may be worthless after it. `rand` is in (0, 1]; 1: unchanged."""
    return ttl_ms if not ttl_ms else max(1, round(ttl_ms * (1 - jitter * (1 - rand))))


def pause_after_ms(overdue_ms: float) -> float:
    """Return how long to sleep before the next look at a lease, if its compute takes so much longer than the last one.

    Whoever waits then learns of the end an eighth of that later at most.
    """
    shortest, longest = POLL_MS
    return min(longest, max(shortest, overdue_ms / 8))


def hard_ttl_ms(ttl_ms: int | None, kept_ms: int) -> int:
    """Return the PX of an entry; 0 for one that never ends. It is not kept beyond 30 days, the facades' longest ttl."""
    if ttl_ms is None or not kept_ms:
        return ttl_ms or 0
    return max(ttl_ms, min(ttl_ms + kept_ms, MAX_TTL_MS))


def tag_ttl_ms(ttl_ms: int | None, kept_ms: int) -> int:
    """Return the least PX of a tag's stamp under which an entry is computed; 0 for ever. It must outlive compute and entry."""
    return 0 if ttl_ms is None else LONGEST_COMPUTE_MS + 2 * hard_ttl_ms(ttl_ms, kept_ms)
