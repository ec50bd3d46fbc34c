"""Computations behind their callers: who asked has an old value by now, or has waited long enough.

For plain functions there are threads, as many as there is work for, up to `MOST_THREADS`; an idle one ends soon. They are daemons: the
interpreter does not wait for them, nor does `close` for long. A computation sees the context variables of its caller, in a copy. What the
computation leaves to its thread (Django's database connections, say) is closed by those who asked for it with `after_each`.

For coroutine functions there are tasks on the caller's loop. They are cancelled with the loop, or by `aclose`.

After a fork the child has none of either; what they compute is the parent's.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

__all__ = ["Background", "Job", "after_each"]

MOST_THREADS: Final = 32
# How long a thread waits for more work, and how long `close` waits for threads that work.
_IDLE_S: Final = 0.5
_CLOSE_S: Final = 1.0

_AFTER_EACH: list[Callable[[], object]] = []


def after_each(tidy: Callable[[], object]) -> None:
    """Have `tidy` called in the threads of all engines after each computation."""
    _AFTER_EACH.append(tidy)


class Job:
    """A piece of work that a thread does, once."""

    __slots__ = ("_done", "_error", "_value", "_work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] = partial(copy_context().run, work)
        self._done = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it. What it raises is kept for `result`."""
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001  SystemExit, too, ends a computation and not the thread
            self._error = error
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is done, or the time is up."""
        return self._done.wait(max(0.0, timeout_s))

    def result(self) -> Any:
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._value


class Background:
    """What one engine has computed behind its callers."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a forked child."""
        self._threads = _Threads()
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Callable[[], Any], *, wait_s: float = 0.0) -> Job | None:
        """Have a thread do the work; None if all stay busy for that long, or the system gives no more threads."""
        return self._threads.start(work, wait_s)

    def is_working(self) -> bool:
        """Say whether this thread is one of those that work here, and nobody has closed them meanwhile."""
        return threading.current_thread() in self._threads.threads

    def start_task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Have a task of this loop do the work, and keep the task alive, which the loop does not."""
        import asyncio  # whoever has a task has loaded it

        for task in [task for task in self._tasks if task.get_loop().is_closed()]:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  its loop was closed over it: nobody to blame
            self._tasks.discard(task)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: who waits for it is told, and who does not has logged it

    def close(self) -> None:
        """End the threads that have nothing to do, and wait a second for the others: what they compute later is not stored."""
        self._threads.close(_CLOSE_S)
        self._threads = _Threads()

    async def aclose(self) -> None:
        """Cancel the tasks of this loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        tasks = [task for task in self._tasks if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_S)


class _Threads:
    """Threads that come with the work and go without."""

    def __init__(self) -> None:
        self.threads: set[threading.Thread] = set()
        self._change = threading.Condition()  # its lock is re-entrant: a signal's handler may call in the middle of a call
        self._queue: deque[Job] = deque()
        self._idle = 0
        self._is_closing = False

    def start(self, work: Callable[[], Any], wait_s: float) -> Job | None:
        job = Job(work)
        with self._change:
            if not self._change.wait_for(self._may_start, wait_s) or self._is_closing:
                return None
            self._queue.append(job)
            if self._idle < len(self._queue):
                thread = threading.Thread(target=self._run, name="afresh-background", daemon=True)
                self.threads.add(thread)
                try:
                    thread.start()
                except RuntimeError:  # the system gives no more threads, or the interpreter ends
                    self.threads.discard(thread)
                    self._queue.remove(job)
                    return None
            self._change.notify_all()
        return job

    def _may_start(self) -> bool:
        return self._is_closing or self._idle > len(self._queue) or len(self.threads) < MOST_THREADS

    def _run(self) -> None:
        while (job := self._next()) is not None:
            job.run()
            del job  # and the value with it
            for tidy in _AFTER_EACH:
                try:
                    tidy()
                except Exception:
                    import logging

                    logging.getLogger("afresh").exception("%r failed after a computation behind its caller", tidy)

    def _next(self) -> Job | None:
        """Return what to do next; None to end this thread."""
        with self._change:
            self._idle += 1
            self._change.notify_all()
            self._change.wait_for(lambda: self._queue or self._is_closing, _IDLE_S)
            self._idle -= 1
            if self._queue:
                return self._queue.popleft()
            self.threads.discard(threading.current_thread())
            self._change.notify_all()
            return None

    def close(self, timeout_s: float) -> None:
        with self._change:
            self._is_closing = True
            self._change.notify_all()
            self._change.wait_for(lambda: not self.threads - {threading.current_thread()}, timeout_s)
