"""Plain puts: all that they need is that the stamps are still those that this process saw last.

Nearly all puts are: of an application's keys, without tags, with a ttl. What they send is made here, and what the server says to it is
judged here, for flows and for threads that put without one; everything else is for `afresh.core.writes.put_many`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from afresh.core.batches import MOST_AT_ONCE, Alike
from afresh.core.commits import envelope_of, prefix_of
from afresh.core.envelope import Flag
from afresh.core.ops import Op, Set, Unlink
from afresh.core.policy import hard_ttl_ms
from afresh.core.ports import Ports
from afresh.core.reads import Request
from afresh.core.stamps import Needs
from afresh.errors import StoreRefused

__all__ = ["PlainPut", "Puts", "plain_put", "plain_puts", "unlinking", "was_put"]

# The vector that something is written under, and what writes it. May be sent twice.
PlainPut: TypeAlias = tuple[bytes, tuple[Op, ...]]


class Puts(NamedTuple):
    """Values for several entries of one namespace that are wanted in the same way.

    Attributes:
        wanted: the entries.
        leases: the names of their leases.
        values: for each.
    """

    wanted: Alike
    leases: Sequence[str]
    values: Sequence[object]

    def pairs(self) -> list[tuple[Request, object]]:
        """Return a request for each value."""
        return list(zip(self.wanted.requests(), self.values, strict=True))


def plain_put(ports: Ports, request: Request, value: object) -> PlainPut | None:
    """Return what puts a value; None: that takes a flow.

    Raises:
        UnencodableValue: if it cannot be stored.
    """
    ttl_ms = request.policy.ttl_for(value)
    vector = _vector(ports, request.needs, ttl_ms)
    if vector is None:
        return None
    (name, lease, _), new = request.names, tuple.__new__  # what Set(…) does before takes longer than all the rest
    envelope = envelope_of(ports, request, request.values.encode(value), vector, ttl_ms=ttl_ms)
    return vector, (new(Unlink, (lease, ())), new(Set, (name, hard_ttl_ms(ttl_ms, request.policy.kept_ms), envelope)))


def plain_puts(ports: Ports, puts: Puts) -> PlainPut | None:
    """Do what `plain_put` does, for several values, of which the first one says the ttl."""
    (like, names, _), leases, values = puts
    ttl_ms = like.policy.ttl_for(values[0])
    vector = _vector(ports, like.needs, ttl_ms)
    if vector is None:
        return None
    encoded = [*map(like.values.encode, values)]
    px_ms, seal, new = hard_ttl_ms(ttl_ms, like.policy.kept_ms), like.values.seal, tuple.__new__  # as above
    kinds = {(each[0], each[1], each[3]): each for each in encoded}  # codec, flags, dictionary: mostly one for all
    prefixes = {kind: prefix_of(ports, like, each, vector, ttl_ms=ttl_ms) for kind, each in kinds.items()}
    sets = [
        new(Set, (name, px_ms, seal(name, prefixes[each[0], each[1], each[3]], each))) for name, each in zip(names, encoded, strict=True)
    ]
    return vector, (*unlinking(leases), *sets)


def was_put(ports: Ports, needs: Needs, plain: PlainPut, replies: Sequence[Any]) -> bool:
    """Say whether everything was stored under the stamps as they are now; note these if not, so that the next guess is right.

    Args:
        ports: who remembers.
        needs: of the requests.
        plain: what was sent.
        replies: to that, and to `needs.reads` after it.
    """
    vector, ops = plain
    stamps = replies[len(ops) :]
    if needs.vector(stamps) == vector and StoreRefused not in map(type, replies):
        return True
    ports.remembered.learn(dict(zip([get.key for get in needs.reads], stamps, strict=True)))
    return False


def unlinking(names: Sequence[str]) -> list[Op]:
    """Return what drops these names."""
    starts = range(0, len(names), MOST_AT_ONCE)
    return [Unlink(names[at], tuple(names[at + 1 : at + MOST_AT_ONCE])) for at in starts]


def _vector(ports: Ports, needs: Needs, ttl_ms: int | None) -> bytes | None:
    """Return the vector to write under, if nothing is to be made sure of before, or told to others after."""
    is_bare = len(needs.tags) == needs.implicit and not needs.flags & Flag.FUNCTION  # under the namespace's stamp at most
    return ports.remembered.vector(needs) if is_bare and ttl_ms else None  # PSETEX has no way to say "for ever"
