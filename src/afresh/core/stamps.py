"""Stamp vectors: what an entry depends on, and the bytes that say so.

A stamp is 8 random bytes that never repeat. An entry carries the stamps that its tags had *before* it was computed; it is valid while
each of them is still there, clean and equal. Nothing is compared by time, so no clock can be wrong, and a stamp that is lost by eviction
only makes a miss: its successor is another random number. Any other length than 8 is a mark: a transaction writes under that tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from afresh.core.envelope import HEADER_BYTES, MAX_TAGS, Entry, Flag, head_of
from afresh.core.keys import Namespace, Tag
from afresh.core.ops import Get, Stamp

__all__ = ["NOTHING", "STAMP_BYTES", "Captured", "Needs", "Remembered", "dirty_until_ms", "needs_of"]

STAMP_BYTES: Final = 8
_MOST_REMEMBERED: Final = 10_000
# As scripts/mark.lua writes it.
_MARK: Final = re.compile(rb"D:(\d+)")


def dirty_until_ms(stamp: object) -> int:
    """Return the deadline of a transaction's mark, by the server's time; 0 for anything else."""
    found = _MARK.fullmatch(stamp) if isinstance(stamp, bytes) else None
    return int(found[1]) if found else 0


class Captured:
    """What a compute depends on by what it has read so far. See `afresh.core.capture`.

    Attributes:
        namespace: whose entries are captured; None for a compute that depends on nothing that it reads.
        functions: the hashes of the tags of the functions that are being computed, this one and those around it.
        stamps: by the hashes of their tags.
        is_whole: false once something was read that nobody can vouch for: then the result cannot be stored.
    """

    __slots__ = ("__weakref__", "functions", "is_whole", "namespace", "stamps")

    def __init__(self, namespace: Namespace | None, outer: Captured | None = None, function: bytes | None = None) -> None:
        self.namespace = namespace
        around: frozenset[bytes] = frozenset() if outer is None else outer.functions
        self.functions: frozenset[bytes] = around if function is None or function in around else around | {function}
        self.stamps: dict[bytes, bytes] = {}
        self.is_whole = True

    def note(self, stamps: Mapping[bytes, bytes]) -> None:
        """Add stamps. The first one of a tag counts: it is the older one, and so the one that may have been invalidated."""
        for name, stamp in stamps.items():
            self.stamps.setdefault(name, stamp)

    def added_to(self, vector: bytes, needs: Needs) -> bytes | None:
        """Return the vector of these needs with what was captured; None if it cannot be, or is more than an envelope holds."""
        own = {tag.hash for tag in needs.tags}
        others = [name + stamp for name, stamp in list(self.stamps.items()) if name not in own]
        fits = self.is_whole and len(needs.tags) - needs.implicit + len(others) <= MAX_TAGS
        return b"".join((vector, *others)) if fits else None


class Needs(NamedTuple):
    """The stamps that a caller needs: the implicit ones (namespace, function) first, then the declared tags.

    Attributes:
        flags: the implicit ones, as in an envelope.
        implicit: how many they are.
        tags: all of them.
        reads: what reads their stamps.
        hashes: what stands before each stamp in a vector.
        head: what entries begin with that depend on these alone: see `head_of`.
        offset: where their payload begins.
    """

    flags: int
    implicit: int
    tags: tuple[Tag, ...]
    reads: tuple[Get, ...]
    hashes: tuple[bytes, ...]
    head: int
    offset: int

    @property
    def function(self) -> bytes | None:
        """The hash of the tag of the function whose entry it is, if it is one's."""
        return self.tags[self.implicit - 1].hash if self.flags & Flag.FUNCTION else None

    def vector(self, stamps: Sequence[object]) -> bytes | None:
        """Return the vector of these stamps, in the order of `tags`; None if one is missing or marked."""
        count = len(stamps)
        if count == 1 == self.implicit:  # all that an application's key needs
            (stamp,) = stamps
            return stamp if stamp.__class__ is bytes and len(stamp) == STAMP_BYTES else None
        if count == 2 == self.implicit:  # all that a function without tags needs
            one, other = stamps
            if one.__class__ is bytes and other.__class__ is bytes and len(one) == STAMP_BYTES == len(other):
                return one + other
            return None
        parts: list[bytes] = []
        for hashed, stamp in zip(self.hashes, stamps, strict=True):
            if stamp.__class__ is not bytes or len(stamp) != STAMP_BYTES:
                return None
            parts += hashed, stamp
        return b"".join(parts)

    def by_hash(self, vector: bytes) -> dict[bytes, bytes]:
        """Return the stamps of a vector that begins as `vector` makes them, by the hashes of their tags."""
        offset = STAMP_BYTES * self.implicit
        implicit = {tag.hash: vector[8 * at : 8 * at + 8] for at, tag in enumerate(self.tags[: self.implicit])}
        return implicit | {vector[at : at + 8]: vector[at + 8 : at + 16] for at in range(offset, len(vector), 16)}

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


class Remembered:
    """The stamps that this process saw last, by their names: a guess at what they are now, never a proof.

    Writing under a guess costs nothing but a miss where it is wrong: a stamp that was replaced never becomes valid again.
    """

    __slots__ = ("_stamps",)

    def __init__(self) -> None:
        self._stamps: dict[str, object] = {}

    def vector(self, needs: Needs) -> bytes | None:
        """Return what the vector was; None if it is not known, or a transaction had marked a tag."""
        stamps = self._stamps
        return needs.vector([stamps.get(tag.key) for tag in needs.tags])

    def learn(self, stamps: Mapping[str, object]) -> None:
        """Note how they are now."""
        if len(self._stamps) > _MOST_REMEMBERED:
            self._stamps = {}
        self._stamps |= stamps


def needs_of(namespace: Namespace | None, function: Tag | None = None, tags: Iterable[str] = ()) -> Needs:
    """Return what an entry of this namespace, function and these tags needs. Tags are taken once each, in order."""
    implicit = [tag for tag in (namespace and namespace.tag, function) if tag]
    declared = [namespace.tag_of(tag) for tag in dict.fromkeys(tags)] if namespace else []
    every = (*implicit, *(tag for tag in declared if tag not in implicit))
    flags = (Flag.NAMESPACE if namespace else 0) | (Flag.FUNCTION if function else 0)
    hashes = (b"",) * len(implicit) + tuple(tag.hash for tag in every[len(implicit) :])
    head, offset = head_of(flags, len(every) - len(implicit)), HEADER_BYTES + STAMP_BYTES * len(every) + sum(map(len, hashes))
    return Needs(flags, len(implicit), every, tuple(Get(tag.key) for tag in every), hashes, head, offset)


NOTHING: Final = needs_of(None)
