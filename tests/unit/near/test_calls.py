"""Near hits by a call's arguments: which calls have them, and that nothing is found that was dropped."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from math import inf
from typing import Any

import pytest

from afresh.core.envelope import Flag, pack_prefix, parse
from afresh.core.keys import Names, Namespace
from afresh.core.stamps import needs_of
from afresh.near.calls import Call, Calls, call_of
from afresh.near.generation import Generation, Kept

NAMESPACE = Namespace("t-near")


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 1


class Word(enum.StrEnum):
    A = "a"


class Moody(enum.Enum):
    """Equality of its own."""

    A, B = 1, 2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moody)

    def __hash__(self) -> int:
        return 1


class Keyed(enum.Enum):
    A = 1

    def __cache_key__(self) -> str:
        return "changes"


class Text(str):
    __slots__ = ()


@dataclass(frozen=True)
class Frozen:
    x: int


@pytest.mark.parametrize(
    "values",
    [(1,), (True,), ("a",), (b"a",), (None,), (Colour.RED,), (Level.HIGH,), (Word.A,), (), (1, "a"), (1, True, None, b"", Colour.RED)],
)
def test_plain_values_say_all_about_their_call(values: tuple[Any, ...]) -> None:
    assert call_of(values) is not None


@pytest.mark.parametrize(
    "value",
    [0.0, float("nan"), 1j, (), (1,), [], {}, frozenset(), Frozen(1), Text("a"), Moody.A, Keyed.A, object(), int, bytearray()],
)
def test_other_values_do_not(value: Any) -> None:
    assert call_of((value,)) is None
    assert call_of((1, value)) is None


def test_equal_values_of_other_classes_are_other_calls() -> None:
    for one, other in [(1, True), (Word.A, "a"), (Level.HIGH, 1), (0, False)]:
        assert call_of((one,)) != call_of((other,))
        assert call_of((one, 2)) != call_of((other, 2))
        assert call_of((2, one)) != call_of((2, other))


def kept(generation: Generation, name: str = "a") -> Kept:
    """Return an entry that the generation keeps."""
    names = Names(f"t-near:v:{{f:{name}}}", f"t-near:l:{{f:{name}}}", f"t-near:t:{{f:{name}}}")
    entry = parse(pack_prefix(bytes(8), flags=Flag.NAMESPACE, codec=2, tags=0, created_ms=0, fresh_until_ms=1, cost_us=0, schema=0) + b"x")
    assert entry is not None
    made = Kept(names, entry, needs_of(NAMESPACE), {NAMESPACE.tag.key: bytes(8)}, 1.0, name, 1)
    assert generation.fill(made, generation.pushes.moment)
    return made


@pytest.fixture
def generation() -> Generation:
    return Generation(NAMESPACE, max_entries=2, max_bytes=1_000_000)


CALL = Call("a", str)


def drop_by_push(generation: Generation, entry: Kept) -> None:
    generation.pushed(entry.stamp_key)


def drop_by_tag(generation: Generation, _: Kept) -> None:
    generation.pushed(NAMESPACE.tag.key)


def drop_by_flush(generation: Generation, _: Kept) -> None:
    generation.pushed_all()


def drop_by_end(generation: Generation, _: Kept) -> None:
    generation.end()


def drop_by_eviction(generation: Generation, _: Kept) -> None:
    kept(generation, "b")
    kept(generation, "c")


def drop_by_another(generation: Generation, entry: Kept) -> None:
    assert kept(generation, entry.value) is not entry


DROPS = [drop_by_push, drop_by_tag, drop_by_flush, drop_by_end, drop_by_eviction, drop_by_another]


@pytest.mark.parametrize("drop", DROPS)
def test_an_entry_is_found_until_it_is_dropped(generation: Generation, drop: Any) -> None:
    calls, others = Calls(), Calls()
    entry = kept(generation)
    for each in (calls, others):
        each.remember(CALL, entry, generation)
    assert calls.entries["a"] is others.entries["a"] is entry
    assert (entry.generation, entry.kind) == (generation, str)

    drop(generation, entry)
    assert "a" not in calls.entries
    assert len(calls) == len(others) == 0
    assert entry.until_s == -inf


@pytest.mark.parametrize("drop", DROPS)
def test_an_entry_that_was_dropped_meanwhile_is_not_found(generation: Generation, drop: Any) -> None:
    calls, entry = Calls(), kept(generation)
    drop(generation, entry)
    calls.remember(CALL, entry, generation)

    assert len(calls) == 0


def test_dropping_an_entry_leaves_the_one_that_came_after_it(generation: Generation) -> None:
    calls, entry, other = Calls(), kept(generation), kept(generation, "b")
    calls.remember(CALL, entry, generation)
    calls.remember(CALL, other, generation)
    drop_by_push(generation, entry)

    assert calls.entries["a"] is other
