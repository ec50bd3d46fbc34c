"""The near tier as the flows see it: what may be served, what may be filled, and what must be dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any, NamedTuple

from afresh.core.envelope import Entry, Flag
from afresh.core.reads import Hit, Request
from afresh.errors import UndecodablePayload
from afresh.near.calls import Call, Calls
from afresh.near.clock import now_s
from afresh.near.generation import UNSHARED, Generation, Kept
from afresh.near.sharing import immutable_bytes
from afresh.near.tier import NearTier

__all__ = ["NearAccess", "Token"]


class Token(NamedTuple):
    """When a read or a claim began, and in which generation: what a fill needs."""

    generation: Generation
    moment: int
    at_s: float

    def is_unbroken(self) -> bool:
        """Say whether since then the generation has not ended, and not everything was pushed, as by who meets another run."""
        return self.generation.bound_s != -inf and self.generation.pushes.are_known(self.moment)


class NearAccess:
    """A tier for the flows. See `afresh.core.ports.Near`.

    Args:
        tier: whose generation of the moment is used.
        clock: the clock of its bounds.
    """

    def __init__(self, tier: NearTier, clock: Callable[[], float] = now_s) -> None:
        self._tier = tier
        self._now_s = clock

    def hit(self, request: Request, /) -> Hit | None:
        """See `afresh.core.ports.Near`."""
        generation = self._tier.generation
        bound_s = generation.bound_s  # before the entry: rule 5
        kept = _kept(generation, request)
        if kept is None:
            return None
        value, until_s = kept.value, kept.until_s
        now = self._now_s()
        if now >= bound_s or now >= until_s:
            return None
        if value is UNSHARED and (value := _decoded(request, kept.entry)) is UNSHARED:
            return None
        kept.visited = True
        return Hit(value, is_negative=bool(kept.entry.flags & Flag.NEGATIVE), near=True)

    def token(self) -> Token:
        """See `afresh.core.ports.Near`."""
        generation = self._tier.generation
        return Token(generation, generation.pushes.moment, self._now_s())

    def held(self, token: Token, names: Sequence[str], /) -> Sequence[bytes | None]:
        """See `afresh.core.ports.Near`."""
        generation = token.generation
        bound_s = generation.bound_s  # before the stamps: rule 5
        stamps = [generation.held(name, token.at_s) for name in names]
        # Where nothing is pushed, an old stamp would let new entries seem young.
        return stamps if self._now_s() < bound_s and generation.max_age_s == inf else [None] * len(names)

    def fill(self, token: Token, request: Request, entry: Entry, value: Any, fresh_ms: float, /, *, is_ours: bool = False) -> None:
        """See `afresh.core.ports.Near`."""
        generation = token.generation
        until_s = min(self._now_s() + fresh_ms / 1000, token.at_s + generation.max_age_s)
        room = immutable_bytes(value)
        if entry.flags & Flag.NEGATIVE or (room is None and not request.share):
            value = UNSHARED
        elif room is None and is_ours:
            value = _decoded(request, entry)  # the object that was computed belongs to who computed it
        depends = request.needs.carried_by(entry, request.namespace) if request.namespace is not None else {}
        kept = Kept(request.names, entry, request.needs, depends, until_s, value, room)
        generation.fill(kept, token.moment, token.at_s, is_ours=is_ours)

    def remember(self, request: Request, calls: Calls, call: Call, /) -> None:
        """Have a call find what there is for its request, if that is no exception."""
        generation = self._tier.generation
        kept = _kept(generation, request)
        if kept is not None and not kept.entry.flags & Flag.NEGATIVE:
            calls.remember(call, kept, generation)

    def silence(self, token: Token, names: Sequence[str], mark: str, /) -> bool | None:
        """See `afresh.core.ports.Near`."""
        return token.generation.silence(names, mark, token.moment)

    def drop(self, names: Iterable[str], /) -> None:
        """See `afresh.core.ports.Near`."""
        self._tier.generation.pushed(*names)


def _decoded(request: Request, entry: Entry) -> Any:
    """Return an entry's value as an object of its own; `UNSHARED` if it does not decode."""
    try:
        return request.values.decode(request.names.value, entry)
    except UndecodablePayload:
        return UNSHARED


def _kept(generation: Generation, request: Request) -> Kept | None:
    """Return what is kept for a request, whether it may be served or not."""
    kept = generation.get(request.names.value)
    if kept is None or (kept.needs is not request.needs and not request.needs.are_covered_by(kept.entry)):
        return None
    return kept if kept.entry.schema == request.values.schema else None
