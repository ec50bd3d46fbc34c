"""Ports on the memory store, where a test says what fails, what others do in between, and what time it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from afresh.codec.msgpack import codec_for
from afresh.codec.values import CodecValues
from afresh.core import ops
from afresh.core.keys import Namespace
from afresh.core.policy import Policy
from afresh.core.ports import Ports
from afresh.core.reads import Request
from afresh.core.stamps import needs_of
from afresh.errors import StoreError
from afresh.runtime.callers import Caller
from afresh.runtime.flights import FlightTable, SyncFlights
from afresh.runtime.run_now import run_now
from afresh.stores.memory import MemoryStore
from afresh.telemetry.counters import Counters, Tallies

NAMESPACE = Namespace("t")
FUNCTION = NAMESPACE.tag_of("afresh:f:f")
VALUES = CodecValues(codec_for(None))


def a_request(name: str = "f:f:1", tags: Sequence[str] = ("a",), **policy: Any) -> Request:
    """Return the request for an entry of a function."""
    needs = needs_of(NAMESPACE, FUNCTION, tags)
    return Request(NAMESPACE.names(name), needs, Policy(**{"ttl_ms": 60_000, **policy}), VALUES, "f", NAMESPACE)


def somebody_else() -> Caller:
    """Return who leads what the caller of a test waits for."""
    return Caller(0)


_numbers = count(1)


def _token(size: int) -> bytes:
    return b"".join(next(_numbers).to_bytes(8, "big") for _ in range(size // 8))


class Scripted:
    """A store and a clock.

    Attributes:
        failing: kinds of operations whose flight fails with this error.
        refusing: kinds of operations that are refused with this error.
        before: what happens before an operation of a kind runs, each time.
        sleeps: how long was slept, ms.
        chance: what a draw gives, from just above 0, where everything happens, to 1.

    Each call is of a thread of its own, as far as the flights know.
    """

    def __init__(self) -> None:
        self.now = 1_000_000
        self.memory = MemoryStore(now_ms=self.now_ms)
        self.failing: dict[type, StoreError | BaseException] = {}
        self.refusing: dict[type, StoreError] = {}
        self.before: dict[type, Callable[[], object]] = {}
        self.asked: list[ops.Op] = []
        self.batches = 0
        self.sleeps: list[float] = []
        self.chance = 1.0
        self.tallies = Tallies()
        self.table = FlightTable()
        self.ports = Ports(
            self, self, SyncFlights(self.table, lambda: Caller(next(_numbers))), Counters(self.tallies), _token, rand=self._draw
        )

    # ---- the store

    async def flight(self, batch: Sequence[ops.Op], /, spent_us: int = 0) -> list[Any]:
        """Run the operations, but for what was arranged."""
        self.asked += batch
        self.batches += 1
        for op in batch:
            if (error := self.failing.get(type(op))) is not None:
                raise error
            if (happens := self.before.get(type(op))) is not None:
                happens()
        return [self.refusing.get(type(op)) or (await self.memory.flight([op]))[0] for op in batch]

    def ask(self, op: ops.Op) -> Any:
        """Do something to the store from outside."""
        return run_now(self.memory.flight([op]))[0]

    def _draw(self) -> float:
        return self.chance

    # ---- the clock

    def now_ms(self) -> int:
        """Return the time."""
        return self.now

    def ticks_us(self) -> int:
        """Return the same."""
        return self.now * 1000

    async def sleep_ms(self, duration_ms: float, /) -> None:
        """Let time pass at once."""
        self.sleeps.append(duration_ms)
        self.now += round(duration_ms)

    @property
    def is_idle(self) -> bool:
        """Say whether no flight is left."""
        return not self.table._flights and not self.table._looks
