"""Write docs/explanation/states.md and its drawings by trying what the code does in each state that it can get into.

``python -m scripts.generate_state_diagrams`` after a change of these; a test fails until it was done. No diagram is drawn by hand: a
machine of production is taken through every event from every state that it reaches, and asked where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from afresh.core import ops
from afresh.core.breaker import Breaker
from afresh.core.decide import State, classify
from afresh.core.envelope import pack_prefix
from afresh.core.keys import Namespace
from afresh.core.stamps import dirty_until_ms, needs_of
from afresh.near.options import Near
from afresh.near.tier import NearTier
from afresh.runtime.callers import Caller
from afresh.runtime.flights import Flight, FlightTable, Seat
from afresh.runtime.run_now import run_now
from afresh.stores.memory import MemoryStore
from scripts.chart import Arrows, drawn

PAGE = Path(__file__).parent.parent / "docs/explanation/states.md"

TEXT = """\
# States

<!-- Written by scripts/generate_state_diagrams.py, which tries the code of src/afresh: change that, then run it. -->

What entries, leases, tags, flights, the near tier and the breaker can be in, and what takes them from one state to the next. Every arrow
was found by taking the code of production there: it leads from the state at its dot to the one at its tip, on what is written above it.
Everything begins in the first state. [Consistency](consistency.md) says why.

## An entry's freshness

By `afresh.core.decide.classify`. An entry whose stamps differ is a miss, whatever its age.

