"""A world to step through: the production flows on the real memory store and the real flight table, which suspend at every step.

Nothing in it has a value of its own. What a compute returns is the set of invalidations *called* before it started, as bits; a read
notes the set *applied* before it started. Clause 1 of the contract then is one line: every bit of the second is in the first.

Time stands still: what would pass with it (a lease, a stamp) is taken away by an actor. A poller sleeps until the server's data has
changed, since looking at the same data again tells it nothing new; if nothing ever changes it, `explore` reports the deadlock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from afresh.codec.msgpack import codec_for
from afresh.codec.values import CodecValues
from afresh.core import flows, ops, writes
from afresh.core.budget import told
from afresh.core.capture import obtain_into
from afresh.core.commits import Result, commit_many
from afresh.core.envelope import parse
from afresh.core.keys import Names, Namespace
from afresh.core.policy import Policy
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request, plain_hit, read
from afresh.core.renewing import renew
from afresh.core.stamps import needs_of
from afresh.core.writes import Target
from afresh.runtime.callers import Caller
from afresh.runtime.capturing import capturing, end_capture, start_capture
from afresh.runtime.flights import Flight, FlightTable, Outcome, Seat
from afresh.runtime.run_now import run_now
from afresh.stores.memory import MemoryStore
from afresh.telemetry.counters import Counters
from afresh.testing import pause
from afresh.testing.stepping import Actor, Exploration, Failure, Scenario

# The version of the server's data that an actor has seen last.
_LOOKED_AT: ContextVar[int] = ContextVar("looked_at", default=0)

NAMESPACE = Namespace("t")
FUNCTION = NAMESPACE.tag_of(Namespace.function_tag("f:f"))
TAG = NAMESPACE.tag_of("a")
NAMES = NAMESPACE.names("f:f(1)")
VALUES = CodecValues(codec_for(None))
STAMPS = {"tag": TAG.key, "function": FUNCTION.key, "namespace": NAMESPACE.tag.key}
KEYS = {"value": NAMES.value, "lease": NAMES.lease, "key stamp": NAMES.stamp} | STAMPS


@dataclass(frozen=True)
class Variant:
    """A way to get the protocol wrong; without arguments, the protocol itself.

    Attributes:
        rewrite: what the store is made to do instead of an operation.
        early: every seat counts as taken before the compute.
        stays_open: a flight may be joined while its commit is under way.
        stamps_late: the stamps are those after the compute.
        blind: the commit's proof does not look at the stamps.
        retold: what a thread has read before its flow is shared as if read by it.
    """

    rewrite: Callable[[MemoryStore, ops.Op], ops.Op] | None = None
    early: bool = False
    stays_open: bool = False
    stamps_late: bool = False
    blind: bool = False
    retold: bool = False


PRODUCTION = Variant()


def request(*, tags: Sequence[str] = ("a",), names: Names = NAMES, **policy: Any) -> Request:
    """Return what every reader asks for: the entry of one call of one function."""
    return Request(names, needs_of(NAMESPACE, FUNCTION, tags), Policy(60_000, **policy), VALUES, "f", NAMESPACE)


# An application's key without tags, whose writes take the shortest way.
BARE = Request(NAMESPACE.names("k:k"), needs_of(NAMESPACE), Policy(60_000), VALUES, "keys", NAMESPACE)


class Still:
    """A clock that stands. Sleepers sleep until the server's data has changed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.now = 1_000_000_000_000

    def now_ms(self) -> int:
        return self.now

    def ticks_us(self) -> int:
        return self.now * 1000

    async def sleep_ms(self, duration_ms: float, /) -> None:
        looked_at = _LOOKED_AT.get()
        await pause(until=lambda: self._world.version != looked_at)


class SteppedStore:
    """The memory store, each operation a step of its own; on request also the way of the replies back."""

    def __init__(self, world: World, *, by_op: bool, replies: bool) -> None:
        self._world = world
        self._by_op = by_op
        self._replies = replies

    async def flight(self, batch: Sequence[ops.Op], /, spent_us: int = 0) -> list[Any]:
        replies: list[Any] = []
        for part in [[op] for op in batch] if self._by_op else [list(batch)]:
            await pause()
            is_first = not replies
            replies += self._world.run(part)
            if is_first:
                _LOOKED_AT.set(self._world.version)
        if self._replies:
            await pause()
        return replies


