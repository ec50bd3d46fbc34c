from __future__ import annotations

from typing import Any

import pytest

from afresh.core import ops, stamps, writes
from afresh.core.reads import Request, read
from afresh.core.stamps import NOTHING, needs_of
from afresh.core.writes import Target
from afresh.errors import NotAnInteger, StoreRefused, StoreUnavailable, UnencodableValue
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import FUNCTION, NAMESPACE, Scripted, a_request

FULL = StoreRefused("OOM", "full")
TAG = NAMESPACE.tag_of("a")
HUGE = 10**20


@pytest.fixture
def world() -> Scripted:
    return Scripted()


def put(world: Scripted, value: object, request: Request | None = None) -> bool:
    return run_now(writes.put(world.ports, request or a_request(), value))


def stored(world: Scripted, request: Request | None = None) -> Any:
    hit, _ = run_now(read(world.ports, request or a_request()))
    return None if hit is None else hit.value


def incr(world: Scripted, by: int = 1, *, create: bool = True) -> int | None:
    return run_now(writes.incr(world.ports, a_request(), by, create=create))


def rounds(world: Scripted, kind: type[ops.Op]) -> int:
    return sum(isinstance(op, kind) for op in world.asked)


# --- put -----------------------------------------------------------------------------------------------------------
def test_several_values_are_stored_under_their_own_stamps(world: Scripted) -> None:
    plain = a_request("k:k")._replace(needs=NOTHING, namespace=None)
    tagged = a_request("f:f:2", tags=["b"])

    assert run_now(writes.put_many(world.ports, [(a_request(), 1), (plain, 2), (tagged, 3)])) is True

    assert [stored(world, request) for request in (a_request(), plain, tagged)] == [1, 2, 3]
    world.ask(ops.Bump(NAMESPACE.tag_of("b").key, NAMESPACE.tag_of("b").writers, b"renewed-"))
    assert [stored(world, request) for request in (a_request(), plain, tagged)] == [1, 2, None]


def test_while_a_tag_is_marked_nothing_is_stored_and_what_is_there_goes(world: Scripted) -> None:
    put(world, 1)
    world.ask(ops.Unlink(TAG.key))
    world.ask(ops.Mark(TAG.key, TAG.writers, b"transaction", 60_000, 60_000))

    assert put(world, 2) is False

    assert world.ask(ops.Get(a_request().names.value)) is None


def test_more_tags_than_an_entry_holds_store_nothing(world: Scripted) -> None:
    request = a_request(tags=[str(at) for at in range(256)])

    assert put(world, 1, request) is False
    assert run_now(writes.add(world.ports, request, 1)) is False
    assert world.ask(ops.Get(request.names.value)) is None


@pytest.mark.parametrize("write", [writes.put, writes.add])
def test_what_cannot_be_encoded_is_refused_before_anything_is_written(world: Scripted, write: Any) -> None:
    put(world, 1)
    world.asked.clear()

    with pytest.raises(UnencodableValue):
        run_now(write(world.ports, a_request(), object()))

    assert world.asked == []


@pytest.mark.parametrize("kind", [ops.Stamp, ops.Set])
@pytest.mark.parametrize("way", ["failing", "refusing"])
def test_a_put_that_fails_raises(world: Scripted, kind: type[ops.Op], way: str) -> None:
    getattr(world, way)[kind] = FULL

    with pytest.raises(StoreRefused):
        put(world, 1)


def flights(world: Scripted) -> int:
    """Count the flights asked since this was last called."""
    world.batches, made = 0, world.batches
    return made


def test_a_put_under_stamps_that_are_remembered_costs_one_round_trip(world: Scripted) -> None:
    put(world, 1)
    assert flights(world) == 2

    assert put(world, 2) is True

    assert flights(world) == 1
    assert stored(world) == 2


BARE = a_request("k:k")._replace(needs=needs_of(NAMESPACE), owner="keys")


def test_a_put_under_the_namespaces_stamp_alone_costs_one_round_trip(world: Scripted) -> None:
    put(world, 1, BARE)
    assert flights(world) == 2

    assert put(world, 2, BARE) is True

    assert flights(world) == 1
    assert stored(world, BARE) == 2


