"""One process of a fleet: threads and tasks that read and invalidate the same few entries, and write down what they saw.

Run by `afresh.testing.chaos.fleet` with its orders as JSON. It goes on until its standard input ends, then reads everything once more.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

from afresh.errors import StoreError
from afresh.testing.chaos.history import Compute, Invalidation, Log, Outcome, Raised, Read, Replayed, Tally, Tier
from afresh.testing.chaos.places import ARGUMENTS, FUNCTIONS, Way, entry_of, scope
from afresh.testing.chaos.subjects import BATCH, Afresh, Asked, Computes, Subject, Value, Values, draw_asked, draw_scope

__all__ = ["DIE_AT_COMMIT", "Client", "Orders"]

# Tells a client to kill itself right after its next COMMIT, before it ends the marks.
DIE_AT_COMMIT: Final = signal.SIGUSR1

THREADS: Final = 3
TASKS: Final = 8
PAUSE_S: Final = 0.02  # the longest, between two calls of a thread or task
INVALIDATIONS: Final = 0.06  # of the calls
TRANSACTIONS: Final = 0.02  # of the calls
CANCELLED: Final = 0.15  # of the tasks' calls, within CANCEL_S
CANCEL_S: Final = 0.02
FAILING: Final = 0.02  # of the computes
LOOK_S: Final = 0.02  # between two looks at what is pending
REPLAYED_WITHIN_S: Final = 15.0  # of the calm
SLOW: Final = 0.005  # of the computes, up to a second
_NUMBERS: Final = 32  # bits


class Orders(NamedTuple):
    """What a client is to do.

    Attributes:
        url: of the server.
        log: the file of its events.
        process: its number, no other's.
        seed: of what it draws.
        sync: whether it has threads.
        aio: whether it has tasks.
        near_ms: the `max_stale` of its near tier; 0 for none.
        subject: what is tried, ``afresh`` or ``by_hand``.
    """

    url: str
    log: str
    process: int
    seed: int
    sync: bool
    aio: bool
    near_ms: int
    subject: str


class TroubleError(Exception):
    """Raised by computes that fail, now and then."""


class Client:
    """One process's part of a run."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._log = Log(Path(orders.log))
        self._numbers = count((orders.process << _NUMBERS) + 1)
        self._draw = random.Random(orders.seed)  # its methods are atomic enough for threads: which one draws what does not matter
        self._subject = _subject(orders, Computes(self._compute, self._acompute))
        self._ended, self._told = threading.Event(), threading.Event()
        self._queued: list[int] = []
        self._dies_at_commit = threading.Event()
        self.failed = False

    def run(self) -> None:
        """Do what the orders say until standard input ends, then read everything once more."""
        threading.Thread(target=self._await_end, daemon=True).start()
        watching = threading.Thread(target=self._note_replays)
        watching.start()
        signal.signal(DIE_AT_COMMIT, lambda *_: self._dies_at_commit.set())
        jobs: list[Callable[[], None]] = [lambda: asyncio.run(self._tasks())]
        if self._orders.sync:
            jobs += [self._thread] * THREADS
        threads = [threading.Thread(target=self._guarded, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._told.set()
        watching.join()
        self._log.close()

    # ---- what it calls

    def _thread(self) -> None:
        while not self._ended.is_set():
            time.sleep(self._draw.random() * PAUSE_S)
            chance = self._draw.random()
            if chance < TRANSACTIONS:
                self._transact(self._draw.randrange(ARGUMENTS))
            elif chance < TRANSACTIONS + INVALIDATIONS:
                way, target = draw_scope(self._draw)
                start_ns = time.monotonic_ns()
                self._invalidated(way, target, start_ns, self._subject.invalidate(way, target))
            else:
                self._read(draw_asked(self._draw))

    async def _tasks(self) -> None:
        if self._orders.aio:
            await asyncio.gather(*(self._task() for _ in range(TASKS)))
        await asyncio.to_thread(self._ended.wait)
        await asyncio.to_thread(self._await_replays)
        for n in range(ARGUMENTS):
            for function in FUNCTIONS:
                await self._check(Asked(function, [(n + more) % ARGUMENTS for more in range(BATCH if function == "batch" else 1)]))
        self._log.write(Tally(self._orders.process, await self._subject.aclose()))

    async def _task(self) -> None:
        while not self._ended.is_set():
            await asyncio.sleep(self._draw.random() * PAUSE_S)
            if self._draw.random() < CANCELLED:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._call(), self._draw.random() * CANCEL_S)
            else:
                await self._call()

    async def _call(self) -> None:
        chance = self._draw.random()
        if chance < TRANSACTIONS:
            await self._atransact(self._draw.randrange(ARGUMENTS))
        elif chance < TRANSACTIONS + INVALIDATIONS:
            way, target = draw_scope(self._draw)
            start_ns = time.monotonic_ns()
            self._invalidated(way, target, start_ns, await self._subject.ainvalidate(way, target))
        else:
            await self._aread(draw_asked(self._draw))

    def _transact(self, argument: int) -> None:
        since_ns = time.monotonic_ns()
        with suppress(StoreError), self._subject.writing(argument):
            time.sleep(self._duration_s())
            self._committed(argument, since_ns)
            time.sleep(self._duration_s())

    async def _atransact(self, argument: int) -> None:
        since_ns = time.monotonic_ns()
        with suppress(StoreError):
            async with self._subject.awriting(argument):
                await asyncio.sleep(self._duration_s())
                self._committed(argument, since_ns)
                await asyncio.sleep(self._duration_s())

    def _read(self, asked: Asked) -> None:
        start_ns = time.monotonic_ns()
        with self._reading(asked, start_ns):
            self._was_read(asked, start_ns, self._subject.read(asked))

    async def _aread(self, asked: Asked) -> None:
        start_ns = time.monotonic_ns()
        with self._reading(asked, start_ns):
            self._was_read(asked, start_ns, await self._subject.aread(asked))

    async def _check(self, asked: Asked) -> None:
        """Read in the calm, in each colour that this client has."""
        if self._orders.aio:
            await self._aread(asked)
        if self._orders.sync:
            await asyncio.to_thread(self._read, asked)

    def _await_end(self) -> None:
        sys.stdin.read()
        self._ended.set()

    # ---- what it computes

    def _compute(self, entry: int) -> Value:
        number, start_ns = self._begun(entry)
        try:
            time.sleep(self._duration_s())
            return self._computed(entry, number, start_ns)
        finally:
            self._log.write(Compute(self._orders.process, entry, number, start_ns, time.monotonic_ns()))

    async def _acompute(self, entry: int) -> Value:
        number, start_ns = self._begun(entry)
        try:
            await asyncio.sleep(self._duration_s())
            return self._computed(entry, number, start_ns)
        finally:
            self._log.write(Compute(self._orders.process, entry, number, start_ns, time.monotonic_ns()))

    def _begun(self, entry: int) -> tuple[int, int]:
        start_ns, number = time.monotonic_ns(), next(self._numbers)
        self._log.write(Compute(self._orders.process, entry, number, start_ns))
        return number, start_ns

    def _duration_s(self) -> float:
        if self._draw.random() < SLOW:
            return self._draw.random()
        return self._draw.random() ** 3 * 0.02

    def _computed(self, entry: int, number: int, start_ns: int) -> Value:
        if self._draw.random() < FAILING:
            raise TroubleError
        return Value(entry, number, start_ns, bytes(self._draw.choice((10, 3000))))

    # ---- what it writes down

    def _invalidated(self, way: Way, target: int, start_ns: int, receipt: Any) -> None:
        outcome, number = Outcome.APPLIED if receipt.applied else Outcome.QUEUED, next(self._numbers)
        self._log.write(Invalidation(self._orders.process, number, scope(way, target), start_ns, time.monotonic_ns(), outcome))
        if outcome == Outcome.QUEUED:
            self._queued.append(number)

    def _note_replays(self) -> None:
        """Note which of the queued invalidations the server has by now: those that were queued before nothing was pending any more."""
        pending = self._subject.pending
        while pending is not None and not self._told.wait(LOOK_S):
            queued = list(self._queued)
            if queued and not pending():
                at_ns = time.monotonic_ns()
                for number in queued:
                    self._log.write(Replayed(self._orders.process, number, at_ns))
                del self._queued[: len(queued)]

    def _await_replays(self) -> None:
        deadline = time.monotonic() + REPLAYED_WITHIN_S
        while self._queued and self._subject.pending is not None and time.monotonic() < deadline:
            time.sleep(LOOK_S)

    def _committed(self, argument: int, since_ns: int) -> None:
        """Commit: from here on everybody computes something else. It is on record before the marks end, should this process die."""
        at_ns = time.monotonic_ns()
        what = scope(Way.TAG, argument)
        self._log.write(Invalidation(self._orders.process, next(self._numbers), what, at_ns, at_ns, Outcome.COMMITTED, since_ns))
        if self._dies_at_commit.is_set():
            os.kill(os.getpid(), signal.SIGKILL)

    def _was_read(self, asked: Asked, start_ns: int, values: Values) -> None:
        end_ns = time.monotonic_ns()
        tier = Tier.NEAR if self._orders.near_ms and not asked.past_near else Tier.REDIS
        for n, value in zip(asked.arguments, values, strict=True):
            entry = entry_of(asked.function, n)
            self._log.write(Read(self._orders.process, entry, start_ns, end_ns, value.number, value.computed_ns, tier))

    def _reading(self, asked: Asked, start_ns: int) -> _Reading:
        return _Reading(self._log, self._orders.process, entry_of(asked.function, asked.arguments[0]), start_ns)

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException:
            self.failed = True
            raise


class _Reading:
    """Notes what a read raises, other than what its compute raised."""

    def __init__(self, log: Log, process: int, entry: int, start_ns: int) -> None:
        self._log, self._event = log, Raised(process, entry, start_ns, 0)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False  # cancelled
        if not isinstance(error, TroubleError):
            traceback.print_exception(error)
            self._log.write(self._event._replace(end_ns=time.monotonic_ns()))
        return True


def _subject(orders: Orders, computes: Computes) -> Subject:
    if orders.subject == "by_hand":
        from afresh.testing.chaos.by_hand import ByHand

        return ByHand(orders.url, computes)
    return Afresh(orders.url, computes, near_ms=orders.near_ms)


def main() -> int:
    """Run a client by the orders in the first argument."""
    client = Client(Orders(**json.loads(sys.argv[1])))
    client.run()
    return int(client.failed)


if __name__ == "__main__":
    sys.exit(main())
