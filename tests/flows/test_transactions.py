"""Clause 3 of the contract: no read that starts after COMMIT returned is served a value computed before it, whatever becomes of the writer.

A writer's COMMIT is a step of its own, which calls and applies its bit at once: no read after it may do without. Time stands still unless
a step says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from afresh.core import ops
from afresh.core.policy import MARK_MS
from afresh.core.reads import Request
from afresh.core.renewing import renew
from afresh.core.transactions import end, mark, new_transaction
from afresh.runtime import apart
from afresh.stores.memory import MemoryStore
from afresh.testing import explore, pause
from afresh.testing.stepping import Actor, Exploration
from tests.flows.scenarios import scenario
from tests.flows.world import NAMESPACE, PRODUCTION, TAG, Variant, World, call, request, sample

RUNS = 250
LAPSE_MS = MARK_MS + 1


# --- who meets -----------------------------------------------------------------------------------------------------
async def writer(world: World, *, renews: bool = False, commits: bool = True, dies: bool = False, late: bool = False) -> None:
    """Mark, write, COMMIT or ROLLBACK, end.

    Args:
        renews: marks again before COMMIT.
        commits: or rolls back.
        dies: ends nothing.
        late: marks after COMMIT, as is wrong.
    """
    ports = world.process(replies=False)
    transaction = new_transaction(ports)
    if not late:
        await mark(ports, transaction, [TAG])
    if renews:
        await renew(ports, [transaction])
    await pause()
    if commits:
        commit(world)
    if late:
        await mark(ports, transaction, [TAG])
    if not dies:
        await end(ports, transaction)


def commit(world: World) -> None:
    bit = world._bit()
    world.called |= bit
    world.applied |= bit


async def interrupted_writer(world: World, happens: Callable[[], object], *, dies: bool = True) -> None:
    """Mark; something happens; mark again right before COMMIT; and be dead."""
    ports = world.process(replies=False)
    transaction = new_transaction(ports)
    await mark(ports, transaction, [TAG])
    await pause()
    happens()
    await mark(ports, transaction)
    await pause()
    commit(world)
    if not dies:
        await end(ports, transaction)


async def lapse(world: World, others: Sequence[Actor]) -> None:
    """Let the marks lapse once the writers have ended, or are dead."""
    await pause(until=lambda: all(actor.cr_frame is None for actor in others))
    world.clock.now += LAPSE_MS


def evict(world: World, *keys: str) -> None:
    for key in keys:
        world.memory._data.pop(key, None)
    world.version += 1


async def evicted(world: World, key: str) -> None:
    evict(world, key)


def meeting(world: World, wanted: Request, *, writers: Sequence[dict[str, bool]], third: str = "", readers: int = 1) -> list[Actor]:
    ports = world.process()
    writing = [writer(world, **options) for options in writers]
    thirds = {
        "": list,
        "t evicted": lambda: [evicted(world, TAG.key)],
        "o evicted": lambda: [evicted(world, TAG.writers)],
        "tag invalidated": lambda: [world.invalidator("tag")],
        "marks lapse": lambda: [lapse(world, writing)],
    }
    return [*(world.reader(ports, wanted) for _ in range(readers)), *writing, *thirds[third]()]


def another_entry(world: World, wanted: Request) -> list[Actor]:
    """An entry is there; somebody asks for another one under its tag, and so makes sure of a stamp that both would share."""
    return meeting(world, request(names=NAMESPACE.names("f:f(2)")), writers=[DEAD], third="marks lapse")


def standing_still(world: World, wanted: Request, *, dies: bool) -> list[Actor]:
    """The writer's process stands still until others have done without its mark."""

    def pass_time() -> None:
        world.clock.now += LAPSE_MS

    return [world.reader(world.process(), wanted), interrupted_writer(world, pass_time, dies=dies)]


def all_evicted(world: World, wanted: Request) -> list[Actor]:
    return [world.reader(world.process(), wanted), interrupted_writer(world, partial(evict, world, TAG.key, TAG.writers))]


