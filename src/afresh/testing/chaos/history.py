"""What happened in a run: events of all processes, by one clock, in files that survive the process that writes them.

Every time is CLOCK_MONOTONIC in ns, which is the same in all processes of a machine. An operation's start is read before it is called and
its end after it returned; a compute's start is read in its first line. So the true interval lies within the one recorded, and a history
that looks broken is broken.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

__all__ = [
    "EVENT_BYTES",
    "Compute",
    "Event",
    "Fault",
    "History",
    "Invalidation",
    "Log",
    "Outcome",
    "Raised",
    "Read",
    "Replayed",
    "Tally",
    "Tier",
    "load",
]


class Tier(IntEnum):
    """Which clause a read falls under."""

    REDIS = 0
    NEAR = 1


class Outcome(IntEnum):
    """What an invalidation's receipt said; or that it was no invalidation, but the commit of a transaction under a mark."""

    QUEUED = 0
    APPLIED = 1
    COMMITTED = 2


class Read(NamedTuple):
    """A read, and the compute that its value came of; 0 for a value that names none."""

    process: int
    entry: int
    start_ns: int
    end_ns: int
    compute: int
    computed_ns: int
    tier: int = Tier.REDIS


class Raised(NamedTuple):
    """A read that raised."""

    process: int
    entry: int
    start_ns: int
    end_ns: int


class Invalidation(NamedTuple):
    """An invalidation of everything in a scope. `since_ns` is when a transaction's mark was asked for, for commits."""

    process: int
    number: int
    scope: int
    start_ns: int
    end_ns: int
    outcome: int
    since_ns: int = 0


class Replayed(NamedTuple):
    """A queued invalidation was reported applied."""

    process: int
    number: int
    at_ns: int


class Compute(NamedTuple):
    """A compute began (`end_ns` is 0), or ended. Its number is unique among all processes."""

    process: int
    entry: int
    number: int
    start_ns: int
    end_ns: int = 0


class Tally(NamedTuple):
    """A client that lived to tell says how often its near tier answered."""

    process: int
    near_hits: int


Event: TypeAlias = Read | Raised | Invalidation | Replayed | Compute | Tally

_KINDS: Final[tuple[type[Event], ...]] = (Read, Raised, Invalidation, Replayed, Compute, Tally)
_NUMBERS: Final = 7
_RECORD: Final = struct.Struct(f"<B{_NUMBERS}q")
EVENT_BYTES: Final = _RECORD.size
_SIZES: Final = tuple(len(kind._fields) for kind in _KINDS)
_INDEX: Final = {kind: at for at, kind in enumerate(_KINDS)}
_PADDING: Final = (0,) * _NUMBERS


class Fault(NamedTuple):
    """Something done to the servers, the network or the clients. `happened` is how often it took effect: 0 if it did not."""

    kind: str
    start_ns: int
    end_ns: int
    happened: int


class Log:
    """One process's file of events. An event is written by one system call: a process that is killed leaves whole ones."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, event: Event) -> None:
        """Append an event. Any thread may."""
        os.write(self._fd, _RECORD.pack(_INDEX[event.__class__], *event, *_PADDING[len(event) :]))

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


@dataclass(frozen=True)
class History:
    """A whole run.

    Attributes:
        reads: in any order; may be read from files again each time.
        invalidations: those of whose outcome the caller was told.
        replayed: when queued ones were reported applied, by process and number.
        computes: the start and end of each, by number; without an end, 0.
        entries: the entry that each compute was for, by number.
        raised: the reads that raised.
        near_hits: how many reads the near tiers answered, of clients that lived to tell.
        faults: in the order of their starts.
        died_at: when processes were killed.
        calm_since_ns: when the faults were over.
    """

    reads: Iterable[Read]
    invalidations: Sequence[Invalidation] = ()
    replayed: dict[tuple[int, int], int] = field(default_factory=dict)
    computes: dict[int, Compute] = field(default_factory=dict)
    raised: Sequence[Raised] = ()
    near_hits: int = 0
    faults: Sequence[Fault] = ()
    died_at: dict[int, int] = field(default_factory=dict)
    calm_since_ns: int = 0


class _ReadsOf:
    """The reads in some files: too many to hold."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __iter__(self) -> Iterator[Read]:
        for event in _events(self._paths, only=_INDEX[Read]):
            assert isinstance(event, Read)
            yield event


def load(paths: Iterable[Path], *, faults: Iterable[Fault] = (), died_at: dict[int, int] | None = None, calm_since_ns: int = 0) -> History:
    """Read the files of a run.

    Args:
        paths: one for each process.
        faults: what was done meanwhile.
        died_at: when processes were killed, by number.
        calm_since_ns: when the faults were over.
    """
    paths = sorted(paths)
    invalidations: list[Invalidation] = []
    raised: list[Raised] = []
    replayed: dict[tuple[int, int], int] = {}
    computes: dict[int, Compute] = {}
    near_hits = 0
    for event in _events(paths):
        if isinstance(event, Invalidation):
            invalidations.append(event)
        elif isinstance(event, Raised):
            raised.append(event)
        elif isinstance(event, Replayed):
            replayed[event.process, event.number] = event.at_ns
        elif isinstance(event, Tally):
            near_hits += event.near_hits
        elif isinstance(event, Compute):
            computes[event.number] = event  # its end comes after its start, in the same file
    ordered = sorted(faults, key=lambda fault: fault.start_ns)
    return History(_ReadsOf(paths), invalidations, replayed, computes, raised, near_hits, ordered, died_at or {}, calm_since_ns)


def _events(paths: Iterable[Path], *, only: int | None = None) -> Iterator[Event]:
    """Yield the events of one kind; or, as reads are many, those of all the others."""
    for path in paths:
        data = path.read_bytes()
        for kind, *numbers in _RECORD.iter_unpack(data[: len(data) // EVENT_BYTES * EVENT_BYTES]):
            if kind == only or (only is None and kind != 0):
                yield _KINDS[kind](*numbers[: _SIZES[kind]])
