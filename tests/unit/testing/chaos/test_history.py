"""Events, written to files by processes that may be killed, and read again."""

from __future__ import annotations

from pathlib import Path

from afresh.testing.chaos.history import Compute, Fault, Invalidation, Log, Outcome, Raised, Read, Replayed, Tally, load

READ = Read(1, 2, 30, 40, 1 << 40, 20)


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    first, second = Log(tmp_path / "1"), Log(tmp_path / "2")
    queued = Invalidation(1, 7, 1002, 10, 20, Outcome.QUEUED)
    for event in (Compute(1, 2, 1 << 40, 20), READ, Compute(1, 2, 1 << 40, 20, 25), Compute(1, 3, 8, 50)):
        first.write(event)
    second.write(Tally(1, 5))
    for event in (queued, Replayed(1, 7, 90), Raised(1, 3, 50, 60)):
        second.write(event)
    first.close()
    second.close()

    history = load(
        [tmp_path / "2", tmp_path / "1"],
        faults=[Fault("reset", 9, 9, 1), Fault("drop", 5, 6, 0)],
        died_at={1: 99},
        calm_since_ns=80,
    )

    assert list(history.reads) == [READ]
    assert list(history.reads) == [READ], "again"
    assert history.invalidations == [queued]
    assert history.replayed == {(1, 7): 90}
    assert history.computes == {1 << 40: Compute(1, 2, 1 << 40, 20, 25), 8: Compute(1, 3, 8, 50)}
    assert history.raised == [Raised(1, 3, 50, 60)]
    assert history.near_hits == 5
    assert [fault.kind for fault in history.faults] == ["drop", "reset"]


def test_what_a_killed_process_wrote_in_part_is_left_out(tmp_path: Path) -> None:
    log = Log(tmp_path / "1")
    log.write(READ)
    log.close()
    with (tmp_path / "1").open("ab") as file:
        file.write(b"\x00" * 11)

    assert list(load([tmp_path / "1"]).reads) == [READ]
