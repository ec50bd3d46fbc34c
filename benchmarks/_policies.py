"""Which entries to keep: reference implementations to compare the near tier's with. Each says for each read whether it was a hit."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from math import inf

from afresh.near.sieve import Node, Sieve

__all__ = ["POLICIES", "best_possible"]

# From the keys that are read, in order, and the number of entries to how many reads were misses.
Policy = Callable[[Sequence[int], int], int]


def best_possible(reads: Sequence[int], size: int) -> int:
    """Evict what is needed again the latest: nothing does better, and nobody knows what will be needed (Bélády 1966)."""
    next_at: list[float] = [inf] * len(reads)
    seen: dict[int, int] = {}
    for at in range(len(reads) - 1, -1, -1):
        next_at[at] = seen.get(reads[at], inf)
        seen[reads[at]] = at
    kept: dict[int, float] = {}
    queue: list[tuple[float, int]] = []
    misses = 0
    for at, key in enumerate(reads):
        if key not in kept:
            misses += 1
            if len(kept) >= size:
                while True:
                    latest, victim = heapq.heappop(queue)
                    if kept.get(victim) == -latest:
                        break
                del kept[victim]
        kept[key] = next_at[at]
        heapq.heappush(queue, (-next_at[at], key))
    return misses


def lru(reads: Sequence[int], size: int) -> int:
    """Evict what was used the longest ago."""
    kept: OrderedDict[int, None] = OrderedDict()
    misses = 0
    for key in reads:
        if key in kept:
            kept.move_to_end(key)
            continue
        misses += 1
        kept[key] = None
        if len(kept) > size:
            kept.popitem(last=False)
    return misses


def sieve(reads: Sequence[int], size: int) -> int:
    """Run the near tier's own."""
    kept: Sieve[Node] = Sieve(max_entries=size, max_bytes=size)
    misses = 0
    for key in reads:
        node = kept.get(str(key))
        if node is not None:
            node.visited = True
        else:
            misses += 1
            kept.put(Node(str(key), 1))
    return misses


def w_tinylfu(reads: Sequence[int], size: int) -> int:
    """Admit from a small LRU into a segmented one what is read more often than its victim (Einziger et al. 2017); counts are exact."""
    window: OrderedDict[int, None] = OrderedDict()
    probation: OrderedDict[int, None] = OrderedDict()
    protected: OrderedDict[int, None] = OrderedDict()
    counts: Counter[int] = Counter()
    for_window = max(1, size // 100)
    for_protected = (size - for_window) * 8 // 10
    misses = 0
    for at, key in enumerate(reads, 1):
        counts[key] += 1
        if at % (10 * size) == 0:
            counts = Counter({each: count // 2 for each, count in counts.items() if count > 1})
        if key in window:
            window.move_to_end(key)
        elif key in protected:
            protected.move_to_end(key)
        elif key in probation:
            del probation[key]
            protected[key] = None
            if len(protected) > for_protected:
                probation[protected.popitem(last=False)[0]] = None
        else:
            misses += 1
            window[key] = None
            if len(window) > for_window:
                _admit(window.popitem(last=False)[0], probation, counts, room=size - for_window - len(protected))
    return misses


def _admit(candidate: int, probation: OrderedDict[int, None], counts: Counter[int], *, room: int) -> None:
    if len(probation) < room:
        probation[candidate] = None
    elif probation and counts[candidate] > counts[next(iter(probation))]:
        probation.popitem(last=False)
        probation[candidate] = None


POLICIES: dict[str, Policy] = {"afresh: SIEVE": sieve, "LRU": lru, "W-TinyLFU": w_tinylfu}
