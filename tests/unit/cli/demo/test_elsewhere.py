"""Functions in processes of their own: results, notes, and what happens when one fails or is left alone."""

from __future__ import annotations

import pytest

from afresh.cli.demo.cookbook import visit_site
from afresh.cli.demo.elsewhere import Elsewhere, ElsewhereFailed, run_elsewhere
from afresh.cli.demo.second_process import continue_table

pytestmark = pytest.mark.keys("afresh-demo:.*", permanent=True)


def test_a_function_tells_what_it_is_at_and_returns_a_result(valkey) -> None:
    notes: list[str] = []

    result = run_elsewhere(continue_table, notes.append, url=valkey.url)

    assert notes == ["computing 1,200 rows"]
    assert result | {"elapsed_ms": 0} == {"known": 0, "computed": 1200, "elapsed_ms": 0, "right": True}


def test_an_exception_there_is_one_line_here() -> None:
    with pytest.raises(ElsewhereFailed, match=r"visit_site ended with status 1 .*: ModuleNotFoundError: .*cookbook_site'$") as raised:
        run_elsewhere(visit_site, print, site="/no/such/folder", url="")

    assert "\n" not in str(raised.value)


def test_a_process_that_is_killed_is_missed(valkey) -> None:
    with Elsewhere(continue_table, url=valkey.url) as process:
        process._process.kill()
        with pytest.raises(ElsewhereFailed, match="status -9"):
            process.note()


def test_a_process_ends_when_it_is_not_needed_any_more(valkey) -> None:
    with Elsewhere(continue_table, url=valkey.url) as process:
        assert process.note() == "computing 1,200 rows"

    assert process._process.returncode == -9


def test_a_process_whose_parent_is_gone_ends_by_itself(valkey) -> None:
    with Elsewhere(continue_table, url=valkey.url) as process:
        assert process.note() == "computing 1,200 rows"
        process._process.stdin.close()
        process._process.stdin = None

        assert process._process.wait(10) == 0


def test_no_password_is_among_a_process_arguments(valkey) -> None:
    with Elsewhere(continue_table, url=valkey.url) as process:
        assert valkey.url not in " ".join(process._process.args)