![An entry's freshness: its states and what leads from one to another](states/freshness.svg)

## The lease on an entry

As one claim sees it, with the operations of the store (`afresh/scripts`). Only *ours* lets our commit store anything.

![The lease on an entry: its states and what leads from one to another](states/lease.svg)

## A tag under transactions

By the scripts `mark`, `end`, `bump` and `stamp`; A and B are two transactions. Nothing under a dirty tag is served or stored. Whatever
leads back to *clean* brings a new stamp. The eviction of a dirty tag's stamp alone is on no arrow: it stays dirty.

![A tag under transactions: its states and what leads from one to another](states/tag.svg)

## Who shares a flight

A caller that takes a seat in a computation of its process (`afresh.runtime.flights`) gets its value, or looks for itself.

{flight}

## A generation of the near tier

By `afresh.near`. Only *serving* serves.

![A generation of the near tier: its states and what leads from one to another](states/near.svg)

## The breaker

By `afresh.core.breaker`, one for each server.

![The breaker: its states and what leads from one to another](states/breaker.svg)
"""

Event: TypeAlias = Callable[[Any], object]


class Machine(NamedTuple):
    """Something of production, and what can happen to it.

    Attributes:
        make: returns a new one.
        events: by what is written on the arrow.
        state: names where it is; it may change it, since each answer is asked of a new one.
    """

    make: Callable[[], Any]
    events: Mapping[str, Event]
    state: Callable[[Any], str]


def explored(machine: Machine) -> dict[tuple[str, str], list[str]]:
    """Return what leads from each state to which, in the order in which they are found."""

    def after(events: Sequence[str]) -> str:
        made = machine.make()
        for event in events:
            machine.events[event](made)
        return machine.state(made)

    ways: dict[str, tuple[str, ...]] = {after(()): ()}
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, way in (todo := list(ways.items())):
        for event in machine.events:
            reached = after((*way, event))
            if reached not in ways:
                ways[reached] = (*way, event)
                todo.append((reached, ways[reached]))
            if reached != state:
                arrows.setdefault((state, reached), []).append(event)
    return arrows


# ---- the breaker: time goes on in steps of a second, its longest pause


class _Guarded:
    def __init__(self) -> None:
        self.breaker, self.now_ms = Breaker(), 0

    def ask(self) -> None:
        self.breaker.admits(self.now_ms)

    def wait(self) -> None:
        self.now_ms += 1000


def _breaker_state(it: _Guarded) -> str:
    if it.breaker.is_closed:
        return "closed"
    if it.breaker.admits(it.now_ms):
        return "open, its pause over"
    return "open" if it.breaker.admits(it.now_ms + 1000) else "half-open"


BREAKER = Machine(
    _Guarded,
    {
        "a flight times out": lambda it: it.breaker.timed_out(it.now_ms),
        "it is answered, or refused": lambda it: it.breaker.answered(),
        "its pause is over": _Guarded.wait,
        "a flight asks": _Guarded.ask,
        "that flight ends without telling": lambda it: it.breaker.gave_up(),
    },
    _breaker_state,
)


# ---- the store: leases and tags


class _Server:
    """A memory store, with the semantics of the scripts; the conformance suite holds both to each other."""

    VALUE, LEASE, STAMP, WRITERS = "v", "l", "t", "o"

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.store = MemoryStore(now_ms=lambda: self.now_ms)
        self._tokens = count(1)

    def run(self, op: ops.Op) -> Any:
        return run_now(self.store.flight([op]))[0]

    def fresh(self) -> bytes:
        return next(self._tokens).to_bytes(8, "big")

    def held(self, key: str) -> Any:
        return self.run(ops.Get(key))

    def claim(self, who: bytes) -> None:
        seen = self.held(self.VALUE) or b""
        self.run(ops.Claim(self.VALUE, self.LEASE, seen, who, 5000))

    def evict(self, *keys: str) -> None:
        self.run(ops.Unlink(keys[0], keys[1:]))


_OURS, _THEIRS = b"ours" * 3, b"them" * 3
_ENVELOPE = pack_prefix(b"", flags=0, codec=0, tags=0, created_ms=0, fresh_until_ms=1, cost_us=0, schema=0)


def _lease_state(it: _Server) -> str:
    held = it.held(it.LEASE)
    return {None: "free", _OURS: "ours", _THEIRS: "another's"}.get(held, "a failure's record")


LEASE = Machine(
    _Server,
    {
        "claim": lambda it: it.claim(_OURS),
        "another's claim": lambda it: it.claim(_THEIRS),
        "another's refresh": lambda it: it.run(ops.Seize(it.LEASE, 5000, _THEIRS)),
        "commit": lambda it: it.run(ops.Commit(it.VALUE, it.LEASE, _OURS, _ENVELOPE, 5000)),
        "abandon": lambda it: it.run(ops.Abandon(it.LEASE, _OURS)),
        "renewal": lambda it: it.run(ops.Extend(it.LEASE, _OURS, 5000)),
        "the compute fails": lambda it: it.run(ops.Fail(it.LEASE, _OURS, b"F:" + bytes(8) + b"ValueError", 5000)),
        "another's commit": lambda it: it.run(ops.Commit(it.VALUE, it.LEASE, _THEIRS, _ENVELOPE, 5000)),
        "invalidation of the key": lambda it: it.run(ops.Invalidate(it.VALUE, it.LEASE, it.STAMP, it.fresh(), 1000)),
        "set": lambda it: it.run(ops.Put(it.VALUE, it.LEASE, _ENVELOPE, 5000)),
        "it lapses, or is evicted": lambda it: it.evict(it.LEASE),
    },
    _lease_state,
)


def _tag_state(it: _Server) -> str:
    held = it.held(it.STAMP)
    if dirty_until_ms(it.run(_stamp(it))):  # what a caller is told who wants to compute
        return "dirty"
    if held is None:
        return "absent"
    return "lapsed" if dirty_until_ms(held) else "clean"


def _stamp(it: _Server) -> ops.Stamp:
    return ops.Stamp(it.STAMP, it.WRITERS, it.fresh(), 0)


_MARK_MS = 30_000


def _mark(who: bytes) -> Event:
    return lambda it: it.run(ops.Mark(it.STAMP, it.WRITERS, who, _MARK_MS, 2 * _MARK_MS))


def _end(who: bytes) -> Event:
    return lambda it: it.run(ops.End(it.STAMP, it.WRITERS, who, it.fresh(), 2 * _MARK_MS))


def _pass(it: _Server) -> None:
    it.now_ms += _MARK_MS


def _open_transactions(it: _Server) -> str:
    """Name the tag's state with the transactions that are open, as ending them one by one shows."""
    state = _tag_state(it)
    if state != "dirty":
        return state
    is_open = [name for name, who in (("A", b"A" * 8), ("B", b"B" * 8)) if _end(who)(it)]
    return f"dirty: {' and '.join(is_open)}" if is_open else "dirty: nobody knows whose"


TAG = Machine(
    _Server,
    {
        "stamp (a new one if it has none)": lambda it: it.run(_stamp(it)),
        "mark of A": _mark(b"A" * 8),
        "mark of B": _mark(b"B" * 8),
        "end of A": _end(b"A" * 8),
        "end of B": _end(b"B" * 8),
        "invalidation": lambda it: it.run(ops.Bump(it.STAMP, it.WRITERS, it.fresh())),
        "30 s without a renewal": _pass,
        "its stamp is evicted": lambda it: it.evict(it.STAMP),
        "both names are evicted": lambda it: it.evict(it.STAMP, it.WRITERS),
    },
    _open_transactions,
)


# ---- the near tier


class _Listening:
    def __init__(self) -> None:
        self.tier, self.now_s = NearTier(Near(), Namespace("n")), 0.0

    def is_serving(self) -> bool:
        return self.tier.generation.bound_s > self.now_s

    def beat(self) -> None:
        self.tier.extend(self.now_s + 2)

    def wait(self) -> None:
        self.now_s += 2


def _near_state(it: _Listening) -> str:
    if it.is_serving():
        return "serving"
    was_proven = it.tier.generation.bound_s > -inf
    it.beat()
    if not it.is_serving():
        return "none"
    return "its bound has passed" if was_proven else "nothing proven yet"


NEAR = Machine(
    _Listening,
    {
        "tracking is on": lambda it: it.tier.begin(),
        "a beat proves that all pushes have arrived": _Listening.beat,
        "no beat for max_stale": _Listening.wait,
        "the connection is lost, refused, closed, or the process forks": lambda it: it.tier.end(),
    },
    _near_state,
)


# ---- what are no machines: an entry's age, and the seats of a flight


def freshness() -> dict[tuple[str, str], list[str]]:
    """Return how a valid entry ages, and what makes a miss of it."""
    needs = needs_of(Namespace("n"), None, ["a"])
    stamps = [b"namespace"[:8], b"the tag's"[:8]]
    ttl_ms, stale_ms = 1000, 500
    raw = pack_prefix(
        needs.vector(stamps) or b"", flags=needs.flags, codec=0, tags=1, created_ms=0, fresh_until_ms=ttl_ms, cost_us=200_000, schema=0
    )

    def state(now_ms: int, rand: float = 1.0, tag: object = stamps[1]) -> str:
        return str(classify(raw, [stamps[0], tag], needs, schema=0, now_ms=now_ms, stale_ttl_ms=stale_ms, rand=rand).state)

    ages = {
        "": state(0),
        "by chance, the more likely the less is left": state(ttl_ms - 1, rand=1e-9),
        "its ttl ends": state(ttl_ms),
        "its stale_ttl ends": state(ttl_ms + stale_ms),
    }
    found: dict[tuple[str, str], list[str]] = {}
    names = list(ages.values())
    for one, (event, other) in zip(names, list(ages.items())[1:], strict=False):
        found[one, other] = [event]
    found[names[0], names[2]] = ["its ttl ends"]
    changes = {"a stamp is renewed": b"another!", "a stamp is evicted": None, "a transaction marks a tag": b"D:99999999999999"}
    for moment, name in zip((0, ttl_ms - 1, ttl_ms, ttl_ms + stale_ms), names, strict=True):
        for event, tag in changes.items():
            found.setdefault((name, state(moment, tag=tag)), []).append(event)
    assert {name for arrow in found for name in arrow} == set(map(str, State)), "every state is in the diagram"
    return found


def flight() -> str:
    """Return what a follower gets, by when it came and what became of the flight."""
    ends: dict[str, dict[str, Any]] = {
        "stored, every stamp unchanged": {"envelope": b"it", "proven": True},
        "stored, a stamp changed; or not stored": {"envelope": b"it"},
        "it raised, or was cancelled": {"envelope": None},
    }
    moments = ("before the compute began", "while it ran", "when its commit was under way")
    shares = [(came, *(_shared(came, how) for how in ends.values())) for came in moments]
    rows = [("came", *ends), ("---",) * (1 + len(ends)), *shares]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _shared(came: str, how: Mapping[str, Any]) -> str:
    table, callers = FlightTable(), count(1)

    def enter() -> Flight | Seat | None:
        return table.enter("k", table.arrive(), lambda: Caller(next(callers)))

    led = enter()
    assert isinstance(led, Flight)
    seat = enter() if came == "before the compute began" else None
    led.mark()
    seat = enter() if came == "while it ran" else seat
    led.close()
    seat = seat or enter()
    if isinstance(seat, Flight):
        return "leads the next flight"
    assert seat is not None
    led.finish(**how)
    assert seat.outcome is not None
    return "shares the value" if seat.outcome.envelope is not None else "looks for itself"


def render() -> dict[Path, str]:
    """Return the page and its drawings, by where they belong."""
    arrows: dict[str, Arrows] = {"freshness": freshness()}
    arrows |= {name: explored(machine) for name, machine in {"breaker": BREAKER, "lease": LEASE, "tag": TAG, "near": NEAR}.items()}
    drawings = {PAGE.with_suffix("") / f"{name}.svg": drawn(name, arrows[name]) for name in arrows}
    return {PAGE: TEXT.format(flight=flight()), **drawings}


if __name__ == "__main__":
    for path, text in render().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(path)
