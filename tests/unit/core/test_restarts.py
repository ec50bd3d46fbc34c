"""Another run of the server than the one that was known must not be believed what its snapshot revived."""

from __future__ import annotations

import pytest

from afresh.core.restarts import ServerRun, run_id_of

RUN, OTHER = "a" * 40, "b" * 40


@pytest.mark.parametrize("info", [f"# Server\r\nrun_id:{RUN}\r\ntcp_port:0\r\n", f"# Server\nrun_id:{RUN}\n".encode()])
def test_the_run_is_in_the_servers_info(info: object) -> None:
    assert run_id_of(info) == RUN


@pytest.mark.parametrize("info", [None, b"", "NOPERM this user has no permissions", {b"run_id": RUN}, f"not_run_id:{RUN}", "run_id:short"])
def test_it_may_be_hidden(info: object) -> None:
    assert run_id_of(info) is None


def test_the_first_run_that_is_met_is_believed() -> None:
    assert not ServerRun().is_another(RUN)


def test_another_one_is_another_until_it_is_settled() -> None:
    run = ServerRun()
    run.settle(RUN)

    assert not run.is_another(RUN)
    assert run.is_another(OTHER)
    assert run.is_another(OTHER), "whoever connects meanwhile must bump as well"
    run.settle(OTHER)
    assert not run.is_another(OTHER)
    assert run.is_another(RUN)


def test_a_hidden_run_is_taken_for_the_same() -> None:
    run = ServerRun()
    run.settle(RUN)
    run.settle(None)

    assert not run.is_another(None)
    assert run.is_another(OTHER)


def test_who_settles_another_run_is_told_and_who_settles_the_same_is_not() -> None:
    told: list[str] = []
    run = ServerRun(lambda: told.append("another"))

    for run_id in (RUN, None, RUN, OTHER):
        run.settle(run_id)

    assert told == ["another"]


def test_who_finds_a_run_settled_finds_what_was_to_be_done_about_it_done() -> None:
    seen: list[bool] = []
    run = ServerRun(lambda: seen.append(run.is_another(OTHER)))

    run.settle(RUN)
    run.settle(OTHER)

    assert seen == [True]
