"""The near tier of an engine: one generation after another."""

from __future__ import annotations

from math import inf

from afresh.core.keys import Namespace
from afresh.near.generation import Generation
from afresh.near.neighbours import join, leave
from afresh.near.options import Near

__all__ = ["NearTier"]


class NearTier:
    """What a listener tells of coherence. For the rules see `afresh.near.generation`.

    A listener begins a generation once the server pushes changes to it, extends its bound at every proof of coherence, and ends it when
    that cannot be given any more. Until then nothing is served, and nothing is kept.

    Args:
        options: the bounds.
        namespace: whose entries are kept.
        outside: what the names of entries begin with that are kept outside of it; nothing if there are none.

    Attributes:
        generation: the one of now; replaced as a whole.
        options: the bounds.
        heads: what all names begin with that anything kept here depends on.
    """

    def __init__(self, options: Near, namespace: Namespace, outside: str = "") -> None:
        self.options = options
        self.heads = (f"{namespace.name}:", outside) if outside else (f"{namespace.name}:",)
        self._namespace = namespace
        self.generation = self._new(inf)
        self.generation.end()

    def begin(self, *, max_age_s: float = inf) -> Generation:
        """Begin a generation, and return it. Its bound is to be extended before anything is served.

        Args:
            max_age_s: how old an entry may get, where the server does not push: nothing else tells that it has changed then.
        """
        self.generation.end()
        join(self)
        self.generation = self._new(max_age_s)
        return self.generation

    def extend(self, bound_s: float) -> None:
        """Note that all that was pushed up to some time has arrived: entries may be served until the bound, by `now_s`."""
        self.generation.prove(bound_s)

    def end(self) -> None:
        """Serve and keep nothing until the next `begin`."""
        self.generation.end()
        leave(self)

    def forget(self) -> None:
        """Begin anew without what the parent process had, whose locks may be held for ever."""
        leave(self)
        self.generation.bound_s = -inf  # functions' calls find its entries still
        self.generation = self._new(inf)
        self.generation.end()

    def _new(self, max_age_s: float) -> Generation:
        options = self.options
        return Generation(self._namespace, max_entries=options.max_entries, max_bytes=options.max_bytes, max_age_s=max_age_s)
