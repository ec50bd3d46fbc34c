"""``memory://``: a store inside the process, with the semantics of the server's.

Each operation does what its script does (`afresh/scripts`); the conformance suite holds both to it. Bounded: beyond `max_entries`
names the oldest go, which the protocol survives like any eviction.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any, get_args

from afresh.core import ops
from afresh.core.envelope import entry_in, parse, was_set_since
from afresh.core.failures import is_failure
from afresh.core.stamps import dirty_until_ms
from afresh.errors import StoreRefused
from afresh.stores.lines import comes_next, place_of, take_places

__all__ = ["MemoryStore"]

_LUA_EXACT_DIGITS = 15
_PREFIX_BYTES = 4128
_STAMP_BYTES = 8
_LOCK_KEEP_MS = 3_600_000
_FRESH_UNTIL = slice(16, 24)

# What is held by somebody: leases, and locks with who waits for them.
_HELD = re.compile(r":[lxqw]:\{")


@dataclass(slots=True)
class _Sorted:
    """A sorted set."""

    scores: dict[bytes, int] = field(default_factory=dict)


Held = bytes | dict[bytes, bytes] | _Sorted


class MemoryStore:
    """A store whose flights run at once, under one lock, and never suspend: it serves threads and loops alike.

    Args:
        max_entries: how many names it holds at most.
        now_ms: the time, ms since the epoch.
    """

    def __init__(self, *, max_entries: int = 100_000, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._data: dict[str, tuple[Held, float]] = {}
        self._lock = threading.RLock()  # re-entrant: a signal's handler may call in the middle of a call
        self._max_entries = max_entries
        self._now_ms = now_ms
        self._sweep_at = 1024
        self._run: dict[type, Callable[[Any], Any]] = {kind: getattr(self, f"_{kind.__name__.lower()}") for kind in get_args(ops.Op)}

    async def flight(self, batch: Sequence[ops.Op], /, spent_us: int = 0) -> list[Any]:  # noqa: ARG002  nothing here takes long
        """Run the operations as one atomic step."""
        with self._lock:
            return [self._answer(op) for op in batch]

    def ask(self, first: ops.Op, reads: Sequence[ops.Op], /) -> list[Any]:
        """See `afresh.core.asking.Ask`."""
        with self._lock:
            return [self._answer(op) for op in (first, *reads)]

    def now_ms(self) -> int:
        """Return this store's time."""
        return self._now_ms()

    def forget(self) -> None:
        """After a fork: threads of the parent may have held the lock, and leases and locks, whose holders go on in the parent alone."""
        self._lock = threading.RLock()
        for held in [name for name in self._data if _HELD.search(name)]:  # of Django's entries too; what else is named so was evicted
            del self._data[held]

    def close(self) -> None:
        """Drop everything."""
        with self._lock:
            self._data.clear()

    def _answer(self, op: ops.Op) -> Any:
        try:
            return self._run[op.__class__](op)
        except _WrongTypeError:
            return StoreRefused("WRONGTYPE", "WRONGTYPE Operation against a key holding the wrong kind of value")

    # ---- what is held

    def _find(self, key: str) -> Held | None:
        found = self._data.get(key)
        if found is None or found[1] > self._now_ms():
            return None if found is None else found[0]
        del self._data[key]
        return None

    def _bytes(self, key: str) -> bytes | None:
        held = self._find(key)
        if isinstance(held, (dict, _Sorted)):
            raise _WrongTypeError
        return held

    def _hash(self, key: str) -> dict[bytes, bytes] | None:
        held = self._find(key)
        if isinstance(held, (bytes, _Sorted)):
            raise _WrongTypeError
        return held

    def _scores(self, key: str) -> dict[bytes, int]:
        held = self._find(key) or _Sorted()
        if not isinstance(held, _Sorted):
            raise _WrongTypeError
        return dict(held.scores)

    def _write(self, key: str, scores: dict[bytes, int]) -> None:
        """Put other members into a sorted set that is there; without members it goes."""
        if not scores:
            self._drop(key)
        elif key in self._data:
            self._keep(key, _Sorted(scores))

    def _store(self, key: str, held: Held, ttl_ms: int) -> None:
        self._data.pop(key, None)
        self._data[key] = (held, self._now_ms() + ttl_ms if ttl_ms else float("inf"))
        if len(self._data) > self._max_entries:
            del self._data[next(iter(self._data))]
        elif len(self._data) >= self._sweep_at:
            self._sweep()

    def _keep(self, key: str, held: Held) -> None:
        self._data[key] = (held, self._data[key][1])

    def _sweep(self) -> None:
        now = self._now_ms()
        for key in [key for key, (_, until) in self._data.items() if until <= now]:
            del self._data[key]
        self._sweep_at = max(1024, 2 * len(self._data))

    def _drop(self, *keys: str) -> int:
        there = [key for key in dict.fromkeys(keys) if self._find(key) is not None]
        for key in there:
            del self._data[key]
        return len(there)

    # ---- commands

    def _get(self, op: ops.Get) -> bytes | None:
        return self._bytes(op.key)

    def _geteach(self, op: ops.GetEach) -> list[bytes | None]:
        return [held if isinstance(held := self._find(key), bytes) else None for key in op.keys]

    def _hashget(self, op: ops.HashGet) -> list[bytes | None]:
        table = self._hash(op.key) or {}
        return [table.get(field.encode()) for field in op.fields]

    def _hashset(self, op: ops.HashSet) -> int:
        table = self._hash(op.key) or {}
        words = [word.encode() if isinstance(word, str) else word for word in op.fields]
        added = dict(zip(words[::2], words[1::2], strict=True))
        new = len(added.keys() - table.keys())
        if op.key in self._data:
            self._keep(op.key, table | added)
        else:
            self._store(op.key, added, 0)
        return new

    def _unlink(self, op: ops.Unlink) -> int:
        return self._drop(op.key, *op.more)

    def _scan(self, op: ops.Scan) -> list[Any]:
        pattern = re.compile(translate(re.sub(r"\\(.)", r"[\1]", op.pattern)))
        return [
            b"0",
            [key.encode("utf-8", "surrogatepass") for key in list(self._data) if pattern.match(key) and self._find(key) is not None],
        ]

    def _seize(self, op: ops.Seize) -> bytes:
        self._store(op.lease, op.mark, op.lease_ms)
        return b"OK"

    def _set(self, op: ops.Set) -> bytes:
        self._store(op.value, op.envelope, op.ttl_ms)
        return b"OK"

    def _announce(self, op: ops.Announce) -> bytes:
        self._store(op.stamp, op.fresh, op.ttl_ms)
        return b"OK"

    # ---- scripts

    def _is_there(self, key: str, seen: bytes, size: int = 0) -> bool:
        if not seen:
            return not isinstance(self._find(key), bytes) or not self._bytes(key)
        held = self._bytes(key) or b""
        return held.startswith(seen) and size in {0, len(held)}

    def _claim(self, op: ops.Claim) -> list[Any]:
        if not self._is_there(op.value, op.seen):
            return [0, self._bytes(op.value) or b""]
        holder = self._bytes(op.lease)
        if holder is not None and is_failure(holder) and holder[2:10] != op.digest:
            holder = None
        if holder not in {None, op.mark}:
            return [2, holder]
        self._store(op.lease, op.mark, op.lease_ms)
        return [1]

    def _state(self, op: ops.Stamp | ops.Bump | ops.Mark | ops.End) -> tuple[bytes | None, int, int]:
        """Return what is there as stamp, and the deadlines of its mark and of its writers, 0 where they have lapsed: tag_state.lua."""
        stamp, writers, now_ms = self._bytes(op.key), self._scores(op.writers), self._now_ms()
        writers = {each: deadline for each, deadline in writers.items() if deadline > now_ms}
        self._write(op.writers, writers)
        marked = dirty_until_ms(stamp)
        return stamp, marked if marked > now_ms else 0, max(writers.values(), default=0)

    def _stamp(self, op: ops.Stamp) -> bytes:
        now, *deadlines = self._state(op)
        if any(deadlines):
            return b"D:%d" % max(deadlines)
        if now is None or len(now) != _STAMP_BYTES:
            self._store(op.key, op.fresh, 2 * op.ttl_ms)
            return op.fresh
        now_ms, until = self._now_ms(), self._data[op.key][1]
        if not op.ttl_ms:
            until = float("inf")
        elif until < now_ms + op.ttl_ms:
            until = now_ms + 2 * op.ttl_ms
        self._data[op.key] = (now, until)
        return now

    def _commit(self, op: ops.Commit | ops.Replace) -> int:
        return self._put(op) if self._bytes(op.lease) == op.mark else 0

    def _replace(self, op: ops.Replace) -> int:
        if stored := self._commit(op):
            self._store(op.stamp, op.fresh, op.stamp_ttl_ms)
        return stored

    def _abandon(self, op: ops.Abandon) -> int:
        return self._drop(op.lease) if self._bytes(op.lease) == op.mark else 0

    def _fail(self, op: ops.Fail) -> int:
        if self._bytes(op.lease) != op.mark:
            return 0
        self._store(op.lease, op.record, op.ttl_ms)
        return 1

    def _extend(self, op: ops.Extend) -> int:
        if self._bytes(op.lease) != op.mark:
            return 0
        self._store(op.lease, op.mark, op.ttl_ms)
        return 1

    def _put(self, op: ops.Put | ops.Commit | ops.Replace | ops.Swap) -> int:
        self._store(op.value, op.envelope, op.ttl_ms)
        self._drop(op.lease)
        return 1

    def _swap(self, op: ops.Swap) -> int:
        return self._put(op) if self._is_there(op.value, op.seen, op.size) else 0

    def _incr(self, op: ops.Incr) -> list[Any]:
        raw = self._bytes(op.value)
        if raw is None:
            return [-1]
        entry = parse(raw)
        digits = bytes(entry.payload) if entry is not None and entry.codec == 1 and entry.flags < 4 else b""
        few = len(digits) <= _LUA_EXACT_DIGITS and len(str(op.by)) <= _LUA_EXACT_DIGITS
        if entry is None or not few or not re.fullmatch(rb"-?\d+", digits):
            return [0, raw]
        raw = entry.prefix + b"%d" % (int(digits) + op.by)
        self._keep(op.value, raw)
        self._drop(op.lease)
        return [1, raw]

    def _touch(self, op: ops.Touch) -> bytes | None:
        raw = entry_in(self._bytes(op.value))
        if raw is None or self.now_ms() >= int.from_bytes(raw[_FRESH_UNTIL], "little"):
            return None
        raw = raw[: _FRESH_UNTIL.start] + op.fresh_until + raw[_FRESH_UNTIL.stop :]
        self._store(op.value, raw, op.ttl_ms)
        self._drop(op.lease)
        return raw[:_PREFIX_BYTES]

    def _expire(self, op: ops.Expire) -> int:
        self._drop(op.lease)
        raw = entry_in(self._bytes(op.value))
        self._store(op.stamp, op.fresh, op.ttl_ms)
        if raw is None:
            return 0
        until = min(raw[_FRESH_UNTIL], op.fresh_until, key=lambda field: field[::-1])
        self._keep(op.value, raw[: _FRESH_UNTIL.start] + until + raw[_FRESH_UNTIL.stop :])
        return 1

    def _invalidate(self, op: ops.Invalidate) -> list[int]:
        dropped = 0 if was_set_since(self._find(op.value), op.since_ms) else self._drop(op.value)
        self._drop(op.lease)
        self._store(op.stamp, op.fresh, op.ttl_ms)
        return [dropped, 1]

    def _bump(self, op: ops.Bump) -> int:
        now, *deadlines = self._state(op)
        if now is not None and not any(deadlines):
            self._keep(op.key, op.fresh)
        return 1

    def _mark(self, op: ops.Mark) -> int:
        _, marked, latest = self._state(op)
        writers = self._scores(op.writers)
        if marked and not latest:
            writers[b"lost"] = marked
        is_new = op.transaction not in writers
        writers[op.transaction] = deadline = self._now_ms() + op.live_ms
        self._store(op.writers, _Sorted(writers), op.keep_ms)
        self._store(op.key, b"D:%d" % max(deadline, marked, latest), op.keep_ms)
        return int(is_new)

    def _end(self, op: ops.End) -> int:
        _, marked, _ = self._state(op)
        writers = self._scores(op.writers)
        was_there = writers.pop(op.transaction, None) is not None
        self._write(op.writers, writers)
        if writers or (marked and not was_there):
            return int(was_there)
        self._store(op.key, op.fresh, op.keep_ms)
        return int(was_there)

    def _acquire(self, op: ops.Acquire) -> int:
        now_ms, holder = self._now_ms(), self._bytes(op.holder)
        waiters = dict(self._hash(op.waiters) or {})
        queue = self._scores(op.queue)
        fence = int(waiters.get(b"fence", 0))
        if holder == op.token and fence:
            self._store(op.holder, op.token, op.ttl_ms)
            return fence
        take_places(op, queue, waiters, now_ms)
        is_ours = holder in {None, op.token} and comes_next(op.token, queue, waiters, now_ms)
        if is_ours:
            queue.pop(op.token, None)
            waiters.pop(op.token, None)
            fence = max(now_ms * 1000, fence + 1)
            waiters[b"fence"] = b"%d" % fence
            self._store(op.holder, op.token, op.ttl_ms)
        keep_ms = max(_LOCK_KEEP_MS, 2 * op.ttl_ms)
        for key, held in ((op.queue, queue and _Sorted(queue)), (op.waiters, waiters)):
            if held:
                self._store(key, held, keep_ms)
            else:
                self._drop(key)
        return fence if is_ours else -place_of(op.token, queue)

    def _release(self, op: ops.Release) -> int:
        queue, waiters = self._scores(op.queue), dict(self._hash(op.waiters) or {})
        queue.pop(op.token, None)
        self._write(op.queue, queue)
        if waiters.pop(op.token, None) is not None:
            self._keep(op.waiters, waiters)
        return self._drop(op.holder) if self._bytes(op.holder) == op.token else 0

    def _tablestart(self, op: ops.TableStart) -> bytes:
        held = self._find(op.key)
        if isinstance(held, dict) and (now := held.get(b"g")) is not None and now != op.seen:
            return now
        table = {b"%d" % row: content for row, content in enumerate(op.rows, op.first)}
        self._store(op.key, {**table, b"max": b"%d" % (op.first + len(op.rows) - 1), b"g": op.fence}, op.ttl_ms)
        return op.fence

    def _tableextend(self, op: ops.TableExtend) -> int:
        table = self._hash(op.key)
        if table is None or table.get(b"g") != op.fence or op.first > int(table[b"max"]) + 1:
            return 0
        added = 0
        for row, content in enumerate(op.rows, op.first):
            if row > int(table[b"max"]):
                table[b"%d" % row] = content
                table[b"max"] = b"%d" % row
                added += len(content)
        if op.max_bytes:
            size = int(table.get(b"bytes", 0)) + added
            low = int(table.get(b"min", op.first))
            while size > op.max_bytes and low <= int(table[b"max"]) - op.keep:
                size -= len(table.pop(b"%d" % low, b""))
                low += 1
            table |= {b"bytes": b"%d" % size, b"min": b"%d" % low}
        self._store(op.key, table, op.ttl_ms)
        return 1


class _WrongTypeError(Exception):
    """A name holds the other kind of value."""
