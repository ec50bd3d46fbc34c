"""Stamp vectors: what an entry depends on, and the bytes that say so.

A stamp is 8 random bytes that never repeat. An entry carries the stamps that its tags had *before* it was computed; it is valid while
each of them is still there, clean and equal. Nothing is compared by time, so no clock can be wrong, and a stamp that is lost by eviction
only makes a miss: its successor is another random number. Any other length than 8 is a mark: a transaction writes under that tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from afresh.core.envelope import HEADER_BYTES, MAX_TAGS, Entry, Flag
from afresh.core.keys import Namespace, Tag
from afresh.core.ops import Get, Stamp

__all__ = ["NOTHING", "STAMP_BYTES", "Needs", "dirty_until_ms", "needs_of"]

STAMP_BYTES: Final = 8
# As scripts/mark.lua writes it.
_MARK: Final = re.compile(rb"D:(\d+)")


def dirty_until_ms(stamp: object) -> int:
    """Return the deadline of a transaction's mark, by the server's time; 0 for anything else."""
    found = _MARK.fullmatch(stamp) if isinstance(stamp, bytes) else None
    return int(found[1]) if found else 0


class Needs(NamedTuple):
    """The stamps that a caller needs: the implicit ones (namespace, function) first, then the declared tags."""

    flags: int
    implicit: int
    tags: tuple[Tag, ...]
    reads: tuple[Get, ...]

    def vector(self, stamps: Sequence[object]) -> bytes | None:
        """Return the vector of these stamps, in the order of `tags`; None if one is missing or marked."""
        implicit = self.implicit
        parts: list[bytes] = []
        for at, stamp in enumerate(stamps):
            if not isinstance(stamp, bytes) or len(stamp) != STAMP_BYTES:
                return None
            if at >= implicit:
                parts.append(self.tags[at].hash)
            parts.append(stamp)
        return b"".join(parts)

    def stamping(self, token: Iterable[bytes], ttl_ms: int) -> list[Stamp]:
        """Return the operations that create or extend these stamps; the implicit ones live for ever."""
        return [
            Stamp(tag.key, tag.writers, fresh, 0 if at < self.implicit else ttl_ms)
            for at, (tag, fresh) in enumerate(zip(self.tags, token, strict=True))
        ]

    def are_covered_by(self, entry: Entry) -> bool:
        """Say whether the entry depends on all of these. One that was not stored carries no stamps, and was computed just now."""
        if not entry.vector:
            return True
        held = entry.tag_stamps()
        return entry.flags & 3 == self.flags and all(tag.hash in held for tag in self.tags[self.implicit :])

    def carried_by(self, entry: Entry, namespace: Namespace) -> dict[str, bytes]:
        """Return the stamps of an entry that is valid for these needs, by their names on the server."""
        implicit = entry.raw[HEADER_BYTES : HEADER_BYTES + STAMP_BYTES * self.implicit]
        carried = {tag.key: implicit[8 * at : 8 * at + 8] for at, tag in enumerate(self.tags[: self.implicit])}
        return carried | {namespace.stamp_key(name): stamp for name, stamp in entry.tag_stamps().items()}

    @property
    def is_storable(self) -> bool:
        """False for more tags than an envelope holds."""
        return len(self.tags) - self.implicit <= MAX_TAGS


def needs_of(namespace: Namespace | None, function: Tag | None = None, tags: Iterable[str] = ()) -> Needs:
    """Return what an entry of this namespace, function and these tags needs. Tags are taken once each, in order."""
    implicit = [tag for tag in (namespace and namespace.tag, function) if tag]
    declared = [namespace.tag_of(tag) for tag in dict.fromkeys(tags)] if namespace else []
    every = (*implicit, *(tag for tag in declared if tag not in implicit))
    flags = (Flag.NAMESPACE if namespace else 0) | (Flag.FUNCTION if function else 0)
    return Needs(flags, len(implicit), every, tuple(Get(tag.key) for tag in every))


NOTHING: Final = needs_of(None)
