"""Locks: one holder at a time over threads, tasks and processes, in the order of waiting.

A lock is a name on the server that holds its holder's token, and lapses unless its process renews it. Those who wait stand in a line
there, whatever their process; each process speaks for all of its own, through the one who is first among them, so that a thousand
waiters ask no more than one.

Rules, each with the race that it closes:

1. Every attempt has a token of its own; renewing and releasing compare it. Who has lost the lock releases nobody else's.
2. Each grant has a fence, higher than all before: what the lock protects can refuse the work of one who has lost it and does not know.
3. A lock counts as lost from its ttl after the last renewal *was sent*, not answered; so its holder knows before anybody else gets it.
4. Who has a place in the line keeps it by asking. Who is dead does not ask, and is passed over: nobody waits for the dead.
5. A lock that is free goes to the first in line, never to who comes along; so nobody starves.

Accepted: a lock is as safe as the server's memory. Eviction, FLUSHALL and a failover that loses it grant it twice; the fence tells the two
apart. A fence is the server's time in µs, so it rises also where all of it was lost, unless the server's clock was set back meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from afresh.core.budget import one_call
from afresh.core.keys import LockNames
from afresh.core.ops import Acquire, Extend, Op, Release
from afresh.core.policy import PATIENCE_MS, PATIENCE_RENEWAL_MS, POLL_MS
from afresh.core.ports import Clock, Ports
from afresh.errors import LockTimeout, StoreError, StoreUnavailable

__all__ = ["Holding", "Turn", "Turns", "Wanted", "acquire", "release"]

_TOKEN_BYTES = 16


class Wanted(NamedTuple):
    """A lock, as a caller wants it.

    Attributes:
        name: as its users know it.
        names: on the server.
        ttl_ms: how long a holder that is dead keeps others out.
        wait_ms: how long to wait for it; 0: not at all.
    """

    name: str
    names: LockNames
    ttl_ms: int
    wait_ms: int


class Turn(Protocol):
    """A place in the line of those in this process who want one lock."""

    @property
    def token(self) -> bytes:
        """What the server knows it by."""
        ...

    @property
    def speaks(self) -> bool:
        """Whether it is first, and asks the server for all."""
        ...

    @property
    def is_held_here(self) -> bool:
        """Whether this process holds the lock: then asking is in vain."""
        ...

    def behind(self) -> Sequence[bytes]:
        """Return the tokens of the others, in order."""
        ...


class Turns(Protocol):
    """The lines of a process."""

    def take(self, wanted: Wanted, token: bytes, /) -> Any:
        """Take a place, and have who speaks for the line tell the server.

        Raises:
            LockReentered: if the caller holds the lock.
        """
        ...

    async def wait(self, turn: Any, timeout_ms: float, /) -> None:
        """Wait until something has changed for it, or the time is up."""
        ...

    def hold(self, turn: Any, holding: Holding, /) -> None:
        """Note that it has the lock, and let the next one speak."""
        ...

    def leave(self, turn: Any, /) -> None:
        """Give up the place, or the lock, and let the next one try."""
        ...


class Holding:
    """A lock that is held. Its process renews it as long as somebody keeps this."""

    renewed_for_ms: None = None

    def __init__(self, wanted: Wanted, turn: Turn, fence: int, clock: Clock, sent_ms: int) -> None:
        self.wanted = wanted
        self.turn = turn
        self.fence = fence
        self._clock = clock
        self._until_ms = sent_ms + wanted.ttl_ms
        self._was_taken = False

    @property
    def renewed_every_ms(self) -> int:
        """Two renewals may fail before it lapses."""
        return max(1, self.wanted.ttl_ms // 3)

    @property
    def is_lost(self) -> bool:
        """Whether somebody else may hold it by now. It does not come back."""
        return self._was_taken or self._clock.now_ms() >= self._until_ms

    def lose(self) -> None:
        """Note that it is not ours, as in a forked child."""
        self._was_taken = True

    def renewal(self) -> Sequence[Op]:
        """Return what lets it live on, if it is still ours."""
        return (Extend(self.wanted.names.holder, self.turn.token, self.wanted.ttl_ms),)

    def renewed(self, ports: Ports, replies: Sequence[object], sent_ms: int, /) -> Sequence[Op]:  # noqa: ARG002  see Renewable
        """Take note of it."""
        if replies[0] == 1:
            self._until_ms = max(self._until_ms, sent_ms + self.wanted.ttl_ms)
        elif replies[0] == 0:
            self.lose()
        return ()


async def acquire(ports: Ports, turns: Turns, wanted: Wanted) -> Holding:
    """Take the lock when it is our turn.

    Cost: 1 round trip if nobody holds it; while somebody in another process does, one each 50 ms for all who wait in this one; each 10 ms
    for who comes next.

    Raises:
        LockTimeout: if it was not to be had in time.
        LockReentered: if the caller holds it.
        StoreError: if the server failed.
    """
    turn = turns.take(wanted, ports.token(_TOKEN_BYTES))
    try:
        holding = await _in_turn(ports, turns, wanted, turn)
        turns.hold(turn, holding)
        return holding
    except BaseException as error:
        turns.leave(turn)  # first: see `_ask`
        if _may_have(wanted, error):
            await _let_go(ports, wanted, [turn.token])
        raise


def _may_have(wanted: Wanted, error: BaseException) -> bool:
    """Say whether somebody who gives up may have the lock, or a place in the line, and can tell the server now. Both lapse otherwise."""
    if isinstance(error, (GeneratorExit, StoreError)):  # a coroutine that is being closed must not suspend
        return False
    return bool(wanted.wait_ms) or not isinstance(error, LockTimeout)


async def _in_turn(ports: Ports, turns: Turns, wanted: Wanted, turn: Turn) -> Holding:
    deadline_us = ports.clock.ticks_us() + 1000 * wanted.wait_ms
    pause_ms, place = 0.0, 0
    told: dict[bytes, int] = {}
    while True:
        if turn.speaks:
            got = await _ask(ports, wanted, turn, told)
            if isinstance(got, Holding):
                return got
            place = got
        left_ms = (deadline_us - ports.clock.ticks_us()) / 1000
        if left_ms <= 0:
            raise LockTimeout(wanted.name, wanted.wait_ms / 1000)
        pause_ms = _next_pause_ms(turn, pause_ms, place)
        await turns.wait(turn, min(pause_ms, left_ms) if turn.speaks else left_ms)


async def _ask(ports: Ports, wanted: Wanted, turn: Turn, told: dict[bytes, int]) -> Holding | int:
    """Ask for the lock once. Returns it, or our place in the line on the server.

    Args:
        ports: the ports.
        wanted: the lock.
        turn: our place.
        told: when the server was told of which others: of a thousand that wait, it need not hear at each look.

    Raises:
        StoreError: if the server failed.
    """
    sent_ms = ports.clock.now_ms()
    patience_ms = PATIENCE_MS if wanted.wait_ms else 0
    others = [token for token in turn.behind() if sent_ms - told.get(token, -PATIENCE_MS) >= PATIENCE_RENEWAL_MS]
    ports = one_call(ports)
    try:
        (fence,) = await ports.store.flight([Acquire(*wanted.names, turn.token, wanted.ttl_ms, patience_ms, tuple(others))])
    except StoreUnavailable as error:
        if error.is_timeout:  # else it would only take as long again
            await _let_go(ports, wanted, [turn.token])
        raise
    if isinstance(fence, StoreError):
        raise fence
    told |= dict.fromkeys(others, sent_ms)
    waiting = frozenset(turn.behind())
    if gone := [token for token in others if token not in waiting]:  # they may have given up the places that we then took for them
        await _let_go(ports, wanted, gone)
    return Holding(wanted, turn, fence, ports.clock, sent_ms) if fence > 0 else -int(fence)


def _next_pause_ms(turn: Turn, last_ms: float, place: int) -> float:
    """Whoever comes next looks the most often: the others cannot have the lock before.

    Who knows that it is held in this process will be told when it is not, and asks only to keep the line's places.
    """
    if turn.is_held_here:
        return PATIENCE_RENEWAL_MS
    shortest, longest = POLL_MS
    return min(longest, max(1, place) * longest / 5, max(shortest, 2 * last_ms))


async def release(ports: Ports, turns: Turns, holding: Holding) -> bool:
    """Give the lock up. Says whether it was ours until now; never raises for the server: a lock that it did not release lapses.

    Cost: 1 round trip.
    """
    try:
        reply = await _let_go(ports, holding.wanted, [holding.turn.token])
    finally:
        turns.leave(holding.turn)
    return not holding.is_lost if reply is None else reply == 1


async def _let_go(ports: Ports, wanted: Wanted, tokens: Sequence[bytes]) -> object:
    """Release the lock, or give up places in the line. Returns the last reply; None if the server failed."""
    reply: object
    try:
        reply = (await ports.store.flight([Release(*wanted.names, token) for token in tokens]))[-1]
    except StoreError as error:
        reply = error
    if isinstance(reply, StoreError):
        ports.events.suppressed("release", reply)
        return None
    return reply
