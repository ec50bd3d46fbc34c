"""Who meets whom in the world: the scenarios of the step tests, each for the protocol and for any way to get it wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from afresh.core import writes
from afresh.core.reads import Request
from afresh.testing.stepping import Actor, Scenario
from tests.flows.world import BARE, KEYS, NAMESPACE, STAMPS, Variant, World, isolated, request

Cast: TypeAlias = Callable[[World, Request], list[Actor]]

KINDS = ("key", *STAMPS)


def scenario(
    cast: Cast, variant: Variant, *, wanted: Request | None = None, warm: bool = False, aged_ms: int = 0, **steps: int
) -> Scenario:
    """Return a world with these actors, for `explore`.

    Args:
        cast: makes the actors.
        variant: what is wrong in this world.
        wanted: what the readers ask for.
        warm: whether an entry is there at the beginning.
        aged_ms: how old it is.
        steps: `by_op` and `replies`, finer steps than one for each flight; `alone`, how many look before others wait for them.
    """
    wanted = wanted or request()

    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        world = World(variant, **steps)
        if warm:
            world.warm(wanted)
            world.clock.now += aged_ms
        return [isolated(actor) for actor in cast(world, wanted)], lambda: world.verdict(wanted)

    return make


def readers_and_invalidation(world: World, wanted: Request, *, kind: str, readers: int = 2, processes: int = 1) -> list[Actor]:
    ports = [world.process() for _ in range(processes)]
    return [*(world.reader(ports[at % processes], wanted) for at in range(readers)), world.invalidator(kind)]


def renewal(world: World, wanted: Request, *, kind: str, processes: int = 2) -> list[Actor]:
    ports = [world.process() for _ in range(processes)]
    return [world.renewing_reader(ports[0], wanted), world.reader(ports[-1], wanted), world.invalidator(kind)]


def late_reader(world: World, wanted: Request, *, kind: str, processes: int = 1) -> list[Actor]:
    ports = world.process()
    late = world.process(like=ports if processes == 1 else None, replies=False)
    return [world.reader(ports, wanted), world.late_reader(late, wanted), world.invalidator(kind)]


def eviction(world: World, wanted: Request, *, kind: str, key: str, readers: int = 1) -> list[Actor]:
    return [*readers_and_invalidation(world, wanted, kind=kind, readers=readers, processes=readers), world.evictor(KEYS[key])]


def failure(world: World, wanted: Request, *, kind: str, processes: int = 1) -> list[Actor]:
    ports = [world.process() for _ in range(processes)]
    return [world.raising_reader(ports[0], wanted), world.reader(ports[-1], wanted), world.invalidator(kind)]


def putting(world: World, wanted: Request, *, processes: int = 1) -> list[Actor]:
    ports = [world.process() for _ in range(processes)]
    return [world.reader(ports[0], wanted), world.reader(ports[-1], wanted), world.putter(wanted)]


def putting_by_heart(world: World, wanted: Request, *, readers: int = 2, changed: str | None = None) -> list[Actor]:
    """Write under stamps that the process remembers, as they are or as they were."""
    ports, putting = world.process(), world.remembering(wanted, changed=changed)
    return [*(world.reader(ports, wanted) for _ in range(readers)), world.putter(wanted, putting)]


def refreshing(world: World, wanted: Request, *, readers: int = 1, refreshers: int = 1) -> list[Actor]:
    ports = [world.process() for _ in range(refreshers)]
    return [*(world.reader(ports[0], wanted) for _ in range(readers)), *(world.refresher(each, wanted) for each in ports)]


def refreshing_and_invalidation(world: World, wanted: Request, *, kind: str) -> list[Actor]:
    ports = world.process()
    return [world.reader(ports, wanted), world.refresher(ports, wanted), world.invalidator(kind)]


def touching(world: World, wanted: Request, *, kind: str) -> list[Actor]:
    ports = world.process()

    async def touch() -> None:
        await writes.touch(ports, wanted)

    return [world.reader(ports, wanted), world.invalidator(kind), touch()]


def batches(world: World, wanted: Request, *, kind: str, processes: int = 1) -> list[Actor]:
    """Two callers ask for the same two entries, each in its own order."""
    both = [wanted, request(names=NAMESPACE.names("f:f(2)"))]
    ports = [world.process() for _ in range(processes)]
    return [world.batch_reader(ports[0], both), world.batch_reader(ports[-1], both[::-1]), world.invalidator(kind)]


def other_tags(world: World, wanted: Request) -> list[Actor]:
    """Two calls that share a key and not their tags, as with `ignore=` or a `tags=` function."""
    ports = world.process()
    return [world.reader(ports, request(tags=())), world.reader(ports, wanted), world.invalidator("tag")]


_FINE = {"by_op": True, "replies": True}
_REPLIES = {"replies": True}
_TOGETHER = {"alone": 0}
_STRAIGHT = {"straight": True}
_BY_KEY = partial(readers_and_invalidation, kind="key")


def _of_kind(kind: str) -> dict[str, Callable[[Variant], Scenario]]:
    one = partial(readers_and_invalidation, kind=kind)
    two = partial(one, processes=2)
    found = {
        f"two readers, {kind} invalidated": partial(scenario, one),
        f"two readers, {kind} invalidated, an entry there": partial(scenario, one, warm=True),
        f"two readers in 2, {kind} invalidated, an entry there": partial(scenario, two, warm=True),
        f"reader, {kind} invalidated, step by operation and reply": partial(scenario, partial(one, readers=1), **_FINE),
    }
    by_hand = kind in {"key", "tag"}  # the stamps of functions and of the namespace take the way of a tag's
    for key in KEYS if by_hand else (kind, "lease"):
        found[f"reader, {kind} invalidated, {key} evicted"] = partial(scenario, partial(eviction, kind=kind, key=key))
    if by_hand:
        stale = partial(scenario, wanted=request(stale_ttl_ms=60_000), warm=True, aged_ms=60_001)
        found |= {
            f"two readers in 2, {kind} invalidated": partial(scenario, two),
            f"two readers who look together, {kind} invalidated": partial(scenario, one, **_TOGETHER),
            f"two readers who look together, {kind} invalidated, an entry there": partial(scenario, one, warm=True, **_TOGETHER),
            f"two readers, one of whom looks alone, {kind} invalidated, an entry there": partial(scenario, one, warm=True, alone=1),
            f"two readers, {kind} invalidated, a stale entry there": partial(stale, one),
            f"reader and late reader, {kind} invalidated, replies on their way": partial(
                scenario, partial(late_reader, kind=kind), **_REPLIES
            ),
            f"reader and late reader who look together, {kind} invalidated, an entry there": partial(
                scenario, partial(late_reader, kind=kind), warm=True, **_REPLIES, **_TOGETHER
            ),
            f"reader whose compute raises, reader, {kind} invalidated": partial(scenario, partial(failure, kind=kind)),
            f"two batches, {kind} invalidated": partial(scenario, partial(batches, kind=kind)),
            f"reader, refresh, {kind} invalidated": partial(scenario, partial(refreshing_and_invalidation, kind=kind)),
            f"reader, touch, {kind} invalidated": partial(scenario, partial(touching, kind=kind), warm=True),
        }
    return found


# By name: what makes the world, given what is wrong in it.
SCENARIOS: Mapping[str, Callable[[Variant], Scenario]] = MappingProxyType(
    {name: made for kind in KINDS for name, made in _of_kind(kind).items()}
    | {
        "two readers straight, key invalidated": partial(scenario, _BY_KEY, **_STRAIGHT),
        "two readers straight, key invalidated, an entry there": partial(scenario, _BY_KEY, warm=True, **_STRAIGHT),
        "reader and late reader straight, one of whom looks alone, key invalidated, a stale entry there": partial(
            scenario, partial(late_reader, kind="key"), wanted=request(stale_ttl_ms=60_000), warm=True, aged_ms=60_001, alone=1, **_STRAIGHT
        ),
        "two readers, put": partial(scenario, putting),
        "two readers, put under remembered stamps": partial(scenario, putting_by_heart),
        "two readers, put under stamps that have changed": partial(scenario, partial(putting_by_heart, changed="tag")),
        "two readers, set": partial(scenario, putting, wanted=BARE),
        "two readers, set under a remembered stamp": partial(scenario, putting_by_heart, wanted=BARE),
        "reader, set under a stamp that has changed": partial(
            scenario, partial(putting_by_heart, readers=1, changed="namespace"), wanted=BARE
        ),
        "reader, set under a remembered stamp, step by operation and reply": partial(
            scenario, partial(putting_by_heart, readers=1), wanted=BARE, **_FINE
        ),
        "reader, refresh": partial(scenario, refreshing),
        "reader, refresh, replies on their way": partial(scenario, refreshing, **_REPLIES),
        "reader that renews, key invalidated": partial(scenario, partial(renewal, kind="key", processes=1)),
        "two refreshes": partial(scenario, partial(refreshing, readers=0, refreshers=2)),
        "two readers with different tags, tag invalidated": partial(scenario, other_tags),
        "two readers with different tags who look together, tag invalidated": partial(scenario, other_tags, warm=True, **_TOGETHER),
    }
)

# Too many schedules to run all of them: some are drawn.
SAMPLED: Mapping[str, Callable[[Variant], Scenario]] = MappingProxyType(
    {
        f"{name}, {kind} invalidated": partial(scenario, partial(cast, kind=kind), **steps)
        for kind in KINDS
        for name, cast, steps in (
            ("three readers", partial(readers_and_invalidation, readers=3), {}),
            ("three readers who look together", partial(readers_and_invalidation, readers=3), _TOGETHER),
            (
                "three readers who look together, an entry there",
                partial(readers_and_invalidation, readers=3),
                {"warm": True, **_REPLIES, **_TOGETHER},
            ),
            ("three readers, one of whom looks alone", partial(readers_and_invalidation, readers=3), {"alone": 1}),
            ("three readers straight", partial(readers_and_invalidation, readers=3), _STRAIGHT),
            ("two readers straight in 2, step by operation", partial(readers_and_invalidation, processes=2), {**_FINE, **_STRAIGHT}),
            ("four readers in 2", partial(readers_and_invalidation, readers=4, processes=2), {}),
            ("two readers, step by operation and reply", readers_and_invalidation, _FINE),
            ("two readers in 2, step by operation and reply", partial(readers_and_invalidation, processes=2), _FINE),
            ("reader and late reader in 2, replies on their way", partial(late_reader, processes=2), _REPLIES),
            ("two readers in 2, tag evicted", partial(eviction, key="tag", readers=2), {}),
            ("two readers in 2, lease evicted", partial(eviction, key="lease", readers=2), _REPLIES),
            ("reader that renews, reader in 2", renewal, {}),
            ("two batches in 2", partial(batches, processes=2), {}),
            ("two batches in 2, step by operation", partial(batches, processes=2), {"by_op": True}),
            ("compute raises in another process", partial(failure, processes=2), _REPLIES),
        )
    }
    | {
        "two readers straight, key invalidated, a stale entry there": partial(
            scenario, _BY_KEY, wanted=request(stale_ttl_ms=60_000), warm=True, aged_ms=60_001, **_STRAIGHT
        ),
        "reader and late reader straight, tag invalidated, replies on their way": partial(
            scenario, partial(late_reader, kind="tag"), **_REPLIES, **_STRAIGHT
        ),
        "reader straight whose compute raises, reader, key invalidated": partial(scenario, partial(failure, kind="key"), **_STRAIGHT),
        "two readers who look together, key invalidated, a stale entry there": partial(
            scenario,
            partial(readers_and_invalidation, kind="key"),
            wanted=request(stale_ttl_ms=60_000),
            warm=True,
            aged_ms=60_001,
            **_TOGETHER,
        ),
        "two readers, put under remembered stamps, step by operation": partial(scenario, putting_by_heart, **_FINE),
        "two readers, put under stamps that have changed, step by operation": partial(
            scenario, partial(putting_by_heart, changed="tag"), **_FINE
        ),
    }
)
