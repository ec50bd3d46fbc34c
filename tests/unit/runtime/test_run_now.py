from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from afresh.errors import SuspendedError
from afresh.runtime.run_now import run_now


async def ready(value: object) -> object:
    return value


def test_a_flow_that_never_suspends_returns() -> None:
    async def flow() -> list[object]:
        return [await ready(1), await ready(None)]

    assert run_now(flow()) == [1, None]


def test_what_a_flow_raises_is_raised() -> None:
    async def flow() -> None:
        await ready(1)
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        run_now(flow())


def test_a_flow_that_suspends_is_a_bug_and_is_closed() -> None:
    closed: list[bool] = []

    class Suspends:
        def __await__(self) -> Generator[None]:
            yield

    async def flow() -> None:
        try:
            await Suspends()
        finally:
            closed.append(True)

    with pytest.raises(SuspendedError, match=r"the flow .*flow.* suspended under the sync driver.*Please report this"):
        run_now(flow())

    assert closed == [True]


def test_a_flow_that_awaits_the_event_loop_is_a_bug() -> None:
    async def flow() -> None:
        await asyncio.sleep(0)

    with pytest.raises(SuspendedError):
        run_now(flow())


async def test_it_runs_inside_a_running_loop() -> None:
    assert run_now(ready(1)) == 1