@pytest.mark.parametrize(("what", "most"), [("renewed", 2), ("evicted", 3)])
def test_a_put_under_the_namespaces_stamp_as_it_was_is_done_again(world: Scripted, what: str, most: int) -> None:
    tag = NAMESPACE.tag
    put(world, 1, BARE)
    world.ask(ops.Bump(tag.key, tag.writers, b"renewed-") if what == "renewed" else ops.Unlink(tag.key))
    flights(world)

    assert put(world, 2, BARE) is True

    assert flights(world) == most
    assert stored(world, BARE) == 2


def test_a_put_under_a_remembered_stamp_that_a_full_server_refuses_drops_what_is_there(world: Scripted) -> None:
    put(world, 1, BARE)
    world.refusing[ops.Set] = FULL

    with pytest.raises(StoreRefused):
        put(world, 2, BARE)

    assert world.ask(ops.Get(BARE.names.value)) is None


def test_a_put_under_stamps_that_have_changed_is_done_again(world: Scripted) -> None:
    put(world, 1)
    world.ask(ops.Bump(TAG.key, TAG.writers, b"renewed-"))
    flights(world)

    assert put(world, 2) is True

    assert flights(world) == 2
    assert stored(world) == 2
    put(world, 3)
    assert flights(world) == 1 + 1, "the read above, and the put"


def test_only_what_was_put_under_other_stamps_is_put_again(world: Scripted) -> None:
    tagged = a_request("f:f:2", tags=["b"])
    run_now(writes.put_many(world.ports, [(a_request(), 1), (tagged, 2)]))
    world.ask(ops.Bump(TAG.key, TAG.writers, b"renewed-"))
    world.asked.clear()

    run_now(writes.put_many(world.ports, [(a_request(), 3), (tagged, 4)]))

    assert rounds(world, ops.Set) == 3
    assert [stored(world), stored(world, tagged)] == [3, 4]


def test_a_put_with_ttl_0_drops_in_one_round_trip(world: Scripted) -> None:
    put(world, 1)
    flights(world)

    assert put(world, 2, a_request(ttl_ms=0)) is False

    assert flights(world) == 1
    assert stored(world) is None


def test_an_add_under_stamps_that_are_remembered_costs_one_round_trip(world: Scripted) -> None:
    put(world, 1)
    flights(world)

    assert run_now(writes.add(world.ports, a_request("f:f:2"), 1)) is True

    assert flights(world) == 1
    assert stored(world, a_request("f:f:2")) == 1


@pytest.mark.parametrize("write", [writes.put, writes.add])
def test_a_write_under_a_stamp_that_was_evicted_makes_a_new_one(world: Scripted, write: Any) -> None:
    other = a_request("f:f:2")
    put(world, 1)
    world.ask(ops.Unlink(FUNCTION.key))

    assert run_now(write(world.ports, other, 2)) is True

    assert stored(world, other) == 2


def test_a_put_for_ever_under_stamps_that_are_remembered_costs_one_round_trip(world: Scripted) -> None:
    put(world, 1)
    flights(world)

    assert put(world, 2, a_request(ttl_ms=None)) is True

    assert flights(world) == 1
    assert stored(world) == 2


def test_an_add_under_stamps_that_have_changed_takes_the_place_of_its_own(world: Scripted) -> None:
    put(world, 1)
    world.ask(ops.Bump(TAG.key, TAG.writers, b"renewed-"))
    flights(world)

    assert run_now(writes.add(world.ports, a_request("f:f:2"), 1)) is True

    assert flights(world) == 2
    assert stored(world, a_request("f:f:2")) == 1