def own_reads(world: World, wanted: Request, *, stays_apart: bool = True) -> list[Actor]:
    """Within its transaction, a writer reads what nobody else may see, since it is rolled back."""
    ports = world.process()

    async def compute() -> int:
        await pause()
        return world.called | 1 << 20

    async def rolled_back() -> None:
        transaction = new_transaction(ports)
        await mark(ports, transaction, [TAG])
        if stays_apart:
            apart.enter(transaction)
        await call(ports, wanted, compute)
        apart.leave(transaction)
        await end(ports, transaction)

    async def reader() -> None:
        if await call(ports, wanted, world.compute) != 0:
            world.problem = "a value was served that was never committed"

    return [reader(), rolled_back()]


OPEN: dict[str, bool] = {}
DEAD = {"dies": True}
ROLLED_BACK = {"commits": False}
RENEWING = {"renews": True}

MEETINGS: dict[str, Callable[[Variant], object]] = {
    f"reader, writer{' that dies' * bool(options)}{', ' + third if third else ''}{', an entry there' * warm}": partial(
        scenario, partial(meeting, writers=[options], third=third), warm=warm
    )
    for options in (OPEN, DEAD)
    for third in ("", "t evicted", "o evicted", "tag invalidated", "marks lapse")
    for warm in (False, True)
} | {
    "reader, writer that rolls back, tag invalidated": partial(
        scenario, partial(meeting, writers=[ROLLED_BACK], third="tag invalidated"), warm=True
    ),
    "reader, writer that renews, marks lapse": partial(scenario, partial(meeting, writers=[RENEWING], third="marks lapse")),
    "reader of another entry, writer that dies, marks lapse": partial(scenario, another_entry, warm=True),
    "reader, writer that stood still and dies": partial(scenario, partial(standing_still, dies=True), warm=True),
    "reader, writer that stood still": partial(scenario, partial(standing_still, dies=False)),
    "reader, writer whose marks are all evicted before it marks again": partial(scenario, all_evicted),
    "reader, writer that reads what it rolls back": partial(scenario, own_reads),
}

# Too many schedules to run all of them.
DRAWN: dict[str, Callable[[Variant], object]] = {
    f"reader, {name}{', ' + third if third else ''}": partial(scenario, partial(meeting, writers=writers, third=third))
    for name, writers in {
        "two writers": [OPEN, OPEN],
        "two writers, one dies": [OPEN, DEAD],
        "writer that renews, writer that dies": [RENEWING, DEAD],
        "two writers, one rolls back": [ROLLED_BACK, DEAD],
    }.items()
    for third in ("", "t evicted", "o evicted", "tag invalidated", "marks lapse")
}


@pytest.mark.parametrize("name", MEETINGS)
def test_no_schedule_breaks_clause_three(name: str) -> None:
    found = explore(MEETINGS[name](PRODUCTION))

    print(f"{name}: {found.schedules:,} schedules")
    assert found.failure is None, str(found.failure)


@pytest.mark.parametrize("name", DRAWN)
def test_no_schedule_drawn_breaks_clause_three(name: str) -> None:
    found = sample(DRAWN[name](PRODUCTION), runs=RUNS, seed=3)

    print(f"{name}: {found.schedules:,} schedules drawn")
    assert found.failure is None, str(found.failure)


# --- a test of the tests -------------------------------------------------------------------------------------------
def nothing() -> ops.Op:
    return ops.Get("nothing")


def only_the_writers(memory: MemoryStore, op: ops.Op) -> ops.Op:
    """The mark is in the set of open transactions alone."""
    if isinstance(op, ops.Mark):
        memory._mark(op)
        memory._drop(op.key)
        return nothing()
    return op


def only_the_stamp(memory: MemoryStore, op: ops.Op) -> ops.Op:
    """The mark is in the stamp alone."""
    if isinstance(op, ops.Mark):
        memory._mark(op)
        memory._drop(op.writers)
        return nothing()
    return op


def cleared_by_an_invalidation(memory: MemoryStore, op: ops.Op) -> ops.Op:
    if isinstance(op, ops.Bump):
        memory._drop(op.key, op.writers)
    return op


class Restoring:
    """An end, or a mark that has lapsed, brings back the stamp from before the mark."""

    def __init__(self, *kinds: type) -> None:
        self.kinds = kinds

    def __call__(self, memory: MemoryStore, op: ops.Op) -> ops.Op:
        if isinstance(op, ops.Mark) and not (memory._bytes(op.key) or b"D:").startswith(b"D:"):
            memory.before = memory._bytes(op.key)
        before = getattr(memory, "before", None)
        is_dirty = isinstance(op, self.kinds) and before and any(memory._state(op)[1:])
        is_lapsed = isinstance(op, ops.Stamp) and (memory._bytes(op.key) or b"").startswith(b"D:") and not is_dirty
        return op._replace(fresh=before) if isinstance(op, self.kinds) and before and (isinstance(op, ops.End) or is_lapsed) else op


