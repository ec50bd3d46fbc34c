"""SIEVE eviction (Zhang et al., NSDI 2024): as simple as FIFO, and better than LRU on the skewed loads of caches.

Nodes stand in the order in which they came; nothing is reordered. A hit sets one bit, so it needs no lock. To evict, a hand moves from the
oldest node to the newest and round again: it clears the bits that it finds set, and evicts the first node whose bit is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Node", "Sieve"]

N = TypeVar("N", bound="Node")


class Node:
    """Something kept, with its place in the queue.

    Attributes:
        key: what it is found by.
        size_bytes: what it counts against the bound.
        visited: set at each hit, by whoever hits.
    """

    __slots__ = ("key", "newer", "older", "size_bytes", "visited")

    def __init__(self, key: str, size_bytes: int) -> None:
        self.key = key
        self.size_bytes = size_bytes
        self.visited = False
        self.newer: Node = self
        self.older: Node = self


class Sieve(Generic[N]):
    """Nodes by key, bounded by their number and their bytes.

    Only `get` may be called without the lock of the owner.

    Args:
        max_entries: how many nodes at most.
        max_bytes: how many bytes at most, all nodes together.
    """

    __slots__ = ("_hand", "_max_bytes", "_max_entries", "_nodes", "_queue", "get", "size_bytes")

    def __init__(self, *, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.size_bytes = 0
        self._nodes: dict[str, N] = {}
        self._queue = Node("", 0)  # a ring: `newer` of it is the oldest node, `older` the newest
        self._hand = self._queue
        self.get: Callable[[str], N | None] = self._nodes.get

    def __len__(self) -> int:
        return len(self._nodes)

    def put(self, node: N) -> list[N]:
        """Keep a node and return those that went for it: the former one of its key, and what was evicted.

        One that is larger than the bound is not kept: it is returned itself.
        """
        former = self.pop(node.key)
        gone = [] if former is None else [former]
        if node.size_bytes > self._max_bytes or not self._max_entries:
            return [*gone, node]
        while len(self._nodes) >= self._max_entries or self.size_bytes + node.size_bytes > self._max_bytes:
            gone.append(self._evict())
        newest = self._queue.older
        newest.newer = self._queue.older = node
        node.older, node.newer = newest, self._queue
        self._nodes[node.key] = node
        self.size_bytes += node.size_bytes
        return gone

    def pop(self, key: str) -> N | None:
        """Take a node out and return it."""
        node = self._nodes.pop(key, None)
        if node is not None:
            if self._hand is node:
                self._hand = node.newer
            node.older.newer, node.newer.older = node.newer, node.older
            self.size_bytes -= node.size_bytes
        return node

    def clear(self) -> list[N]:
        """Take all nodes out and return them."""
        return [node for key in list(self._nodes) if (node := self.pop(key)) is not None]

    def _evict(self) -> N:
        node = self._hand
        while node is self._queue or node.visited:
            node.visited = False
            node = node.newer
        self._hand = node
        victim = self.pop(node.key)
        assert victim is not None
        return victim
