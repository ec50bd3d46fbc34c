from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from afresh.runtime import background as module
from afresh.runtime.background import MOST_THREADS, Background, Job, after_each
from afresh.testing import wait_until

pytestmark = pytest.mark.alone  # it measures

WHO: ContextVar[str] = ContextVar("who", default="nobody")
SOON_S = 20.0


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background()
    yield made
    made.close()


def started(background: Background, work: Any) -> Job:
    job = background.start(work)
    assert job is not None
    return job


def test_work_is_done_behind_its_caller_with_a_copy_of_its_context(background: Background) -> None:
    def work() -> tuple[str, str]:
        seen = WHO.get()
        WHO.set("the work")
        return seen, threading.current_thread().name

    WHO.set("the caller")
    job = started(background, work)

    assert job.wait(SOON_S)
    assert job.result() == ("the caller", "afresh-background")
    assert WHO.get() == "the caller"


@pytest.mark.parametrize("error", [LookupError(), SystemExit(), KeyboardInterrupt()])
def test_what_the_work_raises_is_for_who_asks(background: Background, error: BaseException) -> None:
    def work() -> None:
        raise error

    job = started(background, work)

    assert job.wait(SOON_S)
    with pytest.raises(type(error)):
        job.result()
    assert started(background, lambda: 1).wait(SOON_S), "others are not disturbed"


def test_threads_are_used_again_and_end_when_there_is_nothing_to_do(background: Background) -> None:
    idents = set()
    for _ in range(5):
        job = started(background, threading.get_ident)
        assert job.wait(SOON_S)
        idents.add(job.result())
        wait_until(lambda: background._threads._idle == 1, SOON_S, "the thread to be idle")

    assert len(idents) == 1
    wait_until(lambda: not background._threads.threads, SOON_S, "the thread to end")


def test_there_are_only_so_many_threads(background: Background) -> None:
    go_on = threading.Event()
    jobs = [started(background, lambda: go_on.wait(SOON_S)) for _ in range(MOST_THREADS)]

    assert background.start(lambda: None) is None
    threading.Timer(0.05, go_on.set).start()
    late = background.start(lambda: "done", wait_s=SOON_S)

    assert late is not None
    assert all(job.wait(SOON_S) for job in (*jobs, late))


def test_a_system_without_threads_to_give_is_no_error(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert background.start(lambda: None) is None
    assert not background._threads.threads


def test_closing_waits_for_what_is_nearly_done_and_leaves_the_rest(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSE_S", 0.2)
    go_on = threading.Event()
    was_ours: list[bool] = []

    def work() -> None:
        was_ours.append(background.is_working())
        go_on.wait(SOON_S)
        was_ours.append(background.is_working())

    quick, slow = started(background, lambda: time.sleep(0.05)), started(background, work)
    wait_until(lambda: bool(was_ours), SOON_S, "the work to begin")
    began = time.monotonic()
    background.close()

    assert quick.wait(0)
    assert not slow.wait(0)
    assert time.monotonic() - began < SOON_S / 2
    assert started(background, lambda: "again").wait(SOON_S), "it can be used again"
    go_on.set()
    assert slow.wait(SOON_S)
    assert was_ours == [True, False], "who computes on for a closed engine can tell"


def test_closing_from_within_the_work_does_not_wait_for_itself(background: Background) -> None:
    began = time.monotonic()

    assert started(background, background.close).wait(SOON_S)
    assert time.monotonic() - began < 0.9


def test_what_a_thread_holds_is_tidied_after_each_work(
    background: Background, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_AFTER_EACH", [])
    tidied: list[str] = []

    def fail() -> None:
        raise LookupError("no connection")

    after_each(fail)
    after_each(lambda: tidied.append(threading.current_thread().name))
    with caplog.at_level(logging.ERROR, "afresh"):
        started(background, lambda: None)
        wait_until(lambda: bool(tidied), SOON_S, "the thread to be tidied")

    assert tidied == ["afresh-background"]
    assert "no connection" in caplog.text


def test_an_idle_or_busy_thread_keeps_no_interpreter_from_ending() -> None:
    program = """
import time
from afresh.runtime.background import Background
background = Background()
background.start(lambda: None)
background.start(lambda: time.sleep(600))
time.sleep(0.05)
"""
    began = time.monotonic()

    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=True, capture_output=True).stderr == b""
    assert time.monotonic() - began < SOON_S


def test_a_task_is_kept_alive_and_forgotten_at_its_end() -> None:
    background = Background()

    async def main() -> None:
        async def work() -> str:
            await asyncio.sleep(0)
            return WHO.get()

        WHO.set("the caller")
        task = background.start_task(work())
        assert background._tasks == {task}
        assert await task == "the caller"
        assert background._tasks == set()

    asyncio.run(main())


def test_a_task_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()

    async def main() -> None:
        async def work() -> None:
            raise LookupError

        background.start_task(work())
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert not caplog.records, "no exception was never retrieved"


def test_tasks_end_with_their_loop_or_with_the_cache(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(name)

    async def main(*, close: bool) -> None:
        background.start_task(work(f"close={close}"))
        await asyncio.sleep(0)
        if close:
            await background.aclose()
            assert ended[-1:] == ["close=True"]

    asyncio.run(main(close=True))
    asyncio.run(main(close=False))

    assert ended == ["close=True", "close=False"]
    assert background._tasks == set()
    assert not caplog.records


def test_a_task_whose_loop_was_closed_over_it_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()

    async def main() -> None:
        background.start_task(asyncio.sleep(0))

    loop = asyncio.new_event_loop()
    stuck = loop.create_task(asyncio.sleep(600))
    loop.run_until_complete(asyncio.sleep(0))
    background._tasks.add(stuck)
    loop.close()
    del stuck

    asyncio.run(main())
    assert background._tasks == set()
    assert not caplog.records
