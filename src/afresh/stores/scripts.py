"""The Lua scripts as they lie in ``afresh/scripts``, and operations as command words."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import sha1
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from hiredis import pack_command

from afresh.core import ops
from afresh.core.ops import Get, GetEach, HashGet, Op, Scan, Set, Unlink
from afresh.core.repeats import may_repeat, repeated
from afresh.errors import StoreRefused

__all__ = ["COMMANDS", "SCRIPTS", "Exchange", "Script", "Word", "deliver", "packed", "reading", "reads_remembered", "script", "words"]

# No numbers: hiredis (3.5) ends the process where a signal's handler raises while it turns one into text.
Word: TypeAlias = str | bytes

_MOST_REMEMBERED: Final = 1024
# As RESP has them, filled in by Python in half the time that hiredis takes.
_UNLINK: Final = b"*2\r\n$6\r\nUNLINK\r\n$%d\r\n%b\r\n"
_GET: Final = b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n"
_PSETEX: Final = b"*4\r\n$6\r\nPSETEX\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"

_READS: Final = frozenset((Get, GetEach))
# The words before an operation's fields. A last field that is a tuple is laid out flat.
COMMANDS: Final[Mapping[type, tuple[str, ...]]] = MappingProxyType(
    {
        ops.Get: ("GET",),
        ops.GetEach: ("MGET",),
        ops.HashGet: ("HMGET",),
        ops.HashSet: ("HSET",),
        ops.Unlink: ("UNLINK",),
        ops.Seize: ("PSETEX",),
        ops.Set: ("PSETEX",),
        ops.Announce: ("PSETEX",),
    }
)
# The script's name and how many of the operation's first fields are its keys.
SCRIPTS: Final[Mapping[type, tuple[str, int]]] = MappingProxyType(
    {
        ops.Claim: ("claim", 2),
        ops.Stamp: ("stamp", 2),
        ops.Commit: ("commit", 2),
        ops.Replace: ("replace", 3),
        ops.Abandon: ("abandon", 1),
        ops.Fail: ("fail", 1),
        ops.Extend: ("extend", 1),
        ops.Put: ("put", 2),
        ops.Swap: ("swap", 2),
        ops.Incr: ("incr", 2),
        ops.Touch: ("touch", 2),
        ops.Expire: ("expire", 3),
        ops.Invalidate: ("invalidate", 3),
        ops.Bump: ("bump", 2),
        ops.Mark: ("mark", 2),
        ops.Acquire: ("acquire", 3),
        ops.Release: ("release", 3),
        ops.End: ("end", 2),
        ops.TableStart: ("table_start", 1),
        ops.TableExtend: ("table_extend", 1),
    }
)


class Exchange(Protocol):
    """Sends packed commands in one write; if their connection was lost, what `again` gives instead, once, on a new one."""

    def __call__(self, packed: bytes, count: int, spent_s: float, *, again: Callable[[], bytes] | None) -> Awaitable[list[Any]]:
        """Return the replies, in order, after so much of the budget was spent."""
        ...


class Script(NamedTuple):
    """A script's source and the digest that EVALSHA knows it by."""

    source: str
    sha: str


def script(name: str) -> Script:
    """Return a script by its file's name."""
    return _scripts()[name]


@cache
def _scripts() -> dict[str, Script]:
    """Read all the scripts, once: who needs the next one may have no stack left to go through the import system."""
    sources = {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in (files("afresh") / "scripts").iterdir()
        if file.name.endswith(".lua")
    }
    tag_state = sources.pop("tag_state")
    whole = {name: tag_state + source if "tag_state.lua" in source else source for name, source in sources.items()}
    return {name: Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest()) for name, source in whole.items()}


def words(op: Op, *, with_source: bool = False) -> tuple[Word, ...]:
    """Return an operation as the words of a command.

    Args:
        op: the operation.
        with_source: send a script by its source (EVAL), for a server that does not know its digest yet.
    """
    if op.__class__ is Get:  # those that nearly all flights are made of
        return ("GET", op.key)
    if op.__class__ is GetEach:
        return ("MGET", *op.keys)
    if op.__class__ is HashGet:
        return ("HMGET", op.key, *op.fields)
    if op.__class__ is Set:
        return ("PSETEX", op.value, str(op.ttl_ms), op.envelope)
    if op.__class__ is Unlink:
        return ("UNLINK", op.key, *op.more)
    if op.__class__ is Scan:
        return ("SCAN", str(op.cursor), "MATCH", op.pattern, "COUNT", str(op.batch))
    head: tuple[Word, ...] | None = COMMANDS.get(op.__class__)
    if head is None:
        name, keys = SCRIPTS[op.__class__]
        wanted = script(name)
        head = ("EVAL", wanted.source, str(keys)) if with_source else ("EVALSHA", wanted.sha, str(keys))
    fields: tuple[Any, ...] = op
    if isinstance(fields[-1], tuple):  # it is always the last one
        fields = (*fields[:-1], *fields[-1])
    return (*head, *[str(field) if isinstance(field, int) else field for field in fields])


def packed(op: Op, *, with_source: bool = False) -> bytes:
    """Return an operation as the server reads it. See `words`."""
    if op.__class__ is Get:
        name = op[0].encode()
        return _GET % (len(name), name)
    if op.__class__ is Set:
        name, ttl_ms, envelope = op[0].encode(), b"%d" % op[1], op[2]
        return _PSETEX % (len(name), name, len(ttl_ms), ttl_ms, len(envelope), envelope)
    if op.__class__ is Unlink and not op[1]:
        name = op[0].encode()
        return _UNLINK % (len(name), name)
    data: bytes = pack_command(words(op, with_source=with_source))  # type: ignore[arg-type]  # hiredis declares one word, takes many
    return data


def reading(batch: Sequence[Op]) -> bytes | None:
    """Return a flight that does nothing but read as the server reads it; None for any other. Such a flight may be sent again as it is."""
    parts: list[bytes] = []
    for op in batch:
        if op.__class__ not in _READS:
            return None
        parts.append(packed(op))
    return b"".join(parts)


def reads_remembered() -> Callable[[tuple[Op, ...]], bytes | None]:
    """Return `reading` with a memory of what is read along with entries: mostly the stamps of a function and of the namespace."""
    return lru_cache(_MOST_REMEMBERED)(reading)


async def deliver(exchange: Exchange, batch: Sequence[Op], spent_s: float) -> list[Any]:
    """Exchange a flight, and tell the server the source of scripts that it does not know yet.

    A script that runs in the second exchange runs after the rest of its flight: no flow relies on the order within one.
    """
    again = (lambda: b"".join(map(packed, repeated(batch, os.urandom)))) if may_repeat(batch) else None
    started = time.monotonic() - spent_s
    replies = await exchange(b"".join(map(packed, batch)), len(batch), spent_s, again=again)
    if StoreRefused in map(type, replies):
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, StoreRefused) and reply.code == "NOSCRIPT"]
        if unknown:
            sources = b"".join([packed(batch[at], with_source=True) for at in unknown])
            found = await exchange(sources, len(unknown), time.monotonic() - started, again=None)
            for at, reply in zip(unknown, found, strict=True):
                replies[at] = reply
    return replies
