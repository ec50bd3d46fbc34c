"""What the flows make of a near tier: which stamps they ask for, what they fill, and when a result's own tags count."""

from __future__ import annotations

import pytest

from afresh.core import flows, ops
from afresh.core.batches import fetch_many
from afresh.core.commits import Claim
from afresh.core.reads import Hit, Request, fetch
from afresh.core.stamps import Captured
from afresh.core.writes import Target, invalidate
from afresh.errors import StoreRefused, StoreUnavailable
from afresh.near.access import NearAccess
from afresh.near.generation import Generation
from afresh.near.options import Near
from afresh.near.tier import NearTier
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import FUNCTION, NAMESPACE, Scripted, a_request

DOWN = StoreUnavailable("the server is away")
FULL = StoreRefused("OOM", "no room")
LATE = NAMESPACE.tag_of("late")


class NearWorld(Scripted):
    """One with a near tier, which hears of everything at once, until it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.tier = NearTier(Near(), NAMESPACE)
        self.tier.begin()
        self.tier.extend(1e12)
        self.hears = True
        self.ports = self.ports.but(near=NearAccess(self.tier, lambda: self.now / 1000))

    @property
    def generation(self) -> Generation:
        return self.tier.generation

    async def flight(self, batch, /, spent_us=0):
        before = dict(self.memory._data)
        replies = await super().flight(batch)
        after = self.memory._data
        names = [name for name in {*before, *after} if before.get(name) != after.get(name) and name.startswith(("t:t:", "t:v:{k"))]
        if self.hears and names:
            self.generation.pushed(*names)
        return replies

    def compute(self, request: Request, value: object) -> Claim:
        claim = run_now(flows.obtain(self.ports, request))
        assert isinstance(claim, Claim)
        run_now(flows.commit(self.ports, claim, value))
        return claim

    def keeps(self, request: Request) -> bool:
        return self.generation.get(request.names.value) is not None

    def reads(self, request: Request) -> list[type]:
        """Return which operations a read sends."""
        self.asked.clear()
        run_now(fetch(self.ports, request))
        return [type(op) for op in self.asked]


@pytest.fixture
def world() -> NearWorld:
    world = NearWorld()
    world.compute(a_request("f:f:0"), 0)  # the stamps are there now
    return world


def test_a_proven_commit_fills(world: NearWorld) -> None:
    world.compute(a_request(), "value")

    assert world.reads(a_request()) == []
    assert run_now(fetch(world.ports, a_request()))[0] == Hit("value", near=True)


def test_a_commit_of_a_function_that_stays_away_does_not(world: NearWorld) -> None:
    away = a_request()._replace(near=False)
    world.compute(away, "value")

    assert not world.keeps(away)
    assert len(world.reads(away)) == 4


def test_a_commit_that_created_a_stamp_does_not(world: NearWorld) -> None:
    world.compute(a_request(tags=["new"]), "value")

    assert not world.keeps(a_request())


def test_stamps_that_are_held_are_not_asked_for(world: NearWorld) -> None:
    world.compute(a_request(), "value")
    world.generation.pushed(a_request().names.value)
    assert len(world.reads(a_request())) == 4  # nothing holds them any more

    world.compute(a_request("f:f:2"), "value")
    world.generation.pushed(a_request().names.value)

    assert world.reads(a_request()) == [ops.Get]


def test_a_stamp_that_is_held_says_nothing_of_another_run_of_the_server(world: NearWorld) -> None:
    world.compute(a_request(), "old")
    world.compute(a_request("f:f:2"), "holds the stamps")
    snapshot = dict(world.memory._data)
    run_now(invalidate(world.ports, [Target(a_request().names, None)]))

    class Restarted(NearWorld):
        async def flight(self, batch, /, spent_us=0):
            # Its connection is new: it meets a run that has loaded the snapshot, and bumps the namespace before it reads.
            if snapshot:
                world.memory._data.clear()
                world.memory._data.update(snapshot)
                snapshot.clear()
                await world.memory.flight([ops.Bump(NAMESPACE.tag.key, NAMESPACE.tag.writers, b"new run!")])
                world.generation.pushed_all()
            return await world.flight(batch, spent_us)

    hit, _ = run_now(fetch(world.ports.but(store=Restarted()), a_request()))

    assert hit is None


def test_an_entry_that_differs_from_a_stamp_held_is_read_again_with_all_stamps(world: NearWorld) -> None:
    world.compute(a_request("f:f:1"), 1)
    world.hears = False
    others = world.ports.but(near=None)
    run_now(invalidate(others, [Target(None, FUNCTION.key)]))
    claim = run_now(flows.obtain(others, a_request("f:f:2")))
    run_now(flows.commit(others, claim, 2))
    world.batches = 0

    hit, _ = run_now(fetch(world.ports, a_request("f:f:2")))

    assert hit is not None
    assert hit.value == 2
    assert world.batches == 2
    assert world.generation.held(FUNCTION.key, 0) is None  # one of both stamps was old: neither is held
    assert not world.keeps(a_request("f:f:1"))


def test_a_batch_asks_for_what_is_not_near(world: NearWorld) -> None:
    near, far = a_request("f:f:1"), a_request("f:f:2")
    world.compute(near, 1)
    world.compute(far, 2)
    world.generation.pushed(far.names.value)
    world.asked.clear()

    hits = run_now(fetch_many(world.ports, [near, far]))

    assert [(hit.value, hit.near) for hit, _ in hits if hit] == [(1, True), (2, False)]
    assert ops.Get(near.names.value) not in world.asked
    world.asked.clear()
    run_now(fetch_many(world.ports, [near, far]))
    assert world.asked == []


def test_a_commit_that_was_refused_drops_what_was_near(world: NearWorld) -> None:
    world.compute(a_request(), "old")
    claim = run_now(flows.seize(world.ports, a_request()))
    world.ask(ops.Unlink(a_request().names.lease))

    run_now(flows.commit(world.ports, claim, "new"))

    assert not world.keeps(a_request())


# ---- tags that the result names


def late_request(*names: str) -> Request:
    return a_request()._replace(result_tags=lambda _: names or ("late",))


def stored(world: NearWorld) -> bool:
    return world.ask(ops.Get(a_request().names.value)) is not None


@pytest.fixture
def late(world: NearWorld) -> NearWorld:
    """A world in which the late tag has a stamp."""
    run_now(world.flight([ops.Stamp(LATE.key, LATE.writers, b"stamp--0", 3_600_000)]))
    return world


def test_a_result_carries_its_tags(late: NearWorld) -> None:
    late.compute(late_request(), "value")

    kept = late.generation.get(a_request().names.value)
    assert kept is not None
    assert kept.depends[LATE.key] == b"stamp--0"


def refused(late: NearWorld) -> bool:
    return late.tallies.stats("f").not_stored == {"tags of the result not proven": 1} and not stored(late)


def test_the_first_result_under_a_tag_is_not_stored(world: NearWorld) -> None:
    world.compute(late_request(), "value")

    assert refused(world)


@pytest.mark.parametrize("way", ["failing", "refusing"])
@pytest.mark.parametrize("kind", [ops.Stamp, ops.Announce])
def test_a_result_is_not_stored_where_the_server_fails(late: NearWorld, way: str, kind: type) -> None:
    claim = run_now(flows.obtain(late.ports, late_request()))
    getattr(late, way)[kind] = FULL if way == "refusing" else DOWN

    run_now(flows.commit(late.ports, claim, "value"))

    assert refused(late)


def test_a_result_is_not_stored_while_a_transaction_is_open_under_its_tag(late: NearWorld) -> None:
    late.ask(ops.Mark(LATE.key, LATE.writers, b"transaction", 3_600_000, 3_600_000))

    late.compute(late_request(), "value")

    assert refused(late)


def test_a_mark_that_is_never_heard_is_waited_for_shortly(late: NearWorld) -> None:
    claim = run_now(flows.obtain(late.ports, late_request()))
    late.hears = False

    run_now(flows.commit(late.ports, claim, "value"))

    assert refused(late)
    assert 50 < sum(late.sleeps) < 200


def test_a_mark_that_is_heard_late_is_enough(late: NearWorld) -> None:
    claim = run_now(flows.obtain(late.ports, late_request()))
    late.hears = False
    heard = late.sleep_ms

    async def sleep_ms(duration_ms: float, /) -> None:
        await heard(duration_ms)
        marks = [op.stamp for op in late.asked if isinstance(op, ops.Announce)]
        late.generation.pushed(*marks)

    late.sleep_ms = sleep_ms  # type: ignore[method-assign]  # the world is the clock
    run_now(flows.commit(late.ports, claim, "value"))

    assert stored(late)
    assert len(late.sleeps) == 1


def test_without_a_near_tier_nothing_is_proven(late: NearWorld) -> None:
    late.ports = late.ports.but(near=None)

    late.compute(late_request(), "value")

    assert refused(late)


@pytest.mark.parametrize("is_proven", [True, False])
def test_what_is_made_of_a_result_has_its_tags_too(late: NearWorld, is_proven: bool) -> None:
    claim = run_now(flows.obtain(late.ports, late_request()))
    claim.reader = Captured(NAMESPACE)
    if not is_proven:
        late.generation.pushed(LATE.key)

    run_now(flows.commit(late.ports, claim, "value"))

    assert claim.reader.is_whole == is_proven
    assert claim.reader.stamps == ({LATE.hash: b"stamp--0"} if is_proven else {})


def test_a_value_that_nobody_stores_asks_for_no_stamps(late: NearWorld) -> None:
    claim = run_now(flows.obtain(late.ports, late_request()))
    claim.vector = None
    late.asked.clear()

    run_now(flows.commit(late.ports, claim, "value"))

    assert [type(op) for op in late.asked] == [ops.Abandon]


def test_a_value_without_tags_asks_for_none(late: NearWorld) -> None:
    late.compute(a_request()._replace(result_tags=lambda _: ()), "value")

    assert stored(late)
    assert not any(isinstance(op, ops.Announce) for op in late.asked)
