"""What `scripts/guard.py` has callgrind count: ``python scripts/guarded_paths.py URL``.

Each path is warmed, then run N times and 2N times, over and over. `os.getsid`, which nothing else calls, marks where a count begins
and ends; callgrind writes one down at each mark.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

from afresh import Cache, Near
from afresh.testing import wait_until

# How many times each path is run, N: so many that a count is exact to some 0.1 %.
TIMES: Final = {
    "reference": 20,
    "get, a remote hit": 20,
    "memoize, a remote hit": 20,
    "set": 20,
    "set_many of 100 keys": 2,
    "memoize, a near hit": 500,
}
REPEATS: Final = 5
_WARM: Final = 50

VALUE: Final = {"id": 4711, "name": "Ada Lovelace", "roles": ["author", "editor"], "balance": 1234.5, "active": True}


def main(url: str) -> None:
    """Run every path as `TIMES` says, a mark before and after each."""
    remote = Cache(url, namespace="guard", budget="60s")
    near = Cache(url, namespace="guard-near", budget="60s", near=Near(max_stale="60s"))
    sys.setswitchinterval(60)  # the listener's thread waits for a system call of the main one's
    run(remote_paths(remote))
    run(near_paths(near))  # at last: from then on every write looks whether the near tier is concerned
    near.close()
    remote.close()


def run(paths: Mapping[str, Callable[[], object]]) -> None:
    """Warm them, and run them with the marks."""
    for path in paths.values():
        for _ in range(_WARM):
            path()
    gc.collect()
    gc.freeze()
    gc.disable()
    for name, path in paths.items():
        for _ in range(REPEATS):
            for times in (TIMES[name], 2 * TIMES[name]):
                os.getsid(0)
                for _ in itertools.repeat(None, times):
                    path()
                os.getsid(0)


def remote_paths(remote: Cache) -> Mapping[str, Callable[[], object]]:
    """Return the paths to the server."""

    @remote.memoize(ttl="1h")
    def profile(user_id: int, *, lang: str = "en") -> dict[str, object]:
        return VALUE | {"id": user_id, "lang": lang}

    def set_many() -> None:
        remote.set_many(many, ttl="1h")

    many = {f"key-{at}": VALUE for at in range(100)}
    remote.set("key", VALUE, ttl="1h")
    return {
        "reference": reference,
        "get, a remote hit": lambda: remote.get("key"),
        "memoize, a remote hit": lambda: profile(7),
        "set": lambda: remote.set("key", VALUE, ttl="1h"),
        "set_many of 100 keys": set_many,
    }


def near_paths(near: Cache) -> Mapping[str, Callable[[], object]]:
    """Return those that end inside the process."""

    @near.memoize(name="double", ttl="1h")
    def double(n: int) -> int:
        return 2 * n

    def is_near() -> bool:
        before = near_hits()
        double(7)
        return near_hits() > before

    def near_hits() -> int:
        stats = near.stats().get("double")
        return stats.near_hits if stats else 0

    wait_until(is_near, 60, "a near hit")
    return {"memoize, a near hit": lambda: double(7)}


class _Cell:
    """Something with attributes and a method."""

    __slots__ = ("count", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def add(self, more: int = 1) -> int:
        self.count += more
        return self.count


def reference() -> int:
    """Do what the paths are made of and nothing of afresh: calls, attributes, dicts, tuples, bytes. It tells one Python from another."""
    cells: dict[str, _Cell] = {}
    total = 0
    for at in range(40):
        name = f"cell-{at % 8}"
        cell = cells.get(name)
        if cell is None:
            cell = cells[name] = _Cell(name)
        parts = (name, at, cell.add(more=2))
        total += cell.add() + len(parts) + int.from_bytes(name.encode()[-2:], "little")
    return total


if __name__ == "__main__":
    main(sys.argv[1])