def test_more_stamps_are_not_remembered_than_there_is_room_for(world: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_MOST_REMEMBERED", 2)
    for tag in "abc":
        put(world, 1, a_request(tags=[tag]))

    assert len(world.ports.remembered._stamps) <= 4


# --- add -----------------------------------------------------------------------------------------------------------
def test_while_a_tag_is_marked_nobody_adds(world: Scripted) -> None:
    """Two callers that were both told that they are the one would be worse than none."""
    world.ask(ops.Mark(TAG.key, TAG.writers, b"transaction", 60_000, 60_000))

    assert run_now(writes.add(world.ports, a_request(), 1)) is False
    assert run_now(writes.add(world.ports, a_request(ttl_ms=0), 1)) is True


def test_an_add_that_is_overtaken_again_and_again_gives_up(world: Scripted) -> None:
    """Somebody else writes an invalid entry each time between look and swap."""
    numbers = iter(range(1000))

    def write() -> None:
        world.ask(ops.Put(a_request().names.value, "l", b"foreign %d" % next(numbers), 60_000))

    world.before[ops.Swap] = write

    assert run_now(writes.add(world.ports, a_request(), 1)) is False
    assert rounds(world, ops.Swap) == 20


def test_an_add_takes_the_place_of_bytes_that_do_not_decode(world: Scripted) -> None:
    put(world, [1])
    raw = world.ask(ops.Get(a_request().names.value))
    world.ask(ops.Put(a_request().names.value, "l", raw[:-1], 60_000))

    assert run_now(writes.add(world.ports, a_request(), 2)) is True
    assert stored(world) == 2


def test_an_add_without_stamps_costs_one_round_trip(world: Scripted) -> None:
    request = a_request()._replace(needs=NOTHING)

    assert run_now(writes.add(world.ports, request, 1)) is True
    assert len(world.asked) == 1
    assert run_now(writes.add(world.ports, request, 2)) is False


# --- incr ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("there", [None, 1, HUGE])
def test_a_number_is_counted_on_from(world: Scripted, there: int | None) -> None:
    if there is not None:
        put(world, there)

    assert incr(world, 2) == (there or 0) + 2
    assert stored(world) == (there or 0) + 2


def test_a_number_that_is_not_there_is_not_made_unless_asked_for(world: Scripted) -> None:
    assert incr(world, create=False) is None
    assert world.ask(ops.Get(a_request().names.value)) is None


@pytest.mark.parametrize("value", ["1", [1], True])
def test_something_else_than_a_number_is_refused(world: Scripted, value: object) -> None:
    put(world, value)

    with pytest.raises(NotAnInteger):
        incr(world)


def test_digits_that_are_none_are_no_number(world: Scripted) -> None:
    put(world, HUGE)
    raw = world.ask(ops.Get(a_request().names.value))
    world.ask(ops.Put(a_request().names.value, "l", raw[:-1] + b"x", 60_000))

    with pytest.raises(NotAnInteger):
        incr(world)


def test_while_a_tag_is_marked_a_number_is_counted_from_nothing_and_not_kept(world: Scripted) -> None:
    world.ask(ops.Mark(TAG.key, TAG.writers, b"transaction", 60_000, 60_000))

    assert incr(world, 5) == 5
    assert world.ask(ops.Get(a_request().names.value)) is None


@pytest.mark.parametrize("there", [None, HUGE])
def test_a_number_that_others_change_again_and_again_raises(world: Scripted, there: int | None) -> None:
    """Each time between look and swap: a large number becomes another, one that was not there comes and goes."""
    if there is not None:
        put(world, there)
    others = Scripted()
    others.memory = world.memory

    def change() -> None:
        put(others, next(numbers))

    numbers = iter(range(HUGE + 1, HUGE + 1000))
    world.before[ops.Swap] = change
    if there is None:
        world.before[ops.Incr] = lambda: world.ask(ops.Unlink(a_request().names.value))

    with pytest.raises(StoreUnavailable, match="was overtaken 20 times; try again"):
        incr(world)


def test_a_large_number_keeps_its_lifetime(world: Scripted) -> None:
    put(world, HUGE)
    world.now += 50_000

    assert incr(world) == HUGE + 1

    world.now += 9_999
    assert stored(world) == HUGE + 1
    world.now += 1
    assert stored(world) is None


def test_a_large_number_for_ever_stays_for_ever(world: Scripted) -> None:
    put(world, HUGE, a_request(ttl_ms=None))
    assert incr(world) == HUGE + 1

    world.now += 10**12

    assert stored(world) == HUGE + 1


@pytest.mark.parametrize("kind", [ops.Incr, ops.Swap])
def test_a_counter_whose_server_fails_raises(world: Scripted, kind: type[ops.Op]) -> None:
    put(world, HUGE)
    world.failing[kind] = StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        incr(world)


# --- touch ---------------------------------------------------------------------------------------------------------
def test_a_touch_lets_the_stamps_of_tags_live_on_too(world: Scripted) -> None:
    put(world, 1)
    world.now += 50_000
    assert run_now(writes.touch(world.ports, a_request(ttl_ms=10**9))) is True

    world.now += 10**9 - 1

    assert stored(world) == 1


def test_a_touch_for_ever(world: Scripted) -> None:
    put(world, 1)
    assert run_now(writes.touch(world.ports, a_request(ttl_ms=None))) is True

    world.now += 10**12

    assert stored(world) == 1


@pytest.mark.parametrize(
    "happens", [ops.Bump(TAG.key, TAG.writers, b"renewed-"), ops.Unlink(TAG.key), ops.Bump(FUNCTION.key, FUNCTION.writers, b"renewed-")]
)
def test_a_touch_of_what_is_not_valid_says_so(world: Scripted, happens: ops.Op) -> None:
    put(world, 1)
    world.ask(happens)

    assert run_now(writes.touch(world.ports, a_request())) is False
    assert stored(world) is None


def test_a_touch_of_nothing_or_of_foreign_bytes_says_so(world: Scripted) -> None:
    assert run_now(writes.touch(world.ports, a_request())) is False
    assert run_now(writes.touch(world.ports, a_request(ttl_ms=0))) is False

    world.ask(ops.Put(a_request().names.value, "l", b"\xaf\xfe\x01" + b"\xff" * 40, 60_000))

    assert run_now(writes.touch(world.ports, a_request())) is False


def test_a_touch_without_a_namespace_leaves_tags_alone(world: Scripted) -> None:
    request = a_request()._replace(needs=NOTHING, namespace=None)
    put(world, 1, request)

    assert run_now(writes.touch(world.ports, request)) is True


# --- invalidate ----------------------------------------------------------------------------------------------------
def test_several_targets_are_invalidated_in_one_write(world: Scripted) -> None:
    requests = [a_request(f"f:f:{at}") for at in range(3)]
    for request in requests:
        put(world, 1, request)

    dropped = run_now(
        writes.invalidate(
            world.ports,
            [Target(requests[0].names, FUNCTION.key), Target(requests[1].names, None), Target(None, NAMESPACE.tag_of("none").key)],
        )
    )

    assert dropped == 2
    assert [stored(world, request) for request in requests] == [None, None, 1]
    run_now(writes.invalidate(world.ports, [Target(None, TAG.key)]))
    assert stored(world, requests[2]) is None


def test_a_key_whose_stamp_cannot_be_renewed_takes_its_functions_stamp_along(world: Scripted) -> None:
    """Who captured the key depends on its function as well; without a function there is nothing coarser."""
    put(world, 1)
    put(world, 2, a_request("f:f:2"))
    world.refusing[ops.Invalidate] = [1, 0]  # type: ignore[assignment]

    assert run_now(writes.invalidate(world.ports, [Target(a_request().names, FUNCTION.key), Target(a_request("k:k").names, None)])) == 2

    assert world.ask(ops.Get(FUNCTION.key)) is None
    assert stored(world, a_request("f:f:2")) is None


@pytest.mark.parametrize("kind", [ops.Invalidate, ops.Bump])
@pytest.mark.parametrize("way", ["failing", "refusing"])
def test_an_invalidation_that_may_not_be_applied_raises(world: Scripted, kind: type[ops.Op], way: str) -> None:
    getattr(world, way)[kind] = FULL

    with pytest.raises(StoreRefused):
        run_now(writes.invalidate(world.ports, [Target(a_request().names, None), Target(None, TAG.key)]))
