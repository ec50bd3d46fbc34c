"""Clause 2 of the contract, under every order of the steps of the production flows, the production near tier, and the pushes' arrivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest

from afresh.core import ops
from afresh.core.keys import Names
from afresh.core.ports import Ports
from afresh.core.reads import Request
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor, Scenario
from tests.flows.near_world import (
    NEAR_PRODUCTION,
    KeysOnly,
    LateToken,
    NearVariant,
    NearWorld,
    NoDependents,
    NoToken,
    OwnCommitUnseen,
    OwnEffectUnseen,
    user_key,
)
from tests.flows.world import KEYS, NAMES, STAMPS, TAG, isolated, request, sample

RUNS = 400
HOUR_MS = 3_600_000
KINDS = ("key", *STAMPS)
WANTED = request()
USER_KEY = user_key()
ANOTHER = request(names=Names("t:v:{f:f(2)}", "t:l:{f:f(2)}", "t:t:{f:f(2)}"))


def near_scenario(
    cast: Callable[[NearWorld, Ports], list[Actor]],
    variant: NearVariant,
    *,
    wanted: Request = WANTED,
    stored: bool = True,
    kept: Request | None = None,
    open_tag: bool = False,
) -> Scenario:
    """Return a world in which process P has a near tier.

    Args:
        cast: makes the actors, given P.
        variant: what is wrong.
        wanted: what is read.
        stored: whether the server has an entry.
        kept: what P's near tier has at the beginning.
        open_tag: whether a transaction is writing under the tag.
    """

    def make() -> tuple[list[Actor], Callable[[], str | None]]:
        world = NearWorld(variant)
        near = world.near_process()
        if stored:
            world.warm(wanted)
        if kept is not None:
            world.prepare(near, kept)
        if open_tag:
            world.run([ops.Mark(TAG.key, TAG.writers, b"transaction", HOUR_MS, HOUR_MS)])
        world.deliver(near, 100)
        return [isolated(actor) for actor in cast(world, near)], lambda: world.outcome(wanted)

    return make


def remote_change(world: NearWorld, near: Ports, *, kind: str, wanted: Request = WANTED, reads: int = 2, pushes: int = 2) -> list[Actor]:
    return [world.near_reader(near, wanted, reads=reads), world.remote(kind, wanted), world.pump(near, pushes=pushes)]


def own_change(world: NearWorld, near: Ports, *, kind: str, wanted: Request = WANTED) -> list[Actor]:
    """P changes something while one of its threads reads; what the server pushes of it arrives when all is over."""
    return [world.near_reader(near, wanted), world.own(near, kind, wanted)]


def change_by_a_neighbour(world: NearWorld, near: Ports, *, kind: str, wanted: Request = WANTED) -> list[Actor]:
    """As `own_change`, but another cache of P's process does it."""
    return [world.near_reader(near, wanted), world.own_by_another_cache(near, kind, wanted)]


def two_processes(world: NearWorld, near: Ports, *, kind: str) -> list[Actor]:
    other = world.near_process()
    return [*(world.near_reader(each, WANTED) for each in (near, other)), world.own(other, kind, WANTED), *map(world.pump, (near, other))]


def two_threads(world: NearWorld, near: Ports, *, kind: str) -> list[Actor]:
    return [*(world.near_reader(near, WANTED) for _ in range(2)), world.own(near, kind, WANTED), world.pump(near)]


def batches(world: NearWorld, near: Ports, *, kind: str) -> list[Actor]:
    both = [WANTED, ANOTHER]
    return [*(world.near_batch_reader(near, each) for each in (both, both[::-1])), world.remote(kind, WANTED), world.pump(near, pushes=3)]


def eviction(world: NearWorld, near: Ports, *, kind: str, key: str) -> list[Actor]:
    async def evict() -> None:
        await pause()
        world.run([ops.Unlink(KEYS[key])])

    return [world.near_reader(near, WANTED, reads=1), world.remote(kind, WANTED), evict(), world.pump(near, pushes=1)]


def _of_kind(kind: str) -> dict[str, Callable[[NearVariant], Scenario]]:
    remote, own = partial(remote_change, kind=kind), partial(own_change, kind=kind)
    neighbour = partial(change_by_a_neighbour, kind=kind)
    found = {
        f"{kind} invalidated elsewhere, near": partial(near_scenario, remote, kept=WANTED),
        f"{kind} invalidated here, stored": partial(near_scenario, own),
        f"{kind} invalidated here, near": partial(near_scenario, own, kept=WANTED),
        f"{kind} invalidated here, cold": partial(near_scenario, own, stored=False),
        f"{kind} invalidated by another cache here, stored": partial(near_scenario, neighbour),
        f"{kind} invalidated by another cache here, near": partial(near_scenario, neighbour, kept=WANTED),
    }
    if kind in {"key", "tag"}:  # the stamps of functions and of the namespace take the way of a tag's
        cold = partial(remote, reads=1, pushes=1)
        found |= {
            f"{kind} invalidated elsewhere, stored": partial(near_scenario, remote),
            f"{kind} invalidated elsewhere, stamps held": partial(near_scenario, remote, kept=ANOTHER),
            f"{kind} invalidated elsewhere, cold, stamps held": partial(near_scenario, cold, stored=False, kept=ANOTHER),
        }
    return found


