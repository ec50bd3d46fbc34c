"""Exceptions that come from outside, at any line of a store: a handler's KeyboardInterrupt, a soft time limit, no memory, no stack.

Replies are told apart by their order alone. A connection on which one went missing would give each later caller another's value.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from types import FrameType, NoneType
from typing import Any

import pytest

from afresh.core.breaker import Breaker
from afresh.core.ops import Get, Set, Unlink
from afresh.core.restarts import ServerRun
from afresh.errors import StoreError, StoreUnavailable
from afresh.runtime.run_now import run_now
from afresh.stores import aio, guarded, line, pool, sync, wire
from afresh.stores.address import parse_url
from afresh.stores.aio import AsyncStore
from afresh.stores.guarded import GuardedStore
from afresh.stores.peer import Peer
from afresh.stores.sync import SyncStore
from tests.support.servers import Server

BUDGET_S = 0.25
PROMPT_S = 4 * BUDGET_S
ERRORS = [KeyboardInterrupt, MemoryError]  # asyncio lets the first pass, and keeps the second
KEYS = [f"t-interrupted:v:{{{at}}}" for at in range(2)]
LARGE_KEY, LARGE = "t-interrupted:v:{large}", b"large" * 40_000
# What runs when nobody calls.
BEHIND = {"_sweep", "_judge", "close", "connection_lost", "_end_all", "_stop_sweeping"}


class Interruption:
    """Raises at the n-th line that is run of these modules, or of some functions in them."""

    def __init__(self, modules: Sequence[Any], error: type[BaseException], nth: int, functions: set[str] | None = None) -> None:
        self._files = {module.__file__ for module in modules}
        self._error = error
        self._left = nth
        self._functions = functions
        self.at: str | None = None

    @contextmanager
    def armed(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        is_wanted = code.co_filename in self._files and (self._functions is None or code.co_name in self._functions)
        return self._line if is_wanted else None

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            self._left -= 1
            if not self._left:
                self.at = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
                sys.settrace(None)
                raise self._error
        return self._line


@pytest.fixture
def stocked(valkey: Server) -> Server:
    for key in KEYS:
        valkey.command("SET", key, key, "PX", 600_000)
    valkey.command("SET", LARGE_KEY, LARGE, "PX", 600_000)
    return valkey


async def own_values(store: AsyncStore) -> list[BaseException | None]:
    """Have every key read by a task of its own, and return what they ended with."""

    async def one(key: str) -> None:
        for _ in range(2):
            assert await store.flight([Get(key)]) == [key.encode()]
        with suppress(OSError):
            if (soon := store.ask_soon(Get(key), (Get(KEYS[0]),))) is not None:
                assert await soon == [key.encode(), KEYS[0].encode()]

    tasks = [asyncio.create_task(one(key)) for key in KEYS]
    await asyncio.wait(tasks)
    return [task.exception() for task in tasks]


def interrupted(stocked: Server, interruption: Interruption, during: Callable[[AsyncStore], Coroutine[Any, Any, Any]]) -> None:
    """Interrupt a loop's work; then expect every task of it to end, and new ones to get their own values."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # what asyncio keeps of the interruption
    store = AsyncStore(parse_url(stocked.url), budget_s=BUDGET_S, peer=Peer("the server", ServerRun()))

    def promptly(work: Coroutine[Any, Any, list[BaseException | None]]) -> list[BaseException | None]:
        return loop.run_until_complete(asyncio.wait_for(work, PROMPT_S))

    def served() -> None:
        """Everybody gets their own values; on a busy machine, not all of them the first time in time."""
        for _ in range(3):
            errors = promptly(own_values(store))
            if errors == [None] * len(KEYS):
                return
            assert all(error is None or (isinstance(error, StoreUnavailable) and error.is_timeout) for error in errors), errors
        pytest.fail("nobody is served")

    try:
        working = loop.create_task(during(store))
        with interruption.armed(), suppress(KeyboardInterrupt):
            loop.run_until_complete(working)
        served()
        loop.run_until_complete(asyncio.wait([working], timeout=PROMPT_S))
        assert working.done(), "somebody waits in vain"
        for error in working.result():
            assert isinstance(error, (StoreError, MemoryError, KeyboardInterrupt, NoneType)), repr(error)
        served()
    finally:
        loop.run_until_complete(store.aclose())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def at_each_line(
    modules: Sequence[Any], error: type[BaseException], work: Callable[[Interruption], object], functions: set[str] | None = None
) -> None:
    """Do the work once for each line that it runs, interrupted there."""
    for nth in count(1):
        interruption = Interruption(modules, error, nth, functions)
        try:
            work(interruption)
        except BaseException as failure:
            failure.add_note(f"interrupted at {interruption.at}")
            raise
        if interruption.at is None:
            print(f"{nth - 1} lines")
            assert nth > 1
            return


@pytest.mark.parametrize("error", ERRORS)
def test_an_interruption_at_any_line_gives_no_task_anothers_value(stocked: Server, error: type[BaseException]) -> None:
    at_each_line((aio, wire), error, lambda interruption: interrupted(stocked, interruption, own_values))


def test_an_interruption_while_nothing_is_asked_harms_no_later_call(stocked: Server) -> None:
    async def idle(store: AsyncStore) -> list[BaseException | None]:
        await own_values(store)
        await asyncio.sleep(0.6 * BUDGET_S)
        stocked.command("CLIENT", "KILL", "TYPE", "normal")
        await asyncio.sleep(0.01)
        return await own_values(store)

    at_each_line((wire,), KeyboardInterrupt, lambda interruption: interrupted(stocked, interruption, idle), BEHIND)


@pytest.mark.parametrize("error", ERRORS)
def test_an_interruption_at_any_line_gives_no_thread_anothers_value(stocked: Server, error: type[BaseException]) -> None:
    def work(interruption: Interruption) -> None:
        store = SyncStore(parse_url(stocked.url), budget_s=BUDGET_S, peer=Peer("the server", ServerRun()))
        ask = GuardedStore(store, Breaker(), BUDGET_S).ask
        with interruption.armed(), suppress(error):
            for key in KEYS:
                assert ask(Get(key), (Get(key),)) == 2 * [key.encode()]
                assert run_now(store.flight([Get(key)])) == [key.encode()]
            assert ask(Get(LARGE_KEY), (Get(KEYS[0]),)) == [LARGE, KEYS[0].encode()]
        for key in KEYS:
            assert ask(Get(key), ()) == [key.encode()]
            assert run_now(store.flight([Get(key)])) == [key.encode()]
        store.close()

    at_each_line((sync, line, pool, guarded), error, work)


@pytest.mark.parametrize("error", ERRORS)
def test_an_interruption_of_a_put_at_any_line_gives_no_thread_anothers_value(stocked: Server, error: type[BaseException]) -> None:
    def work(interruption: Interruption) -> None:
        store = SyncStore(parse_url(stocked.url), budget_s=BUDGET_S, peer=Peer("the server", ServerRun()))
        guard = GuardedStore(store, Breaker(), BUDGET_S)
        with interruption.armed(), suppress(error):
            for key in KEYS:
                put = (Unlink(key + "lease"), Set(key, 600_000, key.encode()))
                assert guard.tell(put, (Get(key),)) == [0, b"OK", key.encode()]
        for key in KEYS:
            assert guard.ask(Get(key), ()) == [key.encode()]
        store.close()

    at_each_line((sync, line, pool, guarded), error, work)
