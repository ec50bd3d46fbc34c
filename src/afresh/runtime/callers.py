"""Who calls, and how a call waits for another."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import asyncio

__all__ = ["Caller", "TaskGate", "ThreadGate", "this_task", "this_thread"]


class Caller(NamedTuple):
    """Who calls: a task, or a plain function, which blocks its thread."""

    thread: int
    task: weakref.ref[asyncio.Task[Any]] | None = None

    def must_act_for(self, other: Caller) -> bool:
        """Say whether the other can go on only when this caller returns."""
        if self.task is None or other.task is None:
            return self.thread == other.thread
        return self.task is other.task

    @property
    def is_gone(self) -> bool:
        """Say whether it is a task that has ended. Its frames may live on, in an exception's traceback."""
        return self.task is not None and ((task := self.task()) is None or task.done())


def this_thread() -> Caller:
    """Return a plain function's caller."""
    return Caller(threading.get_ident())


def this_task() -> Caller:
    """Return a coroutine's."""
    import asyncio

    task = asyncio.current_task()
    assert task is not None
    return Caller(threading.get_ident(), weakref.ref(task))


class ThreadGate:
    """Where one thread waits until another opens."""

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()

    def open(self) -> None:
        """Let it go on. May be called again."""
        with suppress(RuntimeError):
            self._gate.release()

    async def wait(self, timeout_ms: float) -> None:
        """Block the thread until it is open, or the time is up."""
        self._gate.acquire(timeout=min(max(timeout_ms, 0) / 1000, threading.TIMEOUT_MAX))


class TaskGate:
    """Where one task waits until somebody opens, from whatever thread."""

    __slots__ = ("_loop", "_opened")

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()

    def open(self) -> None:
        """Let it go on. May be called again."""
        import asyncio

        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001  the one way to ask without an exception for an answer
            self._end()  # without a system call for each
            return
        with suppress(RuntimeError):  # the loop is closed: its task is gone
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    async def wait(self, timeout_ms: float) -> None:
        """Suspend the task until it is open, or the time is up."""
        timer = self._loop.call_later(max(timeout_ms, 0) / 1000, self._end)  # a third of what asyncio.wait costs
        try:
            await self._opened
        finally:
            timer.cancel()
