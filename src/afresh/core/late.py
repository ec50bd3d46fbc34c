"""Invalidations that the server may not have: what may not be served or stored until it has, and how they are repeated.

A name is *withheld* from the moment that its invalidation has failed, or that nobody knows what came of it, until it was applied: this
process reads nothing under it and stores nothing. Others do, since nobody can tell them. The invalidation is repeated until the server
has it, by the same scripts.

Races considered: the invalidation was applied, and only its reply lost (repeating it costs a miss); something was `set` under the key
since it was called (the script keeps an entry that was set, not computed, and is younger than the call: what was computed may have begun
before, whatever its age, and goes); it is called again while it is being repeated (what is withheld then is the later call, and stays); a
compute began before the call and ends after it (nothing is stored under a withheld name, and only who called before the compute began
shares its value).

Accepted: what is *set* by a process whose clock is off by some milliseconds counts as set that much earlier or later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from afresh.core.keys import Namespace
from afresh.core.ports import Ports
from afresh.core.writes import Target, attempt
from afresh.errors import StoreError

__all__ = ["Invalidations", "Late", "folded", "late_of", "replay"]


class Late(NamedTuple):
    """An invalidation, and when it was called, by the server's clock."""

    target: Target
    called_ms: int

    @property
    def name(self) -> str:
        """What is invalidated: an entry, or a stamp."""
        name = self.target.stamp if self.target.names is None else self.target.names.value
        assert name is not None
        return name


class Invalidations(Protocol):
    """Sees to it that none is lost."""

    def applied(self, targets: Sequence[Target], called_ms: int) -> None:
        """The server has these."""
        ...

    def failed(self, targets: Sequence[Target], called_ms: int, error: BaseException) -> None:
        """It may not have these: withhold them and repeat them."""
        ...

    def reason(self) -> StoreError:
        """Return an error that says why some are withheld."""
        ...


def late_of(targets: Sequence[Target], called_ms: int) -> dict[str, Late]:
    """Return the invalidations of one call, by name."""
    return {late.name: late for late in (Late(target, called_ms) for target in targets)}


def folded(lates: Mapping[str, Late], namespace: Namespace, most: int) -> tuple[dict[str, Late], Collection[str]]:
    """Return what to keep of too many: one bump of the namespace stands for all that is in it. And the names that this loses.

    What is not in the namespace, such as entries of Django's cache, has no part in its stamp: of these the oldest are lost, if there are
    still too many.
    """
    if len(lates) <= most:
        return dict(lates), ()
    own = (f"{namespace.name}:v:{{", f"{namespace.name}:t:{{")
    called_ms = max(late.called_ms for late in lates.values())
    outside = {name: late for name, late in lates.items() if not name.startswith(own)}
    lost = list(outside)[: max(0, len(outside) + 1 - most)]
    kept = {name: late for name, late in outside.items() if name not in set(lost)}
    return kept | late_of([Target(None, namespace.tag.key)], called_ms), lost


async def replay(ports: Ports, lates: Sequence[Late]) -> tuple[list[Late], StoreError | None]:
    """Repeat invalidations. Returns those that the server has now, and what it said to the first of the others.

    Cost: 1 round trip; 1 more if the server is full.
    """
    try:
        replies = await attempt(ports, [late.target for late in lates], since_ms=[late.called_ms for late in lates])
    except StoreError as error:
        return [], error
    failures = [reply for reply in replies if isinstance(reply, StoreError)]
    applied = [late for late, reply in zip(lates, replies, strict=True) if not isinstance(reply, StoreError)]
    return applied, failures[0] if failures else None