class SteppedFlights:
    """The production table; a follower waits in a step of its own."""

    def __init__(self, table: FlightTable, variant: Variant) -> None:
        self.table = table
        self._variant = variant
        self._led: list[Flight] = []  # nothing ends because nobody holds it any more: that would hide who does not end it
        self._callers = count()

    def arrive(self) -> int:
        return self.table.arrive()

    def look(self, key: str, arrived: int, /) -> Flight | Seat | None:
        return self._taken(self.table.look(key, arrived, self._caller))

    def looked(self, key: str, /) -> None:
        self.table.alone.stop(key)

    async def assemble(self) -> None:
        await pause()

    def enter(self, key: str, arrived: int, /, *, refreshes: bool = False, look: Any = None) -> Flight | Seat | None:
        return self._taken(self.table.enter(key, arrived, self._caller, refreshes=refreshes, look=look))

    async def wait(self, seat: Any, timeout_ms: float, /) -> Outcome | None:
        woken: list[None] = []
        outcome = self.table.start_waiting(seat, lambda: woken.append(None))
        if outcome is not None:
            return outcome
        await pause(until=lambda: bool(woken))
        return self.table.stop_waiting(seat)

    def _caller(self) -> Caller:
        return Caller(next(self._callers))

    def _taken(self, place: Any) -> Any:
        if isinstance(place, Flight):
            self._led.append(place)
        if isinstance(place, Seat) and self._variant.early:
            place.arrived = 0
        if isinstance(place, Flight) and self._variant.stays_open:
            place.__class__ = _OpenFlight
        return place


class _OpenFlight(Flight):
    __slots__ = ()

    def close(self) -> None:
        pass


