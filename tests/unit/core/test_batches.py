from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from afresh.codec.values import CodecValues, SignedPickle
from afresh.core import ops, writes
from afresh.core.batches import MOST_AT_ONCE, Alike, values_of
from afresh.core.reads import Request
from afresh.core.stamps import needs_of
from afresh.errors import StoreUnavailable
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import NAMESPACE, VALUES, Scripted, a_request

LIKE = a_request("k:0")._replace(needs=needs_of(NAMESPACE), owner="keys")


@pytest.fixture
def world() -> Scripted:
    return Scripted()


def alike(number: int, like: Request = LIKE) -> Alike:
    return Alike(like, tuple(NAMESPACE.names(f"k:{at}").value for at in range(number)), lambda at: NAMESPACE.names(f"k:{at}"))


def found(world: Scripted, wanted: Alike) -> list[Any]:
    return run_now(values_of(world.ports, wanted, None))


@pytest.mark.parametrize("values", [VALUES, SignedPickle(b"0123456789abcdef").values(10**6)], ids=["msgpack", "signed pickle"])
def test_whatever_was_put_is_found_and_counted(world: Scripted, values: CodecValues) -> None:
    wanted = alike(7, LIKE._replace(values=values))
    there = [{"id": 1}, 7, date(2026, 1, 1), "x" * 5000, None, {"plain": True}]
    run_now(writes.put_many(world.ports, list(zip(wanted.requests(), there, strict=False))))

    assert found(world, wanted) == [*there, None]

    stats = world.tallies.stats("keys")
    assert (stats.hits, dict(stats.misses)) == (6, {"cold": 1})


def test_what_does_not_decode_harms_no_other(world: Scripted) -> None:
    wanted = alike(3)
    run_now(writes.put_many(world.ports, [(request, {"id": 1}) for request in wanted.requests()]))
    name = wanted.values[1]
    world.ask(ops.Set(name, 60_000, world.ask(ops.Get(name))[:40] + b"\xc1"))

    assert found(world, wanted) == [{"id": 1}, None, {"id": 1}]

    assert dict(world.tallies.stats("keys").misses) == {"undecodable": 1}


def test_many_names_are_asked_for_in_several_commands_of_one_flight(world: Scripted) -> None:
    wanted = alike(MOST_AT_ONCE + 1)
    run_now(writes.put_many(world.ports, [(request, 1.5) for request in wanted.requests()]))
    assert [len(op.more) + 1 for op in world.asked if isinstance(op, ops.Unlink)] == [MOST_AT_ONCE, 1]
    world.asked.clear()
    world.batches = 0

    assert found(world, wanted) == [1.5] * (MOST_AT_ONCE + 1)

    assert world.batches == 1
    assert [len(op.keys) for op in world.asked if isinstance(op, ops.GetEach)] == [MOST_AT_ONCE, 1]


def test_invalidated_and_expired_entries_are_misses(world: Scripted) -> None:
    wanted = alike(2)
    run_now(writes.put_many(world.ports, [(request, 1.5) for request in wanted.requests()]))
    world.ask(ops.Bump(NAMESPACE.tag.key, NAMESPACE.tag.writers, b"renewed-"))

    assert found(world, wanted) == [None, None]

    assert dict(world.tallies.stats("keys").misses) == {"invalidated": 2}


def test_of_a_server_that_fails_all_are_misses(world: Scripted) -> None:
    world.failing[ops.GetEach] = StoreUnavailable("away")

    assert found(world, alike(2)) == [None, None]

    assert dict(world.tallies.stats("keys").misses) == {"unavailable": 2}
