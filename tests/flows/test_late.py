"""An invalidation that does not reach the server at first: its process sees its effect at once, everybody once it was repeated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from afresh.core import commits
from afresh.core.late import late_of, replay
from afresh.core.ports import Ports
from afresh.core.reads import Request
from afresh.core.writes import Target
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor
from tests.flows.scenarios import KINDS, scenario
from tests.flows.world import FUNCTION, NAMES, PRODUCTION, STAMPS, World


class Late:
    """A process whose invalidation fails. For its own readers it counts from the moment that it has failed."""

    def __init__(self, world: World, kind: str) -> None:
        self.world = world
        self.withheld: dict[str, Any] = {}
        self.ports = world.process().but(withheld=self.withheld)
        self._targets = [Target(NAMES, FUNCTION.key) if kind == "key" else Target(None, STAMPS[kind])]
        self._bit = world._bit()

    def another_thread(self) -> Ports:
        return self.world.process(like=self.ports).but(withheld=self.withheld)

    async def invalidate(self, *, forgets_early: bool = False) -> None:
        self.world.called |= self._bit
        await pause()  # it was sent, and did not arrive
        lates = late_of(self._targets, self.world.clock.now)
        self.withheld.update(lates)
        self.world.applied |= self._bit
        await pause()
        if forgets_early:
            self.withheld.clear()
        done, _ = await replay(self.world.process(replies=False).but(), list(lates.values()))
        assert done
        self.withheld.clear()


def meeting(world: World, wanted: Request, *, kind: str, forgets_early: bool = False) -> list[Actor]:
    late = Late(world, kind)
    return [
        world.reader(late.ports, wanted),
        world.late_reader(late.another_thread(), wanted),
        late.invalidate(forgets_early=forgets_early),
    ]


@pytest.mark.parametrize(("kind", "warm"), [("key", False), ("tag", False), *((kind, True) for kind in KINDS)])
def test_its_process_serves_nothing_older(kind: str, warm: bool) -> None:
    found = explore(scenario(partial(meeting, kind=kind), PRODUCTION, warm=warm))

    print(f"{kind}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


def without_the_check_of_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afresh.core.reads.is_withheld", lambda *_: False)


def without_the_check_of_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "is_withheld", lambda *_: False)


@pytest.mark.parametrize(
    "wrong", [without_the_check_of_reads, without_the_check_of_commits, None], ids=["reads", "commits", "forgets early"]
)
def test_each_rule_is_needed(wrong: Callable[[pytest.MonkeyPatch], None] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if wrong is not None:
        wrong(monkeypatch)
    worlds = [
        scenario(partial(meeting, kind=kind, forgets_early=wrong is None), PRODUCTION, warm=warm)
        for kind in KINDS
        for warm in (False, True)
    ]

    assert any(explore(world).failure is not None for world in worlds)
