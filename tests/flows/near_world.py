"""The world with near tiers: what the server pushes is on its way to each process until that process's pump delivers it.

A read through the near tier may be as old as what is still on its way; not older. So what a read must have seen are the invalidations whose
pushes had all been delivered to its process before it began, and those that its own process had a receipt for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from afresh.core import flows, ops, writes
from afresh.core.commits import envelope_of
from afresh.core.envelope import parse
from afresh.core.ports import Ports
from afresh.core.reads import Request
from afresh.core.stamps import STAMP_BYTES, needs_of
from afresh.core.writes import Target
from afresh.near.access import NearAccess, Token
from afresh.near.generation import Generation
from afresh.near.options import Near
from afresh.near.pushes import Pushes
from afresh.near.tier import NearTier
from afresh.testing import pause
from afresh.testing.stepping import Actor
from tests.flows.world import FUNCTION, NAMES, NAMESPACE, STAMPS, TAG, VALUES, Variant, World, call, call_many, request

PUSHED = (f"{NAMESPACE.name}:t:", f"{NAMESPACE.name}:v:{{k")
BOUND_S = 1e12


@dataclass(frozen=True)
class NearVariant(Variant):
    """A way to get the near tier wrong.

    Attributes:
        access: how the flows use it.
        pushes: how what was pushed is remembered.
        generation: what a push drops.
        silent: names that the server does not push.
        fills_unstored: a value is filled when it is computed, stored or not.
        drops_before: what a process does itself is noted before the command, not after it.
        tells_neighbours: what a cache does, the near tiers of its process' other caches are told.
    """

    access: type[NearAccess] = NearAccess
    pushes: type[Pushes] = Pushes
    generation: type[Generation] = Generation
    silent: Callable[[str], bool] = lambda _: False
    fills_unstored: bool = False
    drops_before: bool = False
    tells_neighbours: bool = True


NEAR_PRODUCTION = NearVariant()


@dataclass
class Ear:
    """What one process has not heard yet, and what it knows."""

    tier: NearTier
    on_its_way: list[str] = field(default_factory=list)
    heard: int = 0
    receipts: int = 0


@dataclass
class NearWorld(World):
    """Processes with near tiers on one server."""

    variant: Variant = NEAR_PRODUCTION
    replies: bool = True
    ears: dict[int, Ear] = field(default_factory=dict)
    with_near: list[Ports] = field(default_factory=list)
    sent: int = 0
    # By invalidation: how many pushes there were when it was applied.
    due: dict[int, int] = field(default_factory=dict)

    def run(self, batch: Sequence[ops.Op]) -> list[Any]:
        before = dict(self.memory._data)
        replies = super().run(batch)
        after = self.memory._data
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name) and name.startswith(PUSHED))
        self._push(name for name in names if not self.variant.silent(name))
        return replies

    def _push(self, names: Iterable[str]) -> None:
        for name in names:
            self.sent += 1
            for ear in self.ears.values():
                ear.on_its_way.append(name)

    # ---- processes

    def near_process(self) -> Ports:
        """Return a process with a near tier that is coherent as far as it has heard."""
        variant = self.variant
        tier = NearTier(Near(), NAMESPACE)
        tier._new = lambda max_age_s: _generation(variant, max_age_s)
        tier.begin()
        tier.extend(BOUND_S)
        ports = self.process().but(near=variant.access(tier, lambda: self.clock.now / 1000))
        self.ears[id(ports.flights.table)] = Ear(tier, heard=self.sent)
        self.with_near.append(ports)
        return ports

    def neighbour(self, ports: Ports) -> Ports:
        """Return another cache of the same process, without a near tier, and without anything else in common."""
        tier = self.ear(ports).tier
        told = {"neighbours": lambda names: tier.generation.pushed(*names)} if self.variant.tells_neighbours else {}
        return self.process().but(**told)

    def ear(self, ports: Ports) -> Ear:
        return self.ears[id(ports.flights.table)]

    def prepare(self, ports: Ports, wanted: Request) -> None:
        """Have the process read before everything else, and hear everything that it then has to."""
        run_through(call(ports, wanted, _nothing))
        self.deliver(ports, len(self.ear(ports).on_its_way))
        run_through(call(ports, wanted, _nothing))

    def deliver(self, ports: Ports, count: int = 1) -> None:
        ear = self.ear(ports)
        for name in ear.on_its_way[:count]:
            ear.heard += 1
            ear.tier.generation.pushed(name)
        del ear.on_its_way[:count]

    def must_have_seen(self, ports: Ports) -> int:
        ear = self.ear(ports)
        return ear.receipts | sum(bit for bit, due in self.due.items() if due <= ear.heard)

    # ---- actors

    async def near_reader(self, ports: Ports, wanted: Request, *, reads: int = 2) -> None:
        for at in range(reads):
            if at:
                await pause()
            low = self.must_have_seen(ports)
            self.check(await call(ports, wanted, partial(self._compute_and_fill, ports, wanted)), low)

    async def _compute_and_fill(self, ports: Ports, wanted: Request) -> int:
        value = await self.compute()
        if self.variant.fills_unstored:
            envelope = envelope_of(ports, wanted, VALUES.encode(value), None, ttl_ms=60_000)
            ports.near.fill(ports.near.token(), wanted, parse(envelope), value, 60_000)
        return value

    async def near_batch_reader(self, ports: Ports, wanted: Sequence[Request]) -> None:
        low = self.must_have_seen(ports)
        self.check((await call_many(ports, wanted, self.compute))[NAMES], low)

    async def pump(self, ports: Ports, *, pushes: int = 2) -> None:
        for _ in range(pushes):
            await pause()
            self.deliver(ports)

    async def remote(self, kind: str, wanted: Request) -> None:
        """Invalidate, or write, from another process without a near tier."""
        await self._change(self.process(replies=False), kind, wanted)

    async def own(self, ports: Ports, kind: str, wanted: Request) -> None:
        """The same from a process that has one: it must see its own effect as soon as it has its receipt."""
        bit = await self._change(ports, kind, wanted)
        self.ear(ports).receipts |= bit

    async def own_by_another_cache(self, ports: Ports, kind: str, wanted: Request) -> None:
        """The same from another cache of the process."""
        bit = await self._change(self.neighbour(ports), kind, wanted)
        self.ear(ports).receipts |= bit

    async def _change(self, ports: Ports, kind: str, wanted: Request) -> int:
        bit = self._bit()
        self.called |= bit
        if self.variant.drops_before and ports.near is not None:
            ports.near.drop([wanted.names.value if kind == "key" else STAMPS[kind]])
            ports = ports.but(near=None)
        if kind == "put":
            await writes.put(ports, wanted, self.called)
        elif kind == "end":
            await ports.store.flight([ops.End(TAG.key, TAG.writers, b"transaction", ports.token(STAMP_BYTES), 3_600_000)])
        elif kind == "refresh":
            claim = await flows.seize(ports, wanted)
            await flows.commit(ports, claim, await self.compute())
        else:
            target = Target(wanted.names, FUNCTION.key) if kind == "key" else Target(None, STAMPS[kind])
            await writes.invalidate(ports, [target])
        self.applied |= bit
        self.due[bit] = self.sent
        return bit

    # ---- what must be true

    def outcome(self, wanted: Request) -> str | None:
        """Say what went wrong, also for those who come when everything has been heard."""
        for ports in self.with_near:
            self.deliver(ports, len(self.ear(ports).on_its_way))
            hit = ports.near.hit(wanted)
            if hit is not None:
                self.check(hit.value, self.applied)
        return self.problem or self.verdict(wanted)


def _generation(variant: NearVariant, max_age_s: float) -> Generation:
    made = variant.generation(NAMESPACE, max_entries=100, max_bytes=10**6, max_age_s=max_age_s)
    made.pushes = variant.pushes()
    return made


def run_through(coroutine: Actor) -> object:
    """Drive what suspends only at `pause`."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value


