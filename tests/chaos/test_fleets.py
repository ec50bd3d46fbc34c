"""A minute of chaos: fleets on both servers under every fault, held to the contract; and code by hand, which must not pass.

`make chaos` does the same for as long as one likes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from afresh.testing.chaos.fleet import Fleet, Plan, Result
from afresh.testing.chaos.report import rendered
from tests.support.servers import find_redis, find_valkey

pytestmark = pytest.mark.alone  # it measures

SECONDS = 5
SEED = 7
Colour = Literal["sync", "async", "mixed"]


def run(server: str, directory: Path, *, colour: Colour = "mixed", by_hand: bool = False) -> Result:
    program = find_valkey() if server == "valkey" else find_redis()
    if program is None:
        pytest.skip(f"no {server} here")
    plan = Plan(
        program,
        directory,
        SECONDS,
        SEED,
        clients=3,
        colour=colour,
        subject="by_hand" if by_hand else "afresh",
    )
    result = Fleet(plan).run()
    print(f"\n{rendered(result)}")
    return result


@pytest.mark.parametrize("colour", ["sync", "async", "mixed"])
@pytest.mark.parametrize("server", ["valkey", "redis7"])
def test_the_contract_is_kept(server: str, colour: Colour, tmp_path: Path) -> None:
    result = run(server, tmp_path, colour=colour)

    assert result.report.is_kept, rendered(result)
    assert not result.failed
    assert result.report.hits > 100, "otherwise nothing was tried"
    assert result.report.invalidations["applied"] > 10


@pytest.mark.parametrize("server", ["valkey", "redis7"])
def test_code_by_hand_is_found_out(server: str, tmp_path: Path) -> None:
    result = run(server, tmp_path, by_hand=True)

    assert result.report.stale > 0, "a check that finds nothing where there is something proves nothing"
    assert result.report.clauses[1].broken
