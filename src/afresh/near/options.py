"""The options of the near tier."""

from __future__ import annotations

from typing import final

from afresh.core.suggest import names_nearest_option
from afresh.core.units import Duration, Size, duration_ms, size_bytes
from afresh.errors import ConfigurationError

__all__ = ["Near"]

# Four writes in this time are a beat that a server and a busy process can keep.
_SHORTEST_MS = 50


@final
class Near:
    """What the near tier of a cache may keep in this process, and how old it may get: ``Cache(near=Near(max_bytes="64MiB"))``.

    An invalidation by another process is seen within `max_stale`, typically in less than a millisecond; where it is not proven that all of
    them have been seen, nothing is served from here. The process that invalidates sees it at once.

    Args:
        max_bytes: what it may take, about; from 1. Larger entries are not kept.
        max_entries: how many entries it may have; from 1.
        max_stale: how much later than their receipt invalidations by other processes are seen at the latest; from 50 ms. The server is
            written to four times in this period, at least every 500 ms.

    Raises:
        ConfigurationError: for what is out of these bounds.
    """

    __slots__ = ("max_bytes", "max_entries", "max_stale_ms")

    @names_nearest_option
    def __init__(self, *, max_bytes: Size = "64MiB", max_entries: int = 100_000, max_stale: Duration = "2s") -> None:
        if not isinstance(max_entries, int) or isinstance(max_entries, bool) or max_entries < 1:
            msg = f"max_entries={max_entries!r} must be a whole number from 1 up. Leave near= out for no near tier."
            raise ConfigurationError(msg)
        self.max_entries = max_entries
        self.max_bytes = size_bytes(max_bytes, what="max_bytes")
        self.max_stale_ms = duration_ms(max_stale, what="max_stale")
        if not self.max_bytes:
            msg = f"max_bytes={max_bytes!r} must be more than 0. Leave near= out for no near tier."
            raise ConfigurationError(msg)
        if self.max_stale_ms < _SHORTEST_MS:
            msg = f"max_stale={max_stale!r} must be at least 50 ms: so long may an invalidation by another process go unseen."
            raise ConfigurationError(msg)

    def __eq__(self, other: object) -> bool:
        return self._bounds() == other._bounds() if isinstance(other, Near) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._bounds())

    def _bounds(self) -> tuple[int, int, int]:
        return self.max_bytes, self.max_entries, self.max_stale_ms

    def __repr__(self) -> str:
        return f"Near(max_bytes={self.max_bytes}, max_entries={self.max_entries}, max_stale='{self.max_stale_ms}ms')"
