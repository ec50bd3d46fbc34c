"""What only a server can do to a store: be full, read-only, without scripts, or refuse a command; and how long keys live on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from afresh.core import ops
from afresh.core.keys import writers_of
from afresh.core.ports import Store
from afresh.errors import StoreRefused, StoreUnavailable
from afresh.stores.scripts import SCRIPTS, script
from afresh.testing import wait_until
from tests.conformance.conftest import Ask, OpenStore
from tests.support.servers import Server

HOUR_MS = 3_600_000
VALUE, LEASE, STAMP, TABLE = (f"t-servers:{kind}:{{x}}" for kind in "vlth")
WRITERS = writers_of(STAMP)
NEW = b"stamp--2"

Start = Callable[..., Server]


# --- scripts -------------------------------------------------------------------------------------------------------
async def test_a_server_that_forgot_the_scripts_is_told_them_again(ask: Ask, server: Server) -> None:
    assert await ask(ops.Put(VALUE, LEASE, b"one", HOUR_MS)) == 1
    server.command("SCRIPT", "FLUSH")

    assert await ask(ops.Put(VALUE, LEASE, b"two", HOUR_MS)) == 1

    assert server.command("GET", VALUE) == b"two"
    assert server.command("SCRIPT", "EXISTS", script("put").sha) == [1]


async def test_forgotten_and_known_scripts_in_one_flight_reply_in_order(store: Store, server: Server) -> None:
    server.command("SCRIPT", "FLUSH")
    await store.flight([ops.Put(VALUE, LEASE, b"one", HOUR_MS)])

    replies = await store.flight(
        [ops.Get(VALUE), ops.Stamp(STAMP, WRITERS, NEW, HOUR_MS), ops.Put(VALUE, LEASE, b"two", 0), ops.Get(LEASE)]
    )

    assert replies == [b"one", NEW, 1, None]
    server.command("UNLINK", VALUE)


async def test_every_script_says_what_it_costs_and_returns() -> None:
    for name, _ in SCRIPTS.values():
        comment = "".join(line for line in script(name).source.splitlines() if line.startswith("--"))
        assert "KEYS" in comment
        assert "Returns" in comment
        assert "Cost: O(" in comment


# --- bytes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 10_000_000])
async def test_values_of_any_size_come_back(ask: Ask, size: int) -> None:
    value = bytes(range(256)) * (size // 256) + bytes(size % 256)
    await ask(ops.Claim(VALUE, LEASE, b"", b"mine", HOUR_MS))
    assert await ask(ops.Commit(VALUE, LEASE, b"mine", value, HOUR_MS)) == 1

    assert await ask(ops.Get(VALUE)) == value


async def test_large_values_in_one_flight_come_back(store: Store) -> None:
    values = {f"t-servers:v:{{{at}}}": bytes([at]) * 3_000_000 for at in range(5)}
    await store.flight([ops.Put(key, LEASE, value, HOUR_MS) for key, value in values.items()])

    assert await store.flight([ops.Get(key) for key in values]) == list(values.values())


@pytest.mark.keys("t-servers:v:.*")
@pytest.mark.parametrize("name", ["{}", "}{", "{{a}}", "%7B", " ", "\r\n", "\x00", "ключ", "\u2028", "*", "$5\r\nhello"])
async def test_names_of_any_characters_work(ask: Ask, server: Server, name: str) -> None:
    key = f"t-servers:v:{name}{{x}}"

    assert await ask(ops.Put(key, LEASE, b"value", HOUR_MS)) == 1

    assert await ask(ops.Get(key)) == b"value"
    assert server.command("EXISTS", key.encode()) == 1


# --- lifetimes -----------------------------------------------------------------------------------------------------
def lives_ms(server: Server, key: str) -> int:
    """Return for how long a key lives: -1 for ever, -2 if there is none."""
    left: int = server.command("PTTL", key)
    return left


@pytest.mark.parametrize(
    ("before_ms", "asked_ms", "after_ms"),
    [(None, 5000, 10_000), (None, 0, -1), (5000, 60_000, 120_000), (60_000, 5000, 120_000), (0, 5000, -1), (5000, 0, -1), (0, 0, -1)],
)
async def test_a_stamp_lives_longer_and_never_shorter(  # twice as long as it must: each change of a lifetime is pushed
    ask: Ask, server: Server, before_ms: int | None, asked_ms: int, after_ms: int
) -> None:
    stamp = "t-servers:t:{0123456789abcdef}"
    if before_ms is not None:
        await ask(ops.Stamp(stamp, writers_of(stamp), b"stamp--1", before_ms))

    await ask(ops.Stamp(stamp, writers_of(stamp), NEW, asked_ms))

    left = lives_ms(server, stamp)
    assert left == after_ms if after_ms < 0 else after_ms - 2000 < left <= after_ms


@pytest.mark.parametrize(
    "op",
    [
        ops.Put(VALUE, LEASE, b"x", 5000),
        ops.Swap(VALUE, LEASE, b"", 0, b"x", 5000),
        ops.Invalidate("t-servers:v:{y}", LEASE, VALUE, NEW, 5000),
        ops.Claim("t-servers:v:{y}", VALUE, b"", b"mine", 5000),
        ops.Seize(VALUE, 5000, b"mine"),
        ops.TableStart(VALUE, b"", b"g", 5000, 0, (b"1",)),
    ],
    ids=lambda op: type(op).__name__,
)
async def test_what_is_stored_for_a_time_lives_for_that_time(ask: Ask, server: Server, op: ops.Op) -> None:
    await ask(op)

    assert 3000 < lives_ms(server, VALUE) <= 5000


# --- full, read-only, forbidden ------------------------------------------------------------------------------------
@pytest.fixture
async def full(start_either: Start, open_store: OpenStore) -> AsyncIterator[tuple[Store, Server]]:
    """A server that takes nothing any more. It has an entry, its lease, and a stamp."""
    server = start_either(maxmemory_policy="noeviction")
    for key, held in ((VALUE, b"value"), (LEASE, b"mine"), (STAMP, b"stamp--1")):
        server.command("PSETEX", key, HOUR_MS, held)
    server.command("CONFIG", "SET", "maxmemory", "1")
    async with open_store(server.url) as store:
        yield store, server


async def test_a_full_server_invalidates_a_key(full: tuple[Store, Server]) -> None:
    store, server = full

    ((dropped, _),) = await store.flight([ops.Invalidate(VALUE, LEASE, STAMP, NEW, HOUR_MS)])

    assert dropped == 1
    assert server.command("EXISTS", VALUE, LEASE) == 0
    assert server.command("GET", STAMP) in {NEW, None}


async def test_a_full_server_invalidates_a_tag(full: tuple[Store, Server]) -> None:
    store, server = full

    assert await store.flight([ops.Bump(STAMP, WRITERS, NEW)]) == [1]

    assert server.command("GET", STAMP) is None


@pytest.mark.parametrize(
    "op",
    [
        ops.Swap(VALUE, LEASE, b"value", 0, b"other", HOUR_MS),
        ops.Commit(VALUE, LEASE, b"mine", b"other", HOUR_MS),
        ops.Claim(VALUE, f"{LEASE}2", b"value", b"mine", HOUR_MS),
        ops.Seize(LEASE, HOUR_MS, b"theirs"),
        ops.Stamp(f"{STAMP}2", WRITERS, NEW, HOUR_MS),
    ],
    ids=lambda op: type(op).__name__,
)
async def test_a_full_server_refuses_what_needs_room(full: tuple[Store, Server], op: ops.Op) -> None:
    store, server = full

    (reply,) = await store.flight([op])

    assert isinstance(reply, StoreRefused)
    assert reply.code == "OOM"
    assert "raise maxmemory" in str(reply)
    assert server.command("GET", VALUE) == b"value"


async def test_a_full_server_that_refuses_a_value_keeps_no_older_one(full: tuple[Store, Server]) -> None:
    store, server = full

    (reply,) = await store.flight([ops.Put(VALUE, LEASE, b"other", HOUR_MS)])

    assert reply.code == "OOM"
    assert server.command("EXISTS", VALUE, LEASE) == 0


async def test_a_full_server_reads_and_gives_up(full: tuple[Store, Server]) -> None:
    store, _ = full

    replies = await store.flight([ops.Get(VALUE), ops.Stamp(STAMP, WRITERS, NEW, HOUR_MS), ops.Abandon(LEASE, b"mine"), ops.Unlink(VALUE)])

    assert replies == [b"value", b"stamp--1", 1, 1]


@pytest.fixture
async def replica(start_either: Start, open_store: OpenStore) -> AsyncIterator[Store]:
    """A replica of a server that has an entry and a stamp."""
    primary = start_either(repl_diskless_sync_delay="0")
    follower = start_either(replicaof=f"127.0.0.1 {primary.port}")
    primary.command("SET", VALUE, b"value")
    primary.command("SET", STAMP, b"stamp--1")
    wait_until(lambda: follower.command("EXISTS", VALUE, STAMP) == 2, 30, "the replica to have its primary's data")
    async with open_store(follower.url) as store:
        yield store


async def test_a_replica_reads_and_refuses_to_write(replica: Store) -> None:
    written = [
        ops.Put(VALUE, LEASE, b"other", HOUR_MS),
        ops.Claim(VALUE, LEASE, b"value", b"mine", HOUR_MS),
        ops.Invalidate(VALUE, LEASE, STAMP, NEW, HOUR_MS),
        ops.Bump(STAMP, WRITERS, NEW),
        ops.Unlink(VALUE),
        ops.TableStart(TABLE, b"", b"g", HOUR_MS, 0, (b"1",)),
    ]

    value, stamp, *refusals = await replica.flight([ops.Get(VALUE), ops.Get(STAMP), *written])

    assert (value, stamp) == (b"value", b"stamp--1")
    assert [refusal.code for refusal in refusals] == ["READONLY"] * len(written)
    assert "connect to the primary" in str(refusals[0])


@pytest.fixture
async def without_set(server: Server, open_store: OpenStore) -> AsyncIterator[Store]:
    """A store whose user may do everything but SET."""
    server.command("ACL", "SETUSER", "unset", "on", ">secret", "~*", "+@all", "-set")
    async with open_store(server.url.replace("unix://", "unix://unset:secret@")) as store:
        yield store
    server.command("ACL", "DELUSER", "unset")


async def test_a_stamp_that_cannot_be_renewed_is_dropped(without_set: Store, server: Server) -> None:
    server.command("PSETEX", STAMP, HOUR_MS, b"stamp--1")
    server.command("PSETEX", VALUE, HOUR_MS, b"value")

    assert await without_set.flight([ops.Invalidate(VALUE, LEASE, STAMP, NEW, HOUR_MS)]) == [[1, 0]]
    assert server.command("EXISTS", VALUE, STAMP) == 0

    server.command("PSETEX", STAMP, HOUR_MS, b"stamp--1")
    assert await without_set.flight([ops.Bump(STAMP, WRITERS, NEW)]) == [1]
    assert server.command("EXISTS", STAMP) == 0


async def test_a_forbidden_command_is_refused_with_advice(without_set: Store) -> None:
    (reply,) = await without_set.flight([ops.Put(VALUE, LEASE, b"a value of the user's", HOUR_MS)])

    assert reply.code == "NOPERM"
    assert "ACL" in str(reply)
    assert "a value of the user's" not in str(reply)


async def test_a_wrong_password_is_told_without_repeating_it(start_either: Start, open_store: OpenStore) -> None:
    server = start_either(requirepass="right")
    async with open_store(server.url.replace("right", "wrong-password")) as store:
        with pytest.raises((StoreUnavailable, StoreRefused)) as caught:
            await store.flight([ops.Get(VALUE)])

    assert "wrong-password" not in str(caught.value)
    assert "right" not in str(caught.value).replace("right?", "")
