"""What a compute reads through afresh, its result depends on: under every order of the steps of the production flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from afresh.core import capture, writes
from afresh.core.reads import Hit, Request
from afresh.core.stamps import Captured, Needs, needs_of
from afresh.core.writes import key_targets
from afresh.testing import explore
from afresh.testing.stepping import Actor, Scenario
from tests.flows.world import NAMESPACE, World, call, isolated, request, sample

INNER_FUNCTION = NAMESPACE.tag_of(NAMESPACE.function_tag("f:inner"))
INNER = request(tags=())._replace(names=NAMESPACE.names("f:inner(1)"), needs=needs_of(NAMESPACE, INNER_FUNCTION, ["b"]), owner="inner")
KEY = request(tags=())._replace(names=NAMESPACE.names("k:rate"), needs=needs_of(NAMESPACE), owner="keys")
INVALIDATED = {
    "key": key_targets(NAMESPACE, INNER.names, INNER_FUNCTION.key),
    "tag": (writes.Target(None, NAMESPACE.tag_of("b").key),),
    "function": (writes.Target(None, INNER_FUNCTION.key),),
}


OUTER = request(tags=())


async def outer_reader(world: World, inner: Request) -> None:
    """Read a value that is made of another one in the cache."""
    ports, low = world.process(), world.applied
    world.check(await call(ports, OUTER, partial(call, ports, inner, world.compute)), low)


async def invalidator(world: World, targets: Sequence[writes.Target]) -> None:
    bit = world._bit()
    world.called |= bit
    await writes.invalidate(world.process(replies=False), targets)
    world.applied |= bit


def nested(kind: str, *, inner: Request = INNER, warm: bool = False, others: int = 0, **steps: bool) -> Scenario:
    """Return a world of a reader of the outer value, other readers of the inner one, and the inner one's invalidation."""
    targets = INVALIDATED[kind] if inner is INNER else key_targets(NAMESPACE, inner.names, None)

    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        world = World(**steps)
        if warm:
            world.warm(inner)
        readers = [world.reader(world.process(), inner) for _ in range(others)]
        return [*map(isolated, (outer_reader(world, inner), invalidator(world, targets), *readers))], lambda: world.verdict(OUTER)

    return make


@pytest.mark.parametrize("kind", INVALIDATED)
@pytest.mark.parametrize("warm", [True, False], ids=["there", "cold"])
def test_outer_value_is_dropped_with_the_inner_one(kind: str, warm: bool) -> None:
    found = explore(nested(kind, warm=warm, by_op=True))

    print(f"capture, {kind}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("kind", INVALIDATED)
def test_outer_value_is_dropped_with_an_inner_one_that_others_compute(kind: str) -> None:
    found = sample(nested(kind, others=1), runs=600, seed=7)

    print(f"capture, others compute, {kind}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)


def test_value_is_dropped_with_a_key_that_it_was_made_of() -> None:
    found = explore(nested("key", inner=KEY))

    print(f"capture, application's key: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


# ---- each rule dropped


async def _attend_late(ports, wanted: Request, captured: Captured | None):
    """Take the key's own stamp after the key was read."""
    if captured is None:
        return await capture.obtain(ports, wanted)
    got = await capture._noted(ports, wanted, await capture.obtain(ports, wanted), captured)
    await capture.attend(ports, capture._own_tags([wanted], captured), captured)
    return got


async def _attend_never(ports, wanted: Request, captured: Captured | None):
    got = await capture.obtain(ports, wanted)
    return got if captured is None else await capture._noted(ports, wanted, got, captured)


async def _stamps_of_now(ports, wanted: Request, captured: Captured | None):
    """Note the stamps as they are after the read, not as the entry carries them."""
    if captured is None:
        return await capture.obtain(ports, wanted)
    await capture.attend(ports, capture._own_tags([wanted], captured), captured)
    got = await capture.obtain(ports, wanted)
    if isinstance(got, Hit):
        vector = wanted.needs.vector(await ports.store.flight(wanted.needs.reads))
        assert vector is None or captured.note(wanted.needs.by_hash(vector)) is None
    else:
        got.reader = captured
    return got


def _nothing_captured(self: Captured, vector: bytes, needs: Needs) -> bytes:
    return vector


WRONG = {
    "own stamp taken after the read": ("tests.flows.world.obtain_into", _attend_late, "key", True),
    "no stamp of the key's own": ("tests.flows.world.obtain_into", _attend_never, "key", True),
    "stamps of now, not as served": ("tests.flows.world.obtain_into", _stamps_of_now, "tag", True),
    "nothing captured": ("afresh.core.stamps.Captured.added_to", _nothing_captured, "function", True),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_variant_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, wrong, kind, warm = WRONG[name]
    monkeypatch.setattr(where, wrong)

    found = explore(nested(kind, warm=warm))

    print(f"{name}: caught after {found.schedules:,} schedules")
    assert found.failure is not None
