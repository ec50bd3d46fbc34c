from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from afresh.near.sieve import Node, Sieve


class NaiveSieve:
    """The paper's algorithm on a list, newest first."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries, self.max_bytes = max_entries, max_bytes
        self.queue: list[list] = []  # key, size, visited
        self.hand: str | None = None

    def get(self, key: str) -> bool:
        for each in self.queue:
            if each[0] == key:
                each[2] = True
                return True
        return False

    def pop(self, key: str) -> None:
        for at, each in enumerate(self.queue):
            if each[0] == key:
                if self.hand == key:
                    self.hand = self.queue[at - 1][0] if at else None
                del self.queue[at]

    def put(self, key: str, size: int) -> None:
        self.pop(key)
        if size > self.max_bytes:
            return
        while len(self.queue) >= self.max_entries or sum(each[1] for each in self.queue) + size > self.max_bytes:
            self.evict()
        self.queue.insert(0, [key, size, False])

    def evict(self) -> None:
        at = next((at for at, each in enumerate(self.queue) if each[0] == self.hand), len(self.queue) - 1)
        while self.queue[at][2]:
            self.queue[at][2] = False
            at = at - 1 if at else len(self.queue) - 1
        self.hand = self.queue[at][0]
        self.pop(self.hand)


KEYS = st.sampled_from("abcdefgh")
STEPS = st.lists(
    st.one_of(st.tuples(st.just("get"), KEYS), st.tuples(st.just("pop"), KEYS), st.tuples(st.just("put"), KEYS, st.integers(0, 12)))
)


@given(STEPS, st.integers(1, 5), st.integers(1, 30))
def test_keeps_what_the_paper_keeps(steps, max_entries, max_bytes):
    model, sieve = NaiveSieve(max_entries, max_bytes), Sieve(max_entries=max_entries, max_bytes=max_bytes)
    kept: set[str] = set()
    for name, key, *size in steps:
        getattr(model, name)(key, *size)
        if name == "get":
            node = sieve.get(key)
            if node is not None:
                node.visited = True
        elif name == "pop":
            node = sieve.pop(key)
            assert (node is not None) == (key in kept)
            kept.discard(key)
        else:
            kept = kept | {key}
            gone = sieve.put(node := Node(key, *size))
            kept -= {each.key for each in gone if each.key != key or each is node}

        assert {each[0] for each in model.queue} == kept == {key for key in "abcdefgh" if sieve.get(key)}
        assert sieve.size_bytes == sum(each[1] for each in model.queue) <= max_bytes
        assert len(sieve) == len(model.queue) <= max_entries


def test_what_was_hit_outlives_a_scan():
    sieve: Sieve[Node] = Sieve(max_entries=10, max_bytes=1000)
    for at in range(10):
        sieve.put(Node(f"hot {at}", 1))
    for at in range(1000):
        for hot in range(5):
            sieve.get(f"hot {hot}").visited = True
        sieve.put(Node(f"scanned {at}", 1))

    assert all(sieve.get(f"hot {hot}") for hot in range(5))


@pytest.mark.parametrize("size", [11, 1000])
def test_what_is_larger_than_the_bound_takes_nothings_place(size):
    sieve: Sieve[Node] = Sieve(max_entries=10, max_bytes=10)
    sieve.put(Node("small", 10))
    large = Node("large", size)

    assert sieve.put(large) == [large]
    assert sieve.get("small") is not None


def test_clear_takes_everything():
    sieve: Sieve[Node] = Sieve(max_entries=10, max_bytes=10)
    nodes = [Node(key, 1) for key in "abc"]
    for node in nodes:
        sieve.put(node)

    assert sieve.clear() == nodes
    assert len(sieve) == sieve.size_bytes == 0
