"""Too many late invalidations, and what the server says to them."""

from __future__ import annotations

from afresh.core import ops
from afresh.core.keys import Names
from afresh.core.late import Late, folded, late_of, replay
from afresh.core.writes import Target
from afresh.errors import StoreRefused, StoreUnavailable
from afresh.runtime.run_now import run_now
from tests.unit.core.scripted import NAMESPACE, Scripted


def keys(*names: str) -> list[Target]:
    return [Target(NAMESPACE.names(f"k:{name}"), None) for name in names]


def outside(*names: str) -> list[Target]:
    return [Target(Names(name, f"l{name}", f"t{name}"), None) for name in names]


def test_few_stay_as_they_are() -> None:
    lates = late_of([*keys("a", "b"), *outside("c")], 7)

    assert folded(lates, NAMESPACE, 3) == (lates, ())


def test_a_later_call_for_the_same_name_counts() -> None:
    assert [late.called_ms for late in (late_of(keys("a"), 7) | late_of(keys("a"), 8)).values()] == [8]


def test_too_many_become_a_bump_of_the_namespace() -> None:
    kept, lost = folded(late_of([*keys("a"), Target(None, NAMESPACE.tag_of("t").key)], 7) | late_of(keys("b"), 9), NAMESPACE, 2)

    assert kept == {NAMESPACE.tag.key: Late(Target(None, NAMESPACE.tag.key), 9)}
    assert list(lost) == []


def test_what_is_not_in_the_namespace_stays_for_as_long_as_there_is_room() -> None:
    kept, lost = folded(late_of([*outside("a", "b", "c"), *keys("d")], 7), NAMESPACE, 3)

    assert list(kept) == ["b", "c", NAMESPACE.tag.key]
    assert list(lost) == ["a"]


def test_what_the_server_has_and_what_not_is_told_apart() -> None:
    world = Scripted()
    world.refusing[ops.Bump] = StoreRefused("NOPERM", "no")
    lates = list(late_of([*keys("a"), Target(None, NAMESPACE.tag.key)], 7).values())

    assert run_now(replay(world.ports, lates)) == (lates[:1], world.refusing[ops.Bump])


def test_a_server_that_is_away_has_none() -> None:
    world = Scripted()
    world.failing[ops.Invalidate] = error = StoreUnavailable("away")

    assert run_now(replay(world.ports, list(late_of(keys("a"), 7).values()))) == ([], error)


def test_a_full_server_that_cannot_even_drop_a_stamp_has_not_invalidated() -> None:
    """The key's own stamp cannot be renewed; what captured the key depends on its function's, which cannot be dropped."""
    world = Scripted()
    world.memory._run[ops.Invalidate] = lambda _: [1, 0]
    world.refusing[ops.Unlink] = StoreRefused("READONLY", "no")
    lates = list(late_of([Target(NAMESPACE.names("k:a"), "t:t:{function}")], 7).values())

    assert run_now(replay(world.ports, lates)) == ([], world.refusing[ops.Unlink])
