"""What a flow may ask of a store: one class per command or script, each on one slot but for `GetEach` and `Unlink`.

A flow sends a *flight*: a list of operations that leave in one write and come back in order. The fields of a script's operation are
its KEYS and then its ARGV, in order, so a store needs no table of arguments; `afresh/scripts/<name>.lua` says what each does.
Bytes go in, bytes come out: no operation knows of values, codecs or policies.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

__all__ = [
    "Abandon",
    "Acquire",
    "Announce",
    "Bump",
    "Claim",
    "Commit",
    "End",
    "Expire",
    "Extend",
    "Fail",
    "Get",
    "GetEach",
    "HashGet",
    "HashSet",
    "Incr",
    "Invalidate",
    "Mark",
    "Op",
    "Put",
    "Release",
    "Replace",
    "Scan",
    "Seize",
    "Set",
    "Stamp",
    "Swap",
    "TableExtend",
    "TableStart",
    "Touch",
    "Unlink",
]


class Get(NamedTuple):
    """GET. Reply: bytes or None."""

    key: str


class GetEach(NamedTuple):
    """MGET, of any slots: where keys are spread over servers, the store asks each for its own. Reply: one bytes or None per key.

    A key that holds something else than text counts as absent.
    """

    keys: tuple[str, ...]


class HashGet(NamedTuple):
    """HMGET. Reply: one bytes or None per field."""

    key: str
    fields: tuple[str, ...]


class HashSet(NamedTuple):
    """HSET. Reply: how many fields are new."""

    key: str
    fields: tuple[str | bytes, ...]


class Unlink(NamedTuple):
    """UNLINK, of any slots, as `GetEach`. Reply: how many there were."""

    key: str
    more: tuple[str, ...] = ()


class Scan(NamedTuple):
    """SCAN cursor MATCH pattern COUNT n. Reply: [next cursor, keys]."""

    cursor: int
    pattern: str
    batch: int


class Seize(NamedTuple):
    """PSETEX: take the lease from whoever has it. Reply: OK."""

    lease: str
    lease_ms: int
    mark: bytes


class Announce(NamedTuple):
    """PSETEX: renew a key's own stamp, which is pushed to those who keep copies of the entry. Reply: OK."""

    stamp: str
    ttl_ms: int
    fresh: bytes


class Claim(NamedTuple):
    """Take the lease, if the entry is still what the reader saw. Reply: [0, the entry that changed] | [1] ours | [2, the holder's mark].

    The record of a failure holds the lease against those who would compute under the stamps with its `digest`, and nobody else.
    """

    value: str
    lease: str
    seen: bytes
    mark: bytes
    lease_ms: int
    digest: bytes = b""


class Stamp(NamedTuple):
    """Read a stamp, creating it if there is none, and see to it that it lives `ttl_ms` more at least (0: for ever).

    Reply: the stamp; or a mark, while transactions are open.
    """

    key: str
    writers: str
    fresh: bytes
    ttl_ms: int


class Commit(NamedTuple):
    """Store the entry and drop the lease, if the lease is still ours. Reply: 1 stored, 0 not."""

    value: str
    lease: str
    mark: bytes
    envelope: bytes
    ttl_ms: int


class Replace(NamedTuple):
    """Do what `Commit` does, and renew the key's own stamp with it, as `Announce` does: both or neither. Replies as that."""

    value: str
    lease: str
    stamp: str
    mark: bytes
    envelope: bytes
    ttl_ms: int
    fresh: bytes
    stamp_ttl_ms: int


class Abandon(NamedTuple):
    """Drop the lease, if it is still ours. Reply: 1 dropped, 0 not."""

    lease: str
    mark: bytes


class Fail(NamedTuple):
    """Leave the record of a failure in place of the lease for `ttl_ms`, if the lease is still ours. Reply: 1 it is there, 0 not."""

    lease: str
    mark: bytes
    record: bytes
    ttl_ms: int


class Extend(NamedTuple):
    """Let the lease live on for `ttl_ms`, if it is still ours. Reply: 1 it does, 0 not."""

    lease: str
    mark: bytes
    ttl_ms: int


class Set(NamedTuple):
    """PSETEX: store the entry whatever is there. End the claims on it before, by `Unlink`: together they do what `Put` does. Reply: OK."""

    value: str
    ttl_ms: int
    envelope: bytes


