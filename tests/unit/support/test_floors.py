"""A test that measures is alone, however many come before and after it."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable
from pathlib import Path

from afresh.testing import wait_until
from tests.support.floors import Floor


class Visitor(threading.Thread):
    """Somebody on the floor until told to leave. A lock belongs to an open file, so that a thread can stand for a process."""

    def __init__(self, directory: Path, *, alone: bool = False) -> None:
        super().__init__()
        self._floor = Floor(directory)
        self._alone = alone
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.start()

    def run(self) -> None:
        with self._floor.taken(alone=self._alone):
            self.entered.set()
            self.leave.wait(10)


def test_whoever_wants_to_be_alone_waits_for_all_and_goes_before_later_ones(tmp_path: Path) -> None:
    first, second = Visitor(tmp_path), Visitor(tmp_path)
    assert first.entered.wait(10)
    assert second.entered.wait(10)
    alone = Visitor(tmp_path, alone=True)
    wait_until(_shut(tmp_path), 10, "the door to be shut by who waits to be alone")
    later = Visitor(tmp_path)

    first.leave.set()
    first.join()
    assert not alone.entered.wait(0.05)
    second.leave.set()
    assert alone.entered.wait(10)
    assert not later.entered.wait(0.05)
    alone.leave.set()
    assert later.entered.wait(10)

    later.leave.set()
    for visitor in (second, alone, later):
        visitor.join()


def _shut(directory: Path) -> Callable[[], bool]:
    def tried() -> bool:
        with (directory / "door").open("w") as door:
            try:
                fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    return tried
