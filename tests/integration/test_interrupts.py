"""Calls that an exception tears from their work, at every line of afresh in turn: a signal's handler that raises, a time limit."""

from __future__ import annotations

import asyncio
import dis
import gc
import linecache
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import afresh
from afresh import Cache
from afresh.runtime.surroundings import SURROUNDINGS
from tests.support.servers import Server

# A coroutine that was made and not begun: what it stood for is taken back, which is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")

_ROOT = afresh.__file__.removesuffix("__init__.py")
# What a connection does with an interrupt is tested with the connections.
_LEFT_OUT = tuple(_ROOT + each for each in ("stores/", "cli/", "testing/"))


class Interrupt(BaseException):
    """What no handler of the call expects."""


class Interrupting:
    """Raises at the n-th line of afresh that a thread runs, but for lines of finalizers, where nothing can be raised."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.has_raised = False
        self.where = ""

    def __enter__(self) -> None:
        sys.settrace(self._call)

    def __exit__(self, *exc: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, arg: object) -> Any:
        path = frame.f_code.co_filename
        if not path.startswith(_ROOT) or path.startswith(_LEFT_OUT) or _is_in_finalizer(frame):
            return None
        return self._line

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "line" and not self.has_raised and not _leaves_with(frame):
            self._left -= 1
            if not self._left:
                self.has_raised = True
                self.where = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
                sys.settrace(None)
                raise Interrupt
        return self._line


def _leaves_with(frame: FrameType) -> bool:
    """Say whether what comes next is the exit from a `with` block: CPython handles no signal between its body and a lock's `__exit__`."""
    is_with = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with ")
    return is_with and dis.opname[frame.f_code.co_code[frame.f_lasti]] in {"LOAD_CONST", "SWAP"}


def _is_in_finalizer(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _sync(cache: Cache) -> Callable[[int], object]:
    @cache.memoize()
    def inner(x: int) -> list[int]:
        return [x]

    @cache.memoize()
    def outer(x: int) -> list[int]:
        return inner(x)

    return outer


def _async(cache: Cache) -> Callable[[int], object]:
    @cache.memoize()
    async def inner(x: int) -> list[int]:
        await asyncio.sleep(0)
        return [x]

    @cache.memoize()
    async def outer(x: int) -> list[int]:
        return await inner(x)

    async def call(x: int) -> object:
        return await asyncio.create_task(outer(x))

    loop = asyncio.get_event_loop()
    return lambda x: loop.run_until_complete(call(x))


def _keyed(cache: Cache) -> Callable[[int], object]:
    return lambda x: cache.get_or_compute(str(x), lambda: [x])


def _many(cache: Cache) -> Callable[[int], object]:
    @cache.memoize_many()
    def lists(xs: list[int]) -> dict[int, list[int]]:
        return {x: [x] for x in xs}

    def call(x: int) -> object:
        first, second = lists([x, -1 - x]).values()
        assert second == [-1 - x]
        return first

    return call


def _refreshed(cache: Cache) -> Callable[[int], object]:
    @cache.memoize()
    def function(x: int) -> list[int]:
        return [x]

    def call(x: int) -> object:
        assert function.refresh(x) == [x]
        return function(x)

    return call


KINDS = {"sync": _sync, "async": _async, "get_or_compute": _keyed, "memoize_many": _many, "refresh": _refreshed}


@pytest.fixture
def loop() -> Any:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    asyncio.set_event_loop(None)
    loop.close()


def _in_thread(call: Callable[[int], object], x: int) -> object:
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(call(x)))
    thread.start()
    thread.join()
    return got


def _interrupt_at_every_line(cache: Cache, kind: str, step: int = 1) -> int:
    """Interrupt call after call, each a line later, until one is not; after each, call again from the same thread and from another."""
    call = KINDS[kind](cache)
    for _ in range(2):
        call(10**6)  # what is prepared at first use is no part of a call
        cache.invalidate_all()
    for number in range(1, 10_000, step):
        interrupting = Interrupting(number)
        started = time.monotonic()
        try:
            with interrupting:
                assert call(number) == [number]
        except Interrupt:
            assert call(number) == [number], "the handler itself may call again"
        if kind != "async":
            assert _in_thread(call, number) == [[number]]
        assert call(number) == [number]
        assert SURROUNDINGS.get() is None, f"after an interrupt in {interrupting.where} the thread counts as computing"
        took_s = time.monotonic() - started
        assert took_s < 4, f"after an interrupt in {interrupting.where} the calls took {took_s:.1f} s"
        assert not cache._engine._table._flights, interrupting.where
        if not interrupting.has_raised:
            return number
    raise AssertionError("the call never ends")


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_anywhere_in_a_call_leaves_nobody_waiting(kind: str, loop: asyncio.AbstractEventLoop) -> None:
    with Cache("memory://", ttl="1h") as cache:
        lines = _interrupt_at_every_line(cache, kind)

    print(f"interrupted at {lines} lines")
    assert lines > 100
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("afresh")]


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_anywhere_in_a_call_leaves_no_lease_on_a_server(
    kind: str, loop: asyncio.AbstractEventLoop, valkey: Server, namespace: str
) -> None:
    with Cache(valkey.url, namespace=namespace, ttl="1h", budget="10s") as cache:
        _interrupt_at_every_line(cache, kind, step=3)
        held = cache._engine.renewals._held
        assert not any(what.renewal() for each in held.values() if (what := each.what()) is not None), "a task's traceback may keep it"
        gc.collect()
        assert all(each.what() is None for each in held.values())
        cache.get_or_compute("the next claim takes along what is left", lambda: None)
        assert not valkey.command("KEYS", f"{namespace}:l:*")
        loop.run_until_complete(cache.aio.aclose())