async def _nothing() -> int:
    return 0


def user_key(*, tags: Sequence[str] = ()) -> Request:
    """Return what asks for an application's key."""
    return request(names=NAMESPACE.names("k:x"))._replace(needs=needs_of(NAMESPACE, None, tags))


# ---- ways to get it wrong


class NoToken(NearAccess):
    """Fills whatever was pushed meanwhile."""

    def token(self) -> Token:
        return super().token()._replace(moment=10**9)


class LateToken(NearAccess):
    """Takes the token when the read has returned."""

    def fill(self, token: Token, *args: Any, **options: Any) -> None:
        super().fill(token._replace(moment=token.generation.pushes.moment), *args, **options)


class OwnEffectUnseen(NearAccess):
    """Waits for the push of what it did itself."""

    def drop(self, names: Iterable[str], /) -> None:
        pass


class OwnCommitUnseen(NearAccess):
    """Takes what it has just stored for something that it has just read."""

    def fill(self, *args: Any, is_ours: bool = False) -> None:
        super().fill(*args)


class KeysOnly(Pushes):
    """Forgets that a held stamp may have been pushed since the read began."""

    def were_silent(self, names: Iterable[str], since: int) -> bool:
        key, stamp, *_ = names
        return super().were_silent((key, stamp), since)


class NoDependents(Generation):
    """Drops a stamp that was pushed, and not what carries it."""

    def _dependents(self, name: str) -> Any:
        if name in self._held:
            del self._held[name]
            return []
        return super()._dependents(name)
