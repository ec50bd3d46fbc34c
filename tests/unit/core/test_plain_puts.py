"""Puts that need nothing but that the stamps are those remembered, one by one and alike: what they leave there is what any put leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from afresh.codec.values import CodecValues, SignedPickle
from afresh.core import ops, writes
from afresh.core.batches import MOST_AT_ONCE, Alike, values_of
from afresh.core.plain_puts import Puts, plain_put, plain_puts
from afresh.core.reads import Request
from afresh.core.stamps import NOTHING, needs_of
from afresh.errors import StoreRefused, UnencodableValue
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import NAMESPACE, VALUES, Scripted, a_request

LIKE = a_request("k:0")._replace(needs=needs_of(NAMESPACE), owner="keys")
SIGNED = SignedPickle(b"0123456789abcdef").values(10**6)
FULL = StoreRefused("OOM", "full")


@pytest.fixture
def world() -> Scripted:
    world = Scripted()
    run_now(writes.put(world.ports, LIKE, 0))  # the namespace's stamp is remembered from here on
    world.asked.clear()
    world.batches = 0
    return world


def puts(values: Sequence[object], like: Request = LIKE) -> Puts:
    names = [NAMESPACE.names(f"k:{at}") for at in range(len(values))]
    return Puts(Alike(like, tuple(each.value for each in names), names.__getitem__), [each.lease for each in names], values)


def put(world: Scripted, several: Puts) -> bool:
    return run_now(writes.put_alike(world.ports, several))


def found(world: Scripted, several: Puts) -> list[Any]:
    return run_now(values_of(world.ports, several.wanted, None))


@pytest.mark.parametrize("values", [VALUES, SIGNED], ids=["msgpack", "signed pickle"])
@pytest.mark.parametrize("needs", [NOTHING, LIKE.needs], ids=["no stamps", "the namespace's"])
def test_values_put_alike_are_found_and_took_one_round_trip(world: Scripted, values: CodecValues, needs: Any) -> None:
    several = puts([{"id": 1}, 7, date(2026, 1, 1), "x" * 5000, None, {"plain": True}], LIKE._replace(values=values, needs=needs))

    assert put(world, several) is True

    assert world.batches == 1
    assert found(world, several) == several.values


def test_a_plain_put_and_several_write_what_any_put_writes(world: Scripted) -> None:
    several = puts([{"id": 1}, 7, "x" * 5000])

    run_now(writes.put_many(world.ports, several.pairs()))
    sent = [op for op in world.asked if isinstance(op, (ops.Unlink, ops.Set))]

    together, each = plain_puts(world.ports, several), [plain_put(world.ports, *pair) for pair in several.pairs()]
    assert together is not None
    assert list(together[1]) == sent
    assert [plain[1][1] for plain in each if plain] == sent[1:]


@pytest.mark.parametrize("changed", ["renewed", "evicted"])
def test_values_put_alike_under_a_stamp_as_it_was_are_put_again(world: Scripted, changed: str) -> None:
    tag = NAMESPACE.tag
    world.ask(ops.Bump(tag.key, tag.writers, b"renewed-") if changed == "renewed" else ops.Unlink(tag.key))

    assert put(world, puts([1, 2])) is True

    assert found(world, puts([1, 2])) == [1, 2]


def test_leases_end_before_values_put_alike_are_there(world: Scripted) -> None:
    several = puts([1, 2])
    for lease in several.leases:
        world.ask(ops.Put(lease, "l", b"somebody computes", 60_000))

    put(world, several)

    assert [type(op) for op in world.asked] == [ops.Unlink, ops.Set, ops.Set, ops.Get]
    assert [world.ask(ops.Get(lease)) for lease in several.leases] == [None, None]


def test_many_leases_end_in_several_commands_of_one_flight(world: Scripted) -> None:
    several = puts([1.5] * (MOST_AT_ONCE + 1))

    assert put(world, several) is True

    assert [len(op.more) + 1 for op in world.asked if isinstance(op, ops.Unlink)] == [MOST_AT_ONCE, 1]
    assert found(world, several) == several.values


def test_values_put_alike_that_a_full_server_refuses_leave_nothing_there(world: Scripted) -> None:
    put(world, puts([1, 2]))
    world.refusing[ops.Set] = FULL

    with pytest.raises(StoreRefused):
        put(world, puts([3, 4]))

    assert found(world, puts([3, 4])) == [None, None]


def test_one_value_that_cannot_be_encoded_keeps_all_from_being_written(world: Scripted) -> None:
    with pytest.raises(UnencodableValue):
        put(world, puts([1, object()]))

    assert world.asked == []


@pytest.mark.parametrize("ttl_ms", [0, None])
def test_values_put_alike_for_no_time_or_for_ever_are_a_flows_business(world: Scripted, ttl_ms: int | None) -> None:
    put(world, puts([0, 0]))
    several = puts([1, 2], LIKE._replace(policy=LIKE.policy._replace(ttl_ms=ttl_ms)))
    assert plain_puts(world.ports, several) is None

    assert put(world, several) is (ttl_ms is None)

    assert found(world, several) == ([1, 2] if ttl_ms is None else [None, None])


@pytest.mark.parametrize("like", [a_request(), a_request(tags=())], ids=["tagged", "a function's"])
def test_values_under_tags_are_a_flows_business(world: Scripted, like: Request) -> None:
    several = puts([1, 2], like)
    put(world, several)  # the stamps are remembered from here on
    assert plain_puts(world.ports, several) is None

    assert put(world, several) is True

    assert found(world, several) == [1, 2]
