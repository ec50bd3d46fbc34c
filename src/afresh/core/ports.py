"""What the flows need from outside. Each Protocol has a synchronous and an asynchronous implementation (or one that is both)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from afresh.core.envelope import Entry
from afresh.core.ops import Op
from afresh.core.policy import LEASE_MS
from afresh.core.stamps import Remembered

if TYPE_CHECKING:
    from afresh.core.asking import Ask, AskSoon, Tells
    from afresh.core.dictionaries import Dictionaries
    from afresh.core.late import Invalidations
    from afresh.core.reads import Hit, Request

__all__ = [
    "Clock",
    "Codec",
    "Duty",
    "Encoded",
    "Events",
    "Flight",
    "Flights",
    "Near",
    "Outcome",
    "Ports",
    "Seat",
    "Store",
    "Values",
]


class Store(Protocol):
    """A server, or something that behaves like one."""

    async def flight(self, ops: Sequence[Op], /, spent_us: int = 0) -> list[Any]:
        """Run the operations in order, in one write, and return their replies.

        It takes at most what is left of the budget after `spent_us`, which earlier flights of the same call have taken.

        An operation that the server refuses has a `StoreRefused` as its reply; the others are not affected by it.

        Raises:
            StoreUnavailable: if the server was not reached or did not answer in time; some operations may have run.
        """
        ...


class Clock(Protocol):
    """Time."""

    def now_ms(self) -> int:
        """Return the server's time, ms since the epoch."""
        ...

    def ticks_us(self) -> int:
        """Return a monotonic reading in µs, for measuring."""
        ...

    async def sleep_ms(self, duration_ms: float, /) -> None:
        """Let that much time pass."""
        ...


class Outcome(Protocol):
    """What a flight left for those who waited for it. `envelope` is None if they must see for themselves."""

    @property
    def envelope(self) -> bytes | None:
        """The entry that the flight shares."""
        ...

    @property
    def alone(self) -> bool:
        """True if they should compute without waiting for each other: the value cannot be shared."""
        ...

    @property
    def looked(self) -> bool:
        """True if nothing was computed: the time that they waited was the server's."""
        ...


class Duty(Protocol):
    """What somebody must end who may be gone."""

    def let_go(self) -> None:
        """Leave its end to others."""
        ...


class Flight(Protocol):
    """One computation that others may wait for, seen by its leader. `leads` tells it from a seat."""

    leads: Literal[True]

    def mark(self) -> None:
        """Note that the operation whose result will be shared starts now: whose calls began before may have it in any case."""
        ...

    def carry(self, duty: Duty, /) -> None:
        """Let go of it if the leader turns out to be gone. It is not kept alive."""
        ...

    def hand_over(self) -> None:
        """Note that whoever calls `start_compute` leads it from now on."""
        ...

    def start_compute(self) -> None:
        """Note that this thread or task computes from now on."""
        ...

    def end_compute(self) -> None:
        """Note that it does not any more."""
        ...

    def close(self) -> None:
        """Let nobody join any more."""
        ...

    def finish(self, envelope: bytes | None, *, proven: bool = False, alone: bool = False) -> None:
        """Wake everybody. Who joined after the last `mark` gets the envelope only if it is `proven`. The first call counts."""
        ...


class Seat(Protocol):
    """A place in somebody else's flight."""

    leads: Literal[False]


class Flights(Protocol):
    """Single-flight within the process, over threads and loops alike."""

    def arrive(self) -> int:
        """Note that a call begins now, and return the moment: it may share what is read or computed later."""
        ...

    def look(self, key: str, arrived: int, /) -> Flight | Seat | None:
        """Take a seat with who computes this or looks for it; or lead those who look for it from now on.

        None: look alone, since few do so, or since this caller must not wait for the flight that is there; and say `looked` after that. A
        flight that `refreshes` is not joined: there is something to serve meanwhile, for who looks.
        """
        ...

    def looked(self, key: str, /) -> None:
        """Note that this caller has looked alone."""
        ...

    async def assemble(self) -> None:
        """Let those whose calls begin at this moment take their seats."""
        ...

    def enter(self, key: str, arrived: int, /, *, refreshes: bool = False, look: Any = None) -> Flight | Seat | None:
        """Lead a new flight, or join; None if the caller must do neither: it has uncommitted writes, or the flight needs it to proceed.

        Args:
            key: what was looked for.
            arrived: when the call began.
            refreshes: there is something to serve.
            look: the flight of those who look for it, if the caller leads that; unless it refreshes, it goes on as the one to compute.
        """
        ...

    async def wait(self, seat: Any, timeout_ms: float, /) -> Outcome | None:
        """Wait for the flight's end; None when the time is up."""
        ...


class Near(Protocol):
    """The part of the cache that is inside the process. None of it does I/O or waits."""

    def hit(self, request: Request, /) -> Hit | None:
        """Return a fresh value, if there is one that was coherent at most `max_stale` ago."""
        ...

    def token(self) -> Any:
        """Return what a fill needs: to be taken before the read or the claim. While it `is_unbroken()`, what was held then holds."""
        ...

    def held(self, token: Any, names: Sequence[str], /) -> Sequence[bytes | None]:
        """Return the stamps of these names, as far as they need not be read from the server. Valid as a hit is."""
        ...

    def fill(self, token: Any, request: Request, entry: Entry, value: Any, fresh_ms: float, /, *, is_ours: bool = False) -> None:
        """Keep a fresh entry that is on the server, unless something that it depends on may have changed since the token was taken.

        Args:
            token: from before the read, or the claim.
            request: whose entry it is.
            entry: as it is on the server.
            value: what it decodes to.
            fresh_ms: how long it may be served.
            is_ours: this process has just stored it, so that what it had read of this key before is old.
        """
        ...

    def silence(self, token: Any, names: Sequence[str], mark: str, /) -> bool | None:
        """Say whether none of these names has changed between the token and the writing of the mark; None until the mark was heard."""
        ...

    def drop(self, names: Iterable[str], /) -> None:
        """Drop what depends on these names, and have nothing filled that was read before now."""
        ...