def _of_writes() -> dict[str, Callable[[NearVariant], Scenario]]:
    found: dict[str, Callable[[NearVariant], Scenario]] = {}
    for kind in ("put", "refresh"):
        elsewhere = partial(remote_change, kind=kind, wanted=USER_KEY, reads=2 if kind == "put" else 1)
        found[f"user key, {kind} elsewhere"] = partial(near_scenario, elsewhere, wanted=USER_KEY, kept=USER_KEY)
        found[f"user key, {kind} here"] = partial(
            near_scenario, partial(own_change, kind=kind, wanted=USER_KEY), wanted=USER_KEY, kept=USER_KEY
        )
        found[f"{kind} elsewhere, near"] = partial(near_scenario, partial(remote_change, kind=kind), kept=WANTED)
        found[f"{kind} here, stored"] = partial(near_scenario, partial(own_change, kind=kind))
        found[f"{kind} here, near"] = partial(near_scenario, partial(own_change, kind=kind), kept=WANTED)
    return found


SCENARIOS: Mapping[str, Callable[[NearVariant], Scenario]] = {
    **{name: made for kind in KINDS for name, made in _of_kind(kind).items()},
    **_of_writes(),
    "transaction ends elsewhere": partial(
        near_scenario, partial(remote_change, kind="end", reads=1, pushes=1), stored=False, open_tag=True
    ),
}

# Too many schedules to run all of them: some are drawn.
SAMPLED: Mapping[str, Callable[[NearVariant], Scenario]] = {
    f"{name}, {kind} invalidated": partial(near_scenario, partial(cast, kind=kind), **options)
    for kind in KINDS
    for name, cast, options in (
        ("stored, value evicted", partial(eviction, key="value"), {}),
        ("stored, tag evicted", partial(eviction, key="tag"), {}),
        ("near, namespace evicted", partial(eviction, key="namespace"), {"kept": WANTED}),
        ("cold, elsewhere", partial(remote_change, pushes=3), {"stored": False}),
        ("cold, stamps held, elsewhere", partial(remote_change, pushes=3), {"stored": False, "kept": ANOTHER}),
        ("two processes", two_processes, {"stored": False}),
        ("two threads", two_threads, {"stored": False}),
        ("batches", batches, {"kept": ANOTHER}),
    )
}

# Each way to get it wrong, and a scenario that shows it.
WRONG: Mapping[str, tuple[NearVariant, str]] = {
    "no fill token, key": (NearVariant(access=NoToken), "key invalidated elsewhere, stored"),
    "no fill token, tag": (NearVariant(access=NoToken), "tag invalidated elsewhere, stored"),
    "token taken after the read, key": (NearVariant(access=LateToken), "key invalidated elsewhere, stored"),
    "token taken after the read, tag": (NearVariant(access=LateToken), "tag invalidated elsewhere, stored"),
    "token taken after the claim": (NearVariant(access=LateToken), "tag invalidated elsewhere, cold, stamps held"),
    "no push of the key's stamp": (NearVariant(silent=lambda name: name == NAMES.stamp), "key invalidated elsewhere, near"),
    "no push of a user's key": (NearVariant(silent=lambda name: name == USER_KEY.names.value), "user key, put elsewhere"),
    "fill of an unstored value": (NearVariant(fills_unstored=True), "transaction ends elsewhere"),
    "late fill by a held stamp": (NearVariant(pushes=KeysOnly), "tag invalidated elsewhere, stamps held"),
    "dependents not indexed": (NearVariant(generation=NoDependents), "tag invalidated elsewhere, near"),
    "own invalidation left to its push": (NearVariant(access=OwnEffectUnseen), "tag invalidated here, near"),
    "own invalidation dropped before the command only": (NearVariant(drops_before=True), "key invalidated here, stored"),
    "no push of a function's entry that was put": (NearVariant(silent=lambda name: name == NAMES.stamp), "put elsewhere, near"),
    "a neighbour's invalidation left to its push, near": (
        NearVariant(tells_neighbours=False),
        "tag invalidated by another cache here, near",
    ),
    "a neighbour's invalidation left to its push, stored": (
        NearVariant(tells_neighbours=False),
        "key invalidated by another cache here, stored",
    ),
    "own put left to its push": (NearVariant(access=OwnEffectUnseen), "put here, near"),
    "own commit like any read": (NearVariant(access=OwnCommitUnseen), "refresh here, stored"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_schedule_breaks_the_contract(name: str) -> None:
    found = explore(SCENARIOS[name](NEAR_PRODUCTION))

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", SAMPLED)
def test_no_schedule_drawn_breaks_the_contract(name: str) -> None:
    found = sample(SAMPLED[name](NEAR_PRODUCTION), runs=RUNS, seed=7)

    print(f"{name}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_variant_is_caught(name: str) -> None:
    variant, scenario = WRONG[name]

    found = explore(SCENARIOS[scenario](variant))

    assert found.failure is not None, f"{found.schedules:,} schedules passed"
    assert "deadlock" not in found.failure.problem
    print(f"{name}: caught after {found.schedules:,} schedules: {found.failure}")
