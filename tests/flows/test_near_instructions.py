"""The rules of the near tier that hold without a lock, with the other thread's work done between any two instructions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import afresh.wrapper
from afresh.core.envelope import Entry, pack_prefix, parse
from afresh.core.keys import Names
from afresh.core.reads import Hit, Request
from afresh.near.access import NearAccess
from afresh.near.generation import UNSHARED, Generation, Kept
from afresh.near.options import Near
from afresh.near.pushes import Pushes
from afresh.near.tier import NearTier
from afresh.runtime.near_calls import NearCalls
from afresh.telemetry.counters import Tallies
from afresh.wrapper import lookup
from tests.flows.instructions import everywhere
from tests.flows.world import NAMESPACE, STAMPS, VALUES, request

WANTED = request()
OTHER = NAMESPACE.names("f:f(2)")
NOW_S = 10.0


def entry() -> Entry:
    vector = WANTED.needs.vector([b"stamp--0"] * 3)
    header = {"flags": WANTED.needs.flags, "codec": 2, "tags": 1, "created_ms": 0, "fresh_until_ms": 60_000, "cost_us": 1}
    return parse(pack_prefix(vector, **header, schema=VALUES.schema) + VALUES.encode("old").payload)


def kept(names: Names = WANTED.names) -> Kept:
    found = entry()
    return Kept(names, found, WANTED.needs, WANTED.needs.carried_by(found, NAMESPACE), 60.0, "old", None)


class EntryFirst(NearAccess):
    """Loads the entry, then the bound."""

    def hit(self, request: Request, /) -> Hit | None:
        generation = self._tier.generation
        found = generation.get(request.names.value)
        bound_s = generation.bound_s
        if found is None or found.value is UNSHARED or self._now_s() >= bound_s:
            return None
        return Hit(found.value)


def stale_hits(access: type[NearAccess]) -> list[object]:
    """Return what hits return while a push waits to be read, and the bound has lapsed; meanwhile the listener reads both."""

    def make():
        tier = NearTier(Near(), NAMESPACE)
        generation = tier.begin()
        tier.extend(NOW_S - 1)
        generation.fill(kept(), generation.pushes.moment)

        def listen() -> None:
            generation.pushed(STAMPS["tag"])
            tier.extend(NOW_S + 2)

        near = access(tier, lambda: NOW_S)
        return lambda: near.hit(WANTED), listen

    hits = list(everywhere(make))
    print(f"{access.__name__}: {len(hits)} places")
    assert len(hits) > 20
    return [hit for hit in hits if hit is not None]


def test_no_push_and_no_bound_between_two_instructions_of_a_hit_make_it_stale():
    assert stale_hits(NearAccess) == []


def test_a_hit_that_loads_the_entry_first_is_caught():
    assert stale_hits(EntryFirst)


def stale_lookups(generate: Callable[..., Callable[[Any], Any]]) -> list[object]:
    """Do the same with hits that are found by a call's argument, in generated code."""

    def make():
        tier = NearTier(Near(), NAMESPACE)
        generation = tier.begin()
        tier.extend(NOW_S - 1)
        generation.fill(kept(), generation.pushes.moment)
        calls = NearCalls(tier, lambda _: WANTED, VALUES, None)
        calls.remember((1,))
        find = generate(calls.names(Tallies().of("f")) | {"now": lambda _: NOW_S}, None)

        def listen() -> None:
            generation.pushed(STAMPS["tag"])
            tier.extend(NOW_S + 2)

        return lambda: find(1), listen

    hits = list(everywhere(make))
    print(f"{len(hits)} places")
    assert len(hits) > 20
    return [hit for hit in hits if hit is not None]


def test_no_push_and_no_bound_between_two_instructions_make_a_hit_by_argument_stale():
    assert stale_lookups(lookup) == []


def test_generated_code_that_loads_the_bound_last_is_caught(monkeypatch):
    bound_last = afresh.wrapper._LOOKUP.replace(" < _afresh_bound", " < _afresh_entry.generation.bound_s")
    assert bound_last != afresh.wrapper._LOOKUP
    monkeypatch.setattr(afresh.wrapper, "_LOOKUP", bound_last)
    assert stale_lookups(lookup)


class MovesOnFirst(Pushes):
    """Begins the next moment before the push has been worked off."""

    def note(self, names: Iterable[str]) -> None:
        super().note(names)
        self.moment += 1

    def passed(self) -> None:
        pass


def late_fills(pushes: type[Pushes]) -> list[bool]:
    """Say of each reader that began while a push was worked off whether it filled by the stamp that was held still."""

    def make():
        generation = Generation(NAMESPACE, max_entries=10, max_bytes=100_000)
        generation.pushes = pushes()
        generation.fill(kept(), generation.pushes.moment, NOW_S)
        began: list[int] = []

        def begin() -> None:
            moment = generation.pushes.moment
            if generation.held(STAMPS["tag"], NOW_S) is not None:
                began.append(moment)

        def push_and_fill() -> bool:
            generation.pushed(STAMPS["tag"])
            return any(generation.fill(kept(OTHER), moment) for moment in began)

        return push_and_fill, begin

    filled = list(everywhere(make))
    print(f"{pushes.__name__}: {len(filled)} places")
    assert len(filled) > 50
    return [each for each in filled if each]


def test_no_reader_that_begins_while_a_push_is_worked_off_fills_by_what_it_drops():
    assert late_fills(Pushes) == []


def test_a_moment_that_moves_on_too_early_is_caught():
    assert late_fills(MovesOnFirst)
