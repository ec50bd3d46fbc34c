"""A test of the tests: each way to get the protocol wrong breaks a scenario that the protocol itself passes."""

from __future__ import annotations

import pytest

from afresh.core import ops
from afresh.stores.memory import MemoryStore
from afresh.testing import explore
from tests.flows.scenarios import SAMPLED, SCENARIOS
from tests.flows.test_contract import RUNS
from tests.flows.world import KEYS, Variant, sample


def commits_without_lease(_: MemoryStore, op: ops.Op) -> ops.Op:
    return ops.Put(op.value, op.lease, op.envelope, op.ttl_ms) if isinstance(op, ops.Commit) else op


def one_mark_for_all(_: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(mark=b"process") if isinstance(op, (ops.Claim, ops.Seize, ops.Commit, ops.Abandon)) else op


def leaves_the_lease_to(kind: type[ops.Op]):
    """Have operations of a kind leave the lease alone that they should drop or take."""

    def rewrite(_: MemoryStore, op: ops.Op) -> ops.Op:
        return op._replace(lease="elsewhere") if isinstance(op, kind) else op

    return rewrite


def puts_beside_the_lease(_: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(key="elsewhere") if isinstance(op, ops.Unlink) and op.key == KEYS["lease"] else op


def keeps_the_stamp(_: MemoryStore, op: ops.Op) -> ops.Op:
    return ops.Get(op.key) if isinstance(op, ops.Bump) else op


def revives_stamps(memory: MemoryStore, op: ops.Op) -> ops.Op:
    """An evicted stamp comes back as it was."""
    return op._replace(fresh=b"constant") if isinstance(op, ops.Stamp) else op


def seizes_only_a_free_lease(memory: MemoryStore, op: ops.Op) -> ops.Op:
    return op._replace(lease="elsewhere") if isinstance(op, ops.Seize) and op.lease in memory._data else op


def renews_whatever_is_there(_: MemoryStore, op: ops.Op) -> ops.Op:
    return ops.Seize(op.lease, op.ttl_ms, op.mark) if isinstance(op, ops.Extend) else op


def renews_anybodys(memory: MemoryStore, op: ops.Op) -> ops.Op:
    return renews_whatever_is_there(memory, op) if isinstance(op, ops.Extend) and op.lease in memory._data else op


WRONG = {
    "what was read before a look shared as found by it": (
        Variant(retold=True),
        "reader and late reader straight, one of whom looks alone, key invalidated, a stale entry there",
    ),
    "no lease at the commit": (Variant(commits_without_lease), "two readers, key invalidated"),
    "no lease at the commit, put": (Variant(commits_without_lease), "two readers, put"),
    "stamps after the compute": (Variant(stamps_late=True), "two readers, tag invalidated"),
    "late followers share unproven": (Variant(early=True), "two readers, tag invalidated"),
    "late followers share unproven, key": (Variant(early=True), "two readers, key invalidated"),
    "a look shared with who came after it began": (
        Variant(early=True),
        "reader and late reader who look together, key invalidated, an entry there",
    ),
    "a proof that ignores the stamps": (Variant(blind=True), "two readers, tag invalidated"),
    "joined while the commit is under way": (Variant(stays_open=True), "reader and late reader, tag invalidated, replies on their way"),
    "one mark for all claims of a process": (Variant(one_mark_for_all), "reader, refresh, key invalidated"),
    "one mark for all claims": (Variant(one_mark_for_all), "two readers in 2, key invalidated"),
    "invalidation that leaves the lease": (Variant(leaves_the_lease_to(ops.Invalidate)), "two readers, key invalidated"),
    "put that leaves the lease": (Variant(puts_beside_the_lease), "two readers, put"),
    "seize that does not take the lease": (Variant(leaves_the_lease_to(ops.Seize)), "reader, refresh"),
    "seize that takes only a free lease": (Variant(seizes_only_a_free_lease), "reader, refresh"),
    "renewal that brings a lease back": (Variant(renews_whatever_is_there), "reader that renews, key invalidated"),
    "renewal of whoever's lease": (Variant(renews_anybodys), "reader that renews, reader in 2, key invalidated"),
    "invalidation that renews no stamp": (Variant(keeps_the_stamp), "two readers, function invalidated"),
    "an evicted stamp that comes back": (Variant(revives_stamps), "two readers in 2, tag evicted, tag invalidated"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_variant_is_caught(name: str) -> None:
    variant, scenario = WRONG[name]
    make = {**SCENARIOS, **SAMPLED}[scenario](variant)

    found = explore(make) if scenario in SCENARIOS else sample(make, runs=RUNS, seed=7)

    assert found.failure is not None, f"{found.schedules:,} schedules passed"
    assert "deadlock" not in found.failure.problem
    print(f"{name}: caught after {found.schedules:,} schedules: {found.failure}")