class Events(Protocol):
    """Who listens to what happened. Never blocks."""

    def hit(self, function: str, *, stale: bool = False, near: bool = False, times: int = 1) -> None:
        """So many entries were served, by the server or from inside the process."""
        ...

    def miss(self, function: str, cause: str) -> None:
        """None was."""
        ...

    def computed(self, function: str, cost_us: int) -> None:
        """A compute returned."""
        ...

    def failed(self, function: str, error: BaseException) -> None:
        """A compute raised, and no caller was told: an old value was served, or the compute ran behind its caller."""
        ...

    def not_stored(self, function: str, reason: str) -> None:
        """A computed value was not stored."""
        ...

    def unencodable(self, function: str, error: Exception) -> None:
        """A computed value was not stored because it cannot be. May raise, where the user made the warning an error."""
        ...

    def suppressed(self, operation: str, error: Exception) -> None:
        """The store failed and the call went on without it."""
        ...


class Codec(Protocol):
    """Turns values into bytes and back, faithfully or not at all."""

    @property
    def codec_id(self) -> int:
        """A byte of the envelope; from 128 up for codecs from outside afresh."""
        ...

    @property
    def schema(self) -> int:
        """Fingerprint (32 bits) of the type that this codec is for; an entry with another one is a miss. 0 for none."""
        ...

    def encode(self, value: object, /) -> bytes:
        """Return the value's bytes.

        Raises:
            UnencodableValue: unless `decode` gives back an equal value of the same type.
        """
        ...

    def decode(self, payload: bytes | memoryview, /) -> object:
        """Return the value.

        Raises:
            UndecodablePayload: for bytes that do not decode.
        """
        ...


class Encoded(NamedTuple):
    """A value's payload and how it was made, for the envelope's header."""

    codec: int
    flags: int
    payload: bytes
    dictionary: int = 0


class Values(Protocol):
    """A codec with what surrounds it: integers as digits, compression, signature, the size limit."""

    @property
    def schema(self) -> int:
        """See `Codec.schema`."""
        ...

    @property
    def dictionaries(self) -> Dictionaries | None:
        """What compresses better for knowing other values of the function; None for what is no function's."""
        ...

    @property
    def plain(self) -> tuple[int, Callable[[bytes | memoryview], object]]:
        """The codec byte of payloads that need nothing but to be decoded, and what does it; -1: there are none. It may raise anything."""
        ...

    def encode(self, value: object, /) -> Encoded:
        """Return the payload; raises `UnencodableValue`."""
        ...

    def seal(self, key: str, prefix: bytes, encoded: Encoded, /) -> bytes:
        """Return the whole envelope."""
        ...

    def decode(self, key: str, entry: Entry, /) -> object:
        """Return the value of an envelope; raises `UndecodablePayload`."""
        ...


class Ports:
    """Everything a flow needs, bundled.

    Attributes:
        store: the server.
        clock: time.
        flights: single-flight within the process.
        events: who listens.
        token: makes so many random bytes.
        lease_ms: how long a claim holds unless it is renewed.
        rand: makes a number in (0, 1]; where it is 1, nothing is left to chance.
        lost: the ends of leases that nobody holds any more; the next claim takes them along.
        remembered: the stamps that were seen last, for writes.
        withheld: names whose invalidation the server may not have: nothing is read or stored under them. See `afresh.core.late`.
        invalidations: who repeats those; None if nobody does.
        ask: how a thread reads without a flow; None where nobody can. See `afresh.runtime.hits`.
        asks_soon: the same for tasks.
        tells: how a thread puts without a flow.
        neighbours: has the near tiers of this process' other caches drop what depends on names; by default there are none.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        flights: Flights,
        events: Events,
        token: Callable[[int], bytes],
        lease_ms: int = LEASE_MS,
        near: Near | None = None,
        *,
        rand: Callable[[], float] = lambda: 1.0,
        lost: deque[Op] | None = None,
        remembered: Remembered | None = None,
        withheld: Mapping[str, object] = MappingProxyType({}),
        invalidations: Invalidations | None = None,
        ask: Ask | None = None,
        asks_soon: AskSoon | None = None,
        tells: Tells | None = None,
        neighbours: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.flights = flights
        self.events = events
        self.token = token
        self.lease_ms = lease_ms
        self.near = near
        self.rand = rand
        self.lost = deque() if lost is None else lost
        self.remembered = remembered or Remembered()
        self.withheld = withheld
        self.invalidations = invalidations
        self.ask = ask
        self.asks_soon = asks_soon
        self.tells = tells
        self.neighbours = neighbours

    def but(self, **changes: Any) -> Ports:
        """Return the same with some of them changed."""
        return Ports(**(vars(self) | changes))

    def changed(self, names: Sequence[str]) -> None:
        """Have this process serve nothing near any more that depends on these names: it has changed them itself."""
        if self.near is not None:
            self.near.drop(names)
        self.neighbours(names)

    def take_lost(self) -> list[Op]:
        """Return what is in `lost` and empty it. Others may do so at the same time."""
        taken: list[Op] = []
        with suppress(IndexError):
            while self.lost:
                taken.append(self.lost.popleft())
        return taken