@dataclass
class World:
    """A server, its processes, and what was invalidated on it."""

    variant: Variant = PRODUCTION
    by_op: bool = False
    replies: bool = False
    alone: int = 4
    straight: bool = False
    problem: str | None = None
    called: int = 0
    applied: int = 0
    version: int = 0
    tables: list[FlightTable] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Still(self)
        self.memory = MemoryStore(now_ms=self.clock.now_ms)
        self.events = Counters()
        numbers = count(1)
        self._token = lambda size: b"".join(next(numbers).to_bytes(8, "big") for _ in range(size // 8))
        bits = count()
        self._bit = lambda: 1 << next(bits)
        # What the verdict and the preparations use: nothing of it suspends.
        self.direct = Ports(self.memory, self.clock, SteppedFlights(FlightTable(), PRODUCTION), self.events, self._token)

    # ---- the server

    def run(self, batch: Sequence[ops.Op]) -> list[Any]:
        before = dict(self.memory._data)
        rewrite = self.variant.rewrite
        replies = run_now(self.memory.flight(batch if rewrite is None else [rewrite(self.memory, op) for op in batch]))
        self.version += before != self.memory._data
        if self.variant.blind and isinstance(batch[0], (ops.Commit, ops.Replace)) and (entry := parse(batch[0].envelope)):
            held = entry.vector[: 8 * (len(entry.vector) // 8 - 2 * entry.tags)]
            stamps = [held[at : at + 8] for at in range(0, len(held), 8)] + list(entry.tag_stamps().values())
            replies[1:] = stamps
        return replies

    def holds(self, key: str) -> bool:
        return key in self.memory._data

    # ---- those who use it

    def process(self, *, like: Ports | None = None, replies: bool | None = None) -> Ports:
        """Return a process: a flight table of its own, or that of another process's thread; the server shared."""
        table = FlightTable(self.alone) if like is None else like.flights.table
        self.tables.append(table)
        store = SteppedStore(self, by_op=self.by_op, replies=self.replies if replies is None else replies)
        ports = Ports(store, self.clock, SteppedFlights(table, self.variant), self.events, self._token)
        return _StraightPorts(self, ports) if self.straight else ports

    def remembering(self, wanted: Request, *, changed: str | None = None) -> Ports:
        """Return a process that knows the stamps, as they are or as they were before something was invalidated; nothing else is there."""
        ports = self.process(replies=False)
        run_now(writes.put(self.direct, wanted, 0))
        run_now(writes.invalidate(self.direct, [Target(wanted.names, None)]))
        ports.remembered.learn({tag.key: self.memory._data[tag.key][0] for tag in wanted.needs.tags})
        if changed is not None:
            run_now(writes.invalidate(self.direct, [Target(None, STAMPS[changed])]))
        return ports

    def warm(self, wanted: Request) -> None:
        """Have an entry there, computed before everything else."""
        run_now(call(self.direct, wanted, _nothing))

    async def compute(self) -> int:
        seen = self.called
        await pause()
        return seen

    async def reader(self, ports: Ports, wanted: Request) -> None:
        low = self.applied
        self.check(await call(ports, wanted, self.compute, stamps_late=self.variant.stamps_late), low)

    async def batch_reader(self, ports: Ports, wanted: Sequence[Request]) -> None:
        """Ask for several entries at once: what this caller must compute, it computes together, before it waits for anybody."""
        low = self.applied
        self.check((await call_many(ports, wanted, self.compute))[NAMES], low)

    async def renewing_reader(self, ports: Ports, wanted: Request) -> None:
        """Compute for so long that the lease must be renewed meanwhile."""
        low = self.applied
        self.check(await call(ports, wanted, self.compute, renews=True), low)

    async def late_reader(self, ports: Ports, wanted: Request) -> None:
        """Begin once something was applied: nobody else can see that it is broken, and there are fewer orders of steps."""
        await pause(until=lambda: bool(self.applied))
        await self.reader(ports, wanted)

    async def raising_reader(self, ports: Ports, wanted: Request) -> None:
        async def compute() -> int:
            await pause()
            raise LookupError

        low = self.applied
        try:
            self.check(await call(ports, wanted, compute), low)
        except LookupError:
            return

    async def invalidator(self, kind: str) -> None:
        """Invalidate from a process of its own: who invalidates joins no flight. Its effect counts as soon as the server has it."""
        bit = self._bit()
        self.called |= bit
        await writes.invalidate(self.process(replies=False), [Target(NAMES, FUNCTION.key) if kind == "key" else Target(None, STAMPS[kind])])
        self.applied |= bit

    async def putter(self, wanted: Request, ports: Ports | None = None) -> None:
        """Write through: what was computed before the call is not to be seen after it, as if it had been invalidated."""
        bit = self._bit()
        self.called |= bit
        await writes.put(ports or self.process(replies=False), wanted, self.called)
        self.applied |= bit

    async def refresher(self, ports: Ports, wanted: Request) -> None:
        """The same by `refresh`."""
        bit = self._bit()
        self.called |= bit
        claim = await flows.seize(ports, wanted)
        await flows.commit(ports, claim, await self.compute())
        self.applied |= bit

    async def evictor(self, key: str) -> None:
        await pause()
        if self.memory._data.pop(key, None) is not None:
            self.version += 1

    # ---- what must be true

    def check(self, value: object, low: int) -> None:
        assert isinstance(value, int)
        if low & ~value and self.problem is None:
            self.problem = f"a read that began after invalidations {low:b} returned a value that was computed after {value:b} only"

    def verdict(self, wanted: Request) -> str | None:
        """Say what went wrong: a read, what is left for later reads, or somebody who would wait in vain."""
        hit, _ = run_now(read(self.direct, wanted))
        if hit is not None:
            self.check(hit.value, self.applied)
        if self.problem is None and self.holds(NAMES.lease):
            return "a lease is left that nobody will commit or abandon"
        if self.problem is None and any(table._flights or table._looks for table in self.tables):
            return "a flight is left that nobody leads"
        return self.problem


class _StraightPorts(Ports):
    """Those of a thread, which looks for plain hits first."""

    def __init__(self, world: World, ports: Ports) -> None:
        super().__init__(**vars(ports))
        self.retell = world.variant.retold

    def but(self, **changes: Any) -> Ports:
        plain = {name: value for name, value in vars(self).items() if name != "retell"}
        return Ports(**(plain | changes))


class _Retelling:
    """A store whose first flight is old, without saying so."""

    def __init__(self, store: Any, replies: list[Any]) -> None:
        self._store = store
        self._replies = [replies]

    async def flight(self, batch: Sequence[ops.Op], /, spent_us: int = 0) -> list[Any]:
        return self._replies.pop() if self._replies else await self._store.flight(batch)


async def straight(ports: _StraightPorts, wanted: Request) -> Hit | Ports:
    """Do what `Hits.look` does, which cannot be stepped through: a look, the same decision, and the same told to the flow."""
    alone, key, batch = ports.flights.table.alone, wanted.names.value, (ops.Get(wanted.names.value), *wanted.needs.reads)
    if not alone.start(key):
        return ports
    replies = await ports.store.flight(batch)
    hit = plain_hit(wanted, replies, ports.clock.now_ms())
    if hit is None:
        return ports.but(store=_Retelling(ports.store, replies)) if ports.retell else told(ports, batch, replies, 1)
    alone.stop(key)
    return hit


async def call(
    ports: Ports,
    wanted: Request,
    compute: Callable[[], Coroutine[Any, Any, object]],
    *,
    stamps_late: bool = False,
    renews: bool = False,
) -> object:
    """Do what the facades do: obtain, compute outside the flow, then commit or abandon."""
    found = await straight(ports, wanted) if isinstance(ports, _StraightPorts) else ports
    got = found if isinstance(found, Hit) else await obtain_into(found, wanted, capturing(NAMESPACE))
    if isinstance(got, Hit):
        return got.value
    if got.flight is not None:
        got.flight.start_compute()
    start_capture([got])
    try:
        value = await compute()
        if renews:
            await renew(ports, [got])
    except BaseException:
        end_capture([got])
        if got.flight is not None:
            got.flight.end_compute()
        await flows.abandon(ports, got)
        raise
    end_capture([got])
    if got.flight is not None:
        got.flight.end_compute()
    if stamps_late:
        got.vector = wanted.needs.vector(await ports.store.flight(wanted.needs.stamping(flows.new_stamps(ports, wanted.needs), 0)))
    await flows.commit(ports, got, value)
    return value


async def call_many(ports: Ports, wanted: Sequence[Request], compute: Callable[[], Coroutine[Any, Any, object]]) -> dict[Names, object]:
    """Do what functions of several ids do."""
    got = await flows.obtain_many(ports, wanted)
    claims = [each for each in got if isinstance(each, flows.Claim)]
    values = {request.names: each.value for request, each in zip(wanted, got, strict=True) if isinstance(each, Hit)}
    if claims:
        started = [claim.flight for claim in claims if claim.flight is not None]
        for flight in started:
            flight.start_compute()
        value = await compute()
        for flight in reversed(started):
            flight.end_compute()
        await commit_many(ports, [Result(claim, value) for claim in claims])
        values |= {claim.request.names: value for claim in claims}
    for request, nothing in zip(wanted, got, strict=True):
        if nothing is None:
            values[request.names] = await call(ports, request, compute)
    return values


async def _nothing() -> int:
    return 0


def isolated(actor: Actor) -> Actor:
    """Give an actor context variables of its own, as each task and thread has them."""
    return _Isolated(actor)


class _Isolated(Coroutine[Any, Any, object]):
    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._context = copy_context()

    def send(self, value: Any, /) -> Any:
        return self._context.run(self._actor.send, value)

    def throw(self, *error: Any) -> Any:
        return self._context.run(self._actor.throw, *error)

    def close(self) -> None:
        # A flow that is dropped half-way releases its lease, and suspends for that: the search has no use for it any more.
        with suppress(RuntimeError):
            self._context.run(self._actor.close)

    def __await__(self) -> Any:
        return self._actor.__await__()


def sample(make: Scenario, *, runs: int, seed: int) -> Exploration:
    """Run a scenario under orders drawn at random: for worlds with too many schedules for `explore`, besides smaller ones with it."""
    draw = random.Random(seed)
    for number in range(1, runs + 1):
        actors, verdict = make()
        live: dict[int, Callable[[], bool] | None] = dict.fromkeys(range(len(actors)))
        schedule: list[int] = []
        while ready := [index for index, until in live.items() if until is None or until()]:
            schedule.append(index := draw.choice(ready))
            try:
                live[index] = actors[index].send(None)
            except StopIteration:
                del live[index]
        problem = f"deadlock: actors {list(live)} wait for each other" if live else verdict()
        if problem is not None:
            for actor in actors:
                actor.close()
            return Exploration(number, Failure(problem, tuple(schedule)))
    return Exploration(runs, None)
