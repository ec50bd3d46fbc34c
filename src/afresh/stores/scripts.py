"""The Lua scripts as they lie in ``afresh/scripts``, and operations as command words."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, NamedTuple, Protocol, TypeAlias

from hiredis import pack_command

from afresh.core.ops import COMMANDS, SCRIPTS, Incr, Op, Scan
from afresh.errors import StoreRefused

__all__ = ["Exchange", "Script", "Word", "deliver", "packed_flight", "script", "words"]

Word: TypeAlias = str | bytes | int


class Exchange(Protocol):
    """Sends commands in one write and returns their replies; sends them `again` on a new connection if theirs was lost."""

    def __call__(self, commands: list[tuple[Word, ...]], *, again: bool) -> Awaitable[list[Any]]:
        """Return the replies, in order."""
        ...


def packed_flight(commands: Iterable[tuple[Word, ...]]) -> bytes:
    """Return commands as the server reads them."""
    return b"".join([pack_command(command) for command in commands])  # type: ignore[arg-type]  # hiredis declares one word, takes many


class Script(NamedTuple):
    """A script's source and the digest that EVALSHA knows it by."""

    source: str
    sha: str


@cache
def script(name: str) -> Script:
    """Return a script by its file's name. Read once: the files are part of the package and do not change."""
    source = (files("afresh") / "scripts" / f"{name}.lua").read_text("utf-8")
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def words(op: Op, *, with_source: bool = False) -> tuple[Word, ...]:
    """Return an operation as the words of a command.

    Args:
        op: the operation.
        with_source: send a script by its source (EVAL), for a server that does not know its digest yet.
    """
    if isinstance(op, Scan):
        return ("SCAN", op.cursor, "MATCH", op.pattern, "COUNT", op.batch)
    head: tuple[Word, ...] | None = COMMANDS.get(op.__class__)
    if head is None:
        name, keys = SCRIPTS[op.__class__]
        wanted = script(name)
        head = ("EVAL", wanted.source, keys) if with_source else ("EVALSHA", wanted.sha, keys)
    fields: tuple[Any, ...] = op
    if isinstance(fields[-1], tuple):  # it is always the last one
        fields = (*fields[:-1], *fields[-1])
    return (*head, *fields)


async def deliver(exchange: Exchange, batch: Sequence[Op]) -> list[Any]:
    """Exchange a flight, and tell the server the source of scripts that it does not know yet.

    A script that runs in the second exchange runs after the rest of its flight: no flow relies on the order within one.
    """
    # All may be repeated after their connection was lost but adding to a number.
    replies = await exchange([words(op) for op in batch], again=not any(op.__class__ is Incr for op in batch))
    unknown = [at for at, (op, reply) in enumerate(zip(batch, replies, strict=True)) if _is_unknown(op, reply)]
    if unknown:
        told = await exchange([words(batch[at], with_source=True) for at in unknown], again=False)
        for at, reply in zip(unknown, told, strict=True):
            replies[at] = reply
    return replies


def _is_unknown(op: Op, reply: object) -> bool:
    return isinstance(reply, StoreRefused) and reply.code == "NOSCRIPT" and op.__class__ in SCRIPTS
