"""Where the processes of one run meet, so that a test that measures is the only one that runs."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


class Floor:
    """Room for several or for one, among processes. Whoever comes later waits behind one who waits to be alone.

    Args:
        directory: where the files of its locks are. They are empty.
    """

    def __init__(self, directory: Path) -> None:
        self._door = directory / "door"
        self._floor = directory / "floor"

    @contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """Be on the floor, with others or alone."""
        with ExitStack() as floor:
            with _locked(self._door, fcntl.LOCK_EX):  # whoever waits for the floor to empty keeps the door shut meanwhile
                floor.enter_context(_locked(self._floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
            yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, how)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # not by closing alone: a child that was forked meanwhile has the file open too