def ends_for_all(memory: MemoryStore, op: ops.Op) -> ops.Op:
    if isinstance(op, ops.End):
        memory._drop(op.writers)
        memory._store(op.key, op.fresh, op.keep_ms)
        return nothing()
    return op


def one_id_for_all(_: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(transaction=b"process") if isinstance(op, (ops.Mark, ops.End)) else op


def forgets_the_lost(memory: MemoryStore, op: ops.Op) -> ops.Op:
    if isinstance(op, ops.Mark):
        memory._mark(op)
        memory._write(op.writers, {each: score for each, score in memory._scores(op.writers).items() if each != b"lost"})
        return nothing()
    return op


def ends_what_was_evicted(memory: MemoryStore, op: ops.Op) -> ops.Op:
    """An end that does not find its mark concludes that it was the last one."""
    return ends_for_all(memory, op) if isinstance(op, ops.End) and not memory._scores(op.writers) else op


def renews_only_what_is_there(memory: MemoryStore, op: ops.Op) -> ops.Op:
    """A renewal as SET XX: what was evicted does not come back."""
    if isinstance(op, ops.Mark):
        marked = getattr(memory, "marked", set())
        if op.transaction in marked and op.key not in memory._data:
            return nothing()
        memory.marked = {*marked, op.transaction}
    return op


def serves_in_spite_of_marks(memory: MemoryStore, op: ops.Op) -> ops.Op:
    """The mark keeps nothing from being stored: a stamp is made under it."""
    if isinstance(op, ops.Stamp) and any(memory._state(op)[1:]):
        memory._drop(op.key, op.writers)
    return op


WRONG: dict[str, tuple[Variant, str]] = {
    "the set alone": (Variant(only_the_writers), "reader, writer that dies, o evicted"),
    "the stamp alone": (Variant(only_the_stamp), "reader, writer that dies, t evicted"),
    "a marker cleared by an invalidation": (Variant(cleared_by_an_invalidation), "reader, writer that dies, tag invalidated"),
    "an end that writes no new stamp": (Variant(Restoring(ops.End)), "reader, writer"),
    "a lapsed deadline, and the old stamp": (Variant(Restoring(ops.Stamp)), "reader of another entry, writer that dies, marks lapse"),
    "an end that does not ask for the others": (Variant(ends_for_all), "reader, two writers, one dies"),
    "one id for all transactions": (Variant(one_id_for_all), "reader, two writers, one dies"),
    "the others lost with the set": (Variant(forgets_the_lost), "reader, writer that renews, writer that dies, o evicted"),
    "an end that takes an evicted set for an empty one": (Variant(ends_what_was_evicted), "reader, two writers, one dies, o evicted"),
    "a renewal that brings nothing back": (
        Variant(renews_only_what_is_there),
        "reader, writer whose marks are all evicted before it marks again",
    ),
    "a mark under which values are stored": (Variant(serves_in_spite_of_marks), "reader, writer that dies"),
}

BADLY_BEHAVED: dict[str, Callable[[Variant], object]] = {
    "marks after COMMIT": partial(scenario, partial(meeting, writers=[{"late": True, "dies": True}]), warm=True),
    "leads a flight with what nobody else may see": partial(scenario, partial(own_reads, stays_apart=False)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_variant_is_caught(name: str) -> None:
    variant, meets = WRONG[name]

    caught(name, explore(MEETINGS[meets](variant)) if meets in MEETINGS else sample(DRAWN[meets](variant), runs=20 * RUNS, seed=3))


@pytest.mark.parametrize("name", BADLY_BEHAVED)
def test_a_writer_that_behaves_badly_is_caught(name: str) -> None:
    caught(name, explore(BADLY_BEHAVED[name](PRODUCTION)))


def caught(name: str, found: Exploration) -> None:
    assert found.failure is not None, f"{found.schedules:,} schedules passed"
    assert "deadlock" not in found.failure.problem
    print(f"{name}: caught after {found.schedules:,} schedules: {found.failure}")
