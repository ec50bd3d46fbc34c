from __future__ import annotations

import asyncio
import threading
import time

import pytest

from afresh.testing import wait_until, wait_until_async


def test_what_is_true_already_is_returned_without_a_pause() -> None:
    assert wait_until(lambda: "value", 0, "a value") == "value"


async def test_what_is_true_already_is_returned_without_a_pause_async() -> None:
    assert await wait_until_async(lambda: "value", 0, "a value") == "value"


def test_what_another_thread_does_is_awaited() -> None:
    done = threading.Event()
    timer = threading.Timer(0.02, done.set)
    timer.start()

    assert wait_until(done.is_set, 10, "the timer")
    timer.join()


async def test_what_another_task_does_is_awaited() -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, done.set)

    async def is_set() -> bool:
        return done.is_set()

    assert await wait_until_async(done.is_set, 10, "the timer")
    assert await wait_until_async(is_set, 10, "the timer")


def test_what_never_comes_is_named_in_the_error() -> None:
    began = time.monotonic()

    with pytest.raises(TimeoutError, match=r"waited 0\.03 s in vain for the second coming"):
        wait_until(lambda: False, 0.03, "the second coming")

    assert time.monotonic() - began >= 0.03


async def test_what_never_comes_is_named_in_the_error_async() -> None:
    with pytest.raises(TimeoutError, match="for the second coming"):
        await wait_until_async(lambda: None, 0.01, "the second coming")


def test_the_last_look_is_after_the_deadline() -> None:
    answers = iter([False, True])

    assert wait_until(lambda: next(answers), 0, "the second answer")
