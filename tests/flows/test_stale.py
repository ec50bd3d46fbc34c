"""Old values and failures, under every order of steps: what was invalidated is neither served nor held against anybody."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from afresh.core import flows, ops, writes
from afresh.core.commits import Behind, Claim, fail
from afresh.core.failures import is_failure
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request, hit_kept, read
from afresh.core.writes import Target
from afresh.errors import ComputeBackingOff
from afresh.runtime.run_now import run_now
from afresh.stores.memory import MemoryStore
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor, Scenario
from tests.flows.world import FUNCTION, NAMES, PRODUCTION, Variant, World, isolated, request, sample

OLD_MS = 60_001
Cast = Callable[["StaleWorld", Request], list[Actor]]


class StaleWorld(World):
    """Processes that serve old values, and computes that fail until something is invalidated."""

    async def caller(self, ports: Ports, wanted: Request, *, fails: bool = False) -> None:
        """Do what the facades do. What is computed behind the caller is so by this very actor, after the caller was served."""
        low = self.applied
        try:
            got = await flows.obtain(ports, wanted)
            if isinstance(got, Behind):
                assert got.hit is not None
                self.check_fresh(got.hit, low)
                await self.carry_out(ports, got.claim, low, fails=fails, is_behind=True)
            elif isinstance(got, Hit):
                self.check_fresh(got, low)
            else:
                await self.carry_out(ports, got, low, fails=fails)
        except ComputeBackingOff:
            if low and self.problem is None:
                self.problem = "a failure from before an invalidation was held against a call that began after it"
        except LookupError:
            return

    async def carry_out(self, ports: Ports, claim: Claim, low: int, *, fails: bool, is_behind: bool = False) -> None:
        if claim.flight is not None:
            claim.flight.start_compute()
        value = await self.compute()
        if claim.flight is not None:
            claim.flight.end_compute()
        if not fails or value:
            await flows.commit(ports, claim, value)
            if not is_behind:
                self.check(value, low)
            return
        error = LookupError()
        await fail(ports, claim, error)
        kept = hit_kept(claim.request, claim.kept) if claim.kept is not None else None
        if kept is None:
            raise error
        if not is_behind:
            self.check_fresh(kept, low)

    def check_fresh(self, hit: Hit, low: int) -> None:
        """Check what was served: an old value must not have been invalidated, but may have been expired."""
        expired = 0 if not hit.stale else self.expired
        self.check(hit.value, low & ~expired)

    expired = 0

    async def expirer(self) -> None:
        """Make stale: what was computed before the call is not to be seen as fresh after it."""
        bit = self._bit()
        self.called |= bit
        self.expired |= bit
        await writes.expire(self.process(replies=False), [Target(NAMES, FUNCTION.key)])
        self.applied |= bit

    def outcome(self, wanted: Request) -> str | None:
        """Say what went wrong, also for those who come now."""
        hit, _ = run_now(read(self.direct, wanted))
        if hit is not None:
            self.check_fresh(hit, self.applied)
        lease = self.memory._data.get(NAMES.lease)
        if self.problem is None and lease is not None and not is_failure(lease[0]):
            return "a lease is left that nobody will commit or abandon"
        if self.problem is None and any(table._flights for table in self.tables):
            return "a flight is left that nobody leads"
        return self.problem


def scenario(cast: Cast, variant: Variant, *, aged_ms: int | None = None, replies: bool = False, **policy: int) -> Scenario:
    """Return a world with an entry so old, if any, and these actors."""
    wanted = request(**policy)

    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        world = StaleWorld(variant, replies=replies)
        if aged_ms is not None:
            world.warm(wanted)
            world.clock.now += aged_ms
        return [isolated(actor) for actor in cast(world, wanted)], lambda: world.outcome(wanted)

    return make


def callers(
    world: StaleWorld, wanted: Request, *, kind: str | None = None, count: int = 2, processes: int = 1, fails: bool = False
) -> list[Actor]:
    ports = [world.process() for _ in range(processes)]
    found: list[Actor] = [world.caller(ports[at % processes], wanted, fails=fails) for at in range(count)]
    return [*found, world.expirer() if kind is None else world.invalidator(kind)]


async def _late(world: StaleWorld, ports: Ports, wanted: Request) -> None:
    await pause(until=lambda: bool(world.applied))
    await world.caller(ports, wanted, fails=True)


def late_caller(world: StaleWorld, wanted: Request, *, kind: str) -> list[Actor]:
    """Two processes: one computes and fails, in the other somebody calls after the invalidation."""
    failing, late = world.process(), world.process()
    return [world.caller(failing, wanted, fails=True), _late(world, late, wanted), world.invalidator(kind)]


BEHIND = {"stale_ttl_ms": 60_000, "refresh_wait_ms": 0, "aged_ms": OLD_MS}
BACKOFF = {"backoff_ms": 1000}
KEPT = {"backoff_ms": 1000, "stale_if_error_ms": 60_000, "aged_ms": OLD_MS}

SCENARIOS = {
    **{
        f"{name}, {kind} invalidated": partial(scenario, partial(cast, kind=kind), **options)
        for kind in ("key", "tag")
        for name, cast, options in (
            ("two served while one refreshes behind", callers, BEHIND),
            ("one refreshes behind, in 2", partial(callers, processes=2), BEHIND),
            ("refreshed behind, and that fails", partial(callers, fails=True), BEHIND | BACKOFF),
            ("two whose compute fails", partial(callers, fails=True), BACKOFF),
            ("late caller", late_caller, BACKOFF),
            ("two whose compute fails, an old entry there", partial(callers, fails=True), KEPT),
            ("late caller, an old entry there", late_caller, KEPT),
        )
    },
    "two callers, expired": partial(scenario, callers, stale_ttl_ms=60_000, refresh_wait_ms=0),
    "two callers, expired, an entry there": partial(scenario, callers, stale_ttl_ms=60_000, refresh_wait_ms=0, aged_ms=1),
    "two callers in 2, expired, an entry there": partial(
        scenario, partial(callers, processes=2), stale_ttl_ms=60_000, refresh_wait_ms=0, aged_ms=1
    ),
    "two callers, expired, without a stale ttl": partial(scenario, callers, aged_ms=1),
}
SAMPLED = {
    f"{name}, {kind} invalidated": partial(scenario, partial(callers, kind=kind, count=count, processes=2, fails=fails), **options)
    for kind in ("key", "tag")
    for name, count, fails, options in (
        ("two whose compute fails, in 2", 2, True, BACKOFF),
        ("four served while one refreshes behind, in 2", 4, False, {"replies": True, **BEHIND}),
        ("four whose compute fails, in 2", 4, True, {"replies": True, **BACKOFF}),
        ("four whose compute fails, an old entry there, in 2", 4, True, {"replies": True, **KEPT}),
    )
} | {"four callers in 2, expired": partial(scenario, partial(callers, count=4, processes=2), stale_ttl_ms=60_000, refresh_wait_ms=0)}


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_serves_what_was_invalidated(name: str) -> None:
    found = explore(SCENARIOS[name](PRODUCTION))

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", SAMPLED)
def test_no_schedule_drawn_serves_what_was_invalidated(name: str) -> None:
    found = sample(SAMPLED[name](PRODUCTION), runs=300, seed=11)

    print(f"{name}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)


def records_without_stamps(memory: MemoryStore, op: ops.Op) -> ops.Op:
    """Hold a failure against everybody, whatever was invalidated since."""
    held = memory._data.get(op.lease) if isinstance(op, ops.Claim) else None
    return op._replace(digest=held[0][2:10]) if held is not None and is_failure(held[0]) else op


def invalidates_without_lease(_: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(lease="elsewhere") if isinstance(op, ops.Invalidate) else op


def expires_without_lease(_: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(lease="elsewhere") if isinstance(op, ops.Expire) else op


def expires_too_late(_: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(fresh_until=b"\xff" * 8) if isinstance(op, ops.Expire) else op


def fails_without_lease(_: MemoryStore, op: ops.Op) -> ops.Op:
    return ops.Seize(op.lease, op.ttl_ms, op.record) if isinstance(op, ops.Fail) else op


def commits_without_lease(_: MemoryStore, op: ops.Op) -> ops.Op:
    return ops.Put(op.value, op.lease, op.envelope, op.ttl_ms) if isinstance(op, ops.Commit) else op


WRONG = {
    "failure record without vector": (Variant(records_without_stamps), "late caller, tag invalidated"),
    "failure record without vector, in one process": (Variant(records_without_stamps), "two whose compute fails, tag invalidated"),
    "failure record that an invalidation leaves": (Variant(invalidates_without_lease), "late caller, key invalidated"),
    "failure recorded without the lease": (Variant(fails_without_lease), "late caller, key invalidated"),
    "failure shared with who came later": (Variant(early=True), "two whose compute fails, tag invalidated"),
    "refresh stored without the lease": (Variant(commits_without_lease), "one refreshes behind, in 2, key invalidated"),
    "expire that leaves the lease": (Variant(expires_without_lease), "two callers, expired"),
    "expire that leaves the entry": (Variant(expires_too_late), "two callers, expired, an entry there"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_variant_is_caught(name: str) -> None:
    variant, right = WRONG[name]

    found = explore(SCENARIOS[right](variant))

    assert found.failure is not None, f"{found.schedules:,} schedules passed"
    assert "deadlock" not in found.failure.problem
    print(f"{name}: caught after {found.schedules:,} schedules: {found.failure}")
