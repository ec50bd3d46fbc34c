"""The memory store and both servers, given the same operations, reply the same, whatever is under the names."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from afresh.core import ops
from afresh.core.envelope import FOR_EVER
from afresh.core.restarts import ServerRun
from afresh.errors import StoreRefused
from afresh.runtime.run_now import run_now
from afresh.stores.address import parse_url
from afresh.stores.memory import MemoryStore
from afresh.stores.peer import Peer
from afresh.stores.sync import SyncStore
from afresh.testing.conformance_steps import entry, number
from tests.support.servers import Server

# All in one slot, as the names of a script must be; each may hold anything.
VALUES, LEASES, STAMPS, WRITERS = ([f"t-agreement:{kind}:{{x}}{at}" for at in "12"] for kind in "vlto")
KEYS = [*VALUES, *LEASES, *STAMPS, *WRITERS]
LOCK = [f"t-agreement:{kind}:{{x}}" for kind in "xqw"]
CLEARING = ops.Unlink(KEYS[0], (*KEYS[1:], *LOCK))
HOUR_MS = 3_600_000
# A deadline that the clocks of the stores agree has not come, as later ones would show what they disagree about.
FAR_MS = 10**15

keys, values, leases, names, writers = map(st.sampled_from, (KEYS, VALUES, LEASES, STAMPS, WRITERS))
ttls = st.sampled_from([0, HOUR_MS])
marks = st.sampled_from([b"one", b"two", b"F:digest-1OSError", b"F:digest-1+2"])
digests = st.sampled_from([b"", b"digest-1", b"digest-2"])
stamps = st.sampled_from([b"stamp--1", b"stamp--2", b"D:mark", b"D:1", b"D:%d" % FAR_MS, b""])
digits = st.one_of(st.integers(-(10**17), 10**17).map(lambda n: b"%d" % n), st.sampled_from([b"", b"-", b"007", b"-0", b"1.5", b" 1"]))
envelopes = st.one_of(
    st.builds(entry, st.binary(max_size=5), flags=st.integers(0, 31), tags=st.integers(0, 3)),
    st.builds(number, digits, flags=st.integers(0, 7), tags=st.integers(0, 3)),
    st.builds(number, digits, flags=st.just(1)),
)
raws = st.one_of(envelopes, st.binary(max_size=40), st.builds(lambda raw, end: raw[:end], envelopes, st.integers(0, 60)))
seen = st.one_of(st.just(b""), raws)
rows = st.lists(st.binary(max_size=8), min_size=1, max_size=4).map(tuple)
numbers = st.integers(0, 6)
operations = st.one_of(
    st.builds(ops.Get, keys),
    st.builds(ops.HashGet, keys, st.lists(st.sampled_from(["0", "1", "max", "g", "min", "bytes"]), min_size=1).map(tuple)),
    st.builds(ops.Unlink, keys, st.lists(keys).map(tuple)),
    st.builds(ops.Seize, leases, st.just(HOUR_MS), marks),
    st.builds(ops.Announce, names, st.just(HOUR_MS), stamps),
    st.builds(ops.Claim, values, leases, seen, marks, st.just(HOUR_MS), digests),
    st.builds(ops.Stamp, names, writers, stamps, ttls),
    st.builds(ops.Commit, values, leases, marks, raws, ttls),
    st.builds(ops.Replace, values, leases, names, marks, raws, ttls, st.just(b"stamp--6"), st.just(HOUR_MS)),
    st.builds(ops.Abandon, leases, marks),
    st.builds(ops.Fail, leases, marks, marks, st.just(HOUR_MS)),
    st.builds(ops.Extend, leases, marks, st.just(HOUR_MS)),
    st.builds(ops.Extend, leases, marks, st.just(HOUR_MS)),
    st.builds(ops.Put, st.one_of(values, names), leases, raws, ttls),
    st.builds(ops.Swap, values, leases, seen, st.sampled_from([0, 0, 40, 41]), raws, ttls),
    st.builds(ops.Incr, values, leases, st.integers(-(10**16), 10**16)),
    st.builds(ops.Touch, values, leases, st.sampled_from([bytes(8), FOR_EVER.to_bytes(8, "little")]), ttls),
    st.builds(
        ops.Expire, values, leases, names, st.integers(0, 2**64 - 1).map(lambda n: n.to_bytes(8, "little")), stamps, st.just(HOUR_MS)
    ),
    st.builds(ops.Invalidate, values, leases, names, st.just(b"stamp--3"), st.just(HOUR_MS)),
    st.builds(ops.Bump, names, writers, st.just(b"stamp--4")),
    st.builds(ops.Mark, names, writers, marks, st.sampled_from([FAR_MS, -HOUR_MS]), st.just(HOUR_MS)),
    st.builds(ops.End, names, writers, marks, st.just(b"stamp--5"), st.just(HOUR_MS)),
    st.builds(
        ops.Acquire, *map(st.just, LOCK), marks, st.just(HOUR_MS), st.sampled_from([0, HOUR_MS, -1]), st.sampled_from([(), (b"three",)])
    ),
    st.builds(ops.Release, *map(st.just, LOCK), st.sampled_from([b"one", b"two", b"three"])),
    st.builds(ops.TableStart, keys, marks, marks, st.just(HOUR_MS), numbers, rows),
    st.builds(ops.TableExtend, keys, marks, st.just(HOUR_MS), st.sampled_from([0, 10]), st.integers(1, 2), numbers, rows),
)


@pytest.fixture(scope="module")
def stores(valkey_of_the_run: Server, redis7_of_the_run: Server) -> Iterator[list[SyncStore]]:
    opened = [
        SyncStore(parse_url(one.url), budget_s=5, peer=Peer("the server", ServerRun())) for one in (valkey_of_the_run, redis7_of_the_run)
    ]
    yield opened
    for store in opened:
        replies(store, [CLEARING])
        store.close()


def replies(store: Any, batch: list[ops.Op]) -> list[object]:
    """Run one after the other: in a flight, a script that the server does not know yet runs after the rest."""
    got = [run_now(store.flight([op]))[0] for op in batch]
    return [("refused", reply.code) if isinstance(reply, StoreRefused) else undated(reply) for reply in got]


def undated(reply: object) -> object:
    """Return whether a mark has lapsed instead of its deadline, and fences without their number: each store has its own clock."""
    if isinstance(reply, int) and reply > 10**12:
        return "fence"
    found = re.fullmatch(rb"D:(\d+)", reply) if isinstance(reply, bytes) else None
    return ("marked", int(found[1]) > time.time() * 1000) if found else reply


@settings(max_examples=300)
@given(batch=st.lists(operations, min_size=1, max_size=12))
def test_all_stores_reply_alike(stores: list[SyncStore], batch: list[ops.Op]) -> None:
    for store in stores:
        replies(store, [CLEARING])

    in_memory = replies(MemoryStore(), batch)

    for store in stores:
        assert replies(store, batch) == in_memory