class Put(NamedTuple):
    """Store the entry whatever is there (`ttl_ms` 0: for ever), and end any compute's claim on it. Reply: 1."""

    value: str
    lease: str
    envelope: bytes
    ttl_ms: int


class Swap(NamedTuple):
    """Put, if what is there begins with `seen` (b"": if nothing is there) and is `size` bytes in all (0: any size).

    Reply: 1 stored, 0 something else is there.
    """

    value: str
    lease: str
    seen: bytes
    size: int
    envelope: bytes
    ttl_ms: int


class Incr(NamedTuple):
    """Add to an integer entry of few digits. Reply: [1, envelope as it is now] | [0, envelope: do it by Swap] | [-1] absent."""

    value: str
    lease: str
    by: int


class Touch(NamedTuple):
    """Give a fresh entry a new lifetime (0: for ever). `fresh_until` is its header field.

    Reply: its prefix (and some payload), or None if there is none that is fresh.
    """

    value: str
    lease: str
    fresh_until: bytes
    ttl_ms: int


class Expire(NamedTuple):
    """End an entry's being fresh, drop the lease and renew the key's stamp for `ttl_ms`. `fresh_until` is its header field.

    Reply: 1 if there was an entry, else 0.
    """

    value: str
    lease: str
    stamp: str
    fresh_until: bytes
    fresh: bytes
    ttl_ms: int


class Invalidate(NamedTuple):
    """Drop the entry and the lease and renew the key's stamp for `ttl_ms`. Reply: [entries dropped, 1 if the stamp was renewed].

    An entry that was set, not computed, after `since_ms` (0: never) stays.
    """

    value: str
    lease: str
    stamp: str
    fresh: bytes
    ttl_ms: int
    since_ms: int = 0


class Bump(NamedTuple):
    """Renew a tag's stamp if there is one; a dirty one stays dirty; a full server drops it. Reply: 1."""

    key: str
    writers: str
    fresh: bytes


class Mark(NamedTuple):
    """Keep a tag dirty for a transaction, for `live_ms` from now on: its beginning and its renewal. Reply: 1 it begins, 0 it was open."""

    key: str
    writers: str
    transaction: bytes
    live_ms: int
    keep_ms: int


class End(NamedTuple):
    """End a transaction's mark on a tag; the last one out renews the stamp. Reply: 1 the mark was there, 0 it had lapsed or was lost."""

    key: str
    writers: str
    transaction: bytes
    fresh: bytes
    keep_ms: int


class Acquire(NamedTuple):
    """Take a lock for `ttl_ms` if it is free and nobody waits in front of `token`, or have that and `others` wait in line, in this order.

    A place is kept for `patience_ms` from now on; 0: none is taken. Reply: the fence of a lock that is ours; else minus
    its place in the line, 0 without one.
    """

    holder: str
    queue: str
    waiters: str
    token: bytes
    ttl_ms: int
    patience_ms: int
    others: tuple[bytes, ...]


class Release(NamedTuple):
    """Give up a lock, or one's place in the line. Reply: 1 it was ours, 0 it was not."""

    holder: str
    queue: str
    waiters: str
    token: bytes


class TableStart(NamedTuple):
    """Begin a memo table anew with its rows `first`, `first`+1, …, if its fence is still `seen` (b"": none). Reply: the fence now."""

    key: str
    seen: bytes
    fence: bytes
    ttl_ms: int
    first: int
    rows: tuple[bytes, ...]


class TableExtend(NamedTuple):
    """Write rows `first`, … under an unchanged fence, if they touch the table, and drop the lowest beyond `max_bytes` (0: none).

    The `keep` highest rows always stay. Reply: 1 written, 0 refused.
    """

    key: str
    fence: bytes
    ttl_ms: int
    max_bytes: int
    keep: int
    first: int
    rows: tuple[bytes, ...]


Op: TypeAlias = (
    Get
    | GetEach
    | HashGet
    | HashSet
    | Unlink
    | Scan
    | Seize
    | Set
    | Announce
    | Claim
    | Stamp
    | Commit
    | Replace
    | Abandon
    | Fail
    | Extend
    | Put
    | Swap
    | Incr
    | Touch
    | Expire
    | Invalidate
    | Bump
    | Mark
    | Acquire
    | Release
    | End
    | TableStart
    | TableExtend
)
