from __future__ import annotations

from afresh.near import pushes
from afresh.near.pushes import Pushes


def pushed(log: Pushes, *names: str) -> None:
    log.note(names)
    log.passed()


def test_a_name_is_silent_until_it_is_pushed():
    log = Pushes()
    began = log.moment

    pushed(log, "a")

    assert not log.were_silent(["b", "a"], began)
    assert log.were_silent(["b"], began)
    assert log.were_silent(["a"], log.moment)


def test_who_begins_while_a_push_is_worked_off_began_before_it():
    log = Pushes()
    log.note(["a"])
    began = log.moment
    log.passed()

    assert not log.were_silent(["a"], began)


def test_nothing_is_silent_over_the_loss_of_pushes():
    log = Pushes()
    began = log.moment

    log.note_all()
    log.passed()

    assert not log.were_silent(["a"], began)
    assert log.were_silent(["a"], log.moment)


def test_what_is_forgotten_is_not_vouched_for(monkeypatch):
    monkeypatch.setattr(pushes, "_REMEMBERED", 3)
    log = Pushes()
    moments = []
    for name in ("a", "b", "c", "b", "d"):  # a is forgotten
        moments.append(log.moment)
        pushed(log, name)

    assert not log.were_silent(["x"], moments[0])
    assert log.were_silent(["x"], moments[1])
    assert log.were_silent(["a"], moments[1])
    assert not log.were_silent(["b"], moments[2])
    assert not log.were_silent(["c"], moments[2])
