"""One coherent life of the near tier: from the moment the server began to push changes until the connection that it did so on was lost.

What is kept here was read from the server, and nothing that it depends on has been pushed since. Rules, each with the race that it closes:

1. *Fill token.* A fill brings the moment at which its read (or its claim) began. If the entry's key or a stamp that it carries was pushed
   after that moment, the fill is refused: the push may be of a change that the read has not seen, and would not come again.
2. *Held stamps.* A stamp that entries here carry is held, and need not be asked for again. It is looked up after the fill token was taken;
   an entry that was validated by it is filled by rule 1 like any other. Two different stamps of one tag prove that one of them is old:
   neither is held on. Nor does a stamp say anything of another run of the server, which may have older entries: who meets one pushes
   everything before it reads, and what was read by a stamp held from before that is read again.
3. *One step.* Checking, keeping and indexing is one step under the lock, and so is all that a push does. The moment moves on at the end of
   that: who takes a token while a push is worked off counts as having begun before it.
4. *Own effects.* What this process writes or invalidates itself is noted like a push, once the server has answered and before the caller
   has: a read that began earlier can no longer fill.
5. *The bound.* Nothing is served unless the bound lies in the future: it says up to when all pushes are known to have arrived. A hit loads
   the bound **before** the entry. The other way round, a push and a new bound could arrive in between, and the new one would vouch for the
   old entry.
6. *An end.* A generation that has ended has no entries, takes none, and its bound is minus infinity for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from afresh.core.envelope import Entry
from afresh.core.keys import Names, Namespace
from afresh.core.stamps import Needs
from afresh.near.pushes import Pushes
from afresh.near.sieve import Node, Sieve

if TYPE_CHECKING:
    from afresh.near.calls import Calls

__all__ = ["UNSHARED", "Generation", "Kept"]

# Stands for the value of an entry that is decoded for each hit.
UNSHARED: Any = object()
# How long a stamp that is held goes unread.
_IDLE_S = 5.0
# What a node, its key and its places in the indexes take, about.
_OVERHEAD_BYTES = 700


class Kept(Node):
    """An entry in the near tier.

    Attributes:
        key: the name of the value on the server.
        stamp_key: the name of its own stamp, which is pushed when the key is invalidated.
        entry: its header and stamps; the payload, too, if the value is not shared.
        needs: what the caller needed who filled it.
        depends: the stamps that it carries, by their names.
        until_s: when it ceases to be fresh, by `now_s`; minus infinity once it was dropped.
        value: what every hit returns, or `UNSHARED`.
        calls: by which calls of which functions it is found as well. See `afresh.near.calls`, of these three.
        generation: whose bound holds for it.
        kind: the class of the argument of a call with one.
    """

    __slots__ = ("calls", "depends", "entry", "generation", "kind", "needs", "stamp_key", "until_s", "value")
    generation: Generation
    kind: type | None

    def __init__(
        self, names: Names, entry: Entry, needs: Needs, depends: Mapping[str, bytes], until_s: float, value: Any, value_bytes: int | None
    ) -> None:
        is_shared = value is not UNSHARED
        # A shared object takes about as much as its bytes, unless these are compressed: then nobody knows.
        size_bytes = value_bytes if is_shared and value_bytes is not None else len(entry.raw)
        super().__init__(names.value, _OVERHEAD_BYTES + 200 * len(depends) + size_bytes)
        self.stamp_key = names.stamp
        self.entry = entry._replace(raw=entry.prefix) if is_shared else entry
        self.needs = needs
        self.depends = depends
        self.until_s = until_s
        self.value = value
        self.calls: dict[int, tuple[Calls, Any]] = {}

    def drop(self) -> None:
        """Be served no more. Marked first, then taken from where calls find it."""
        self.until_s = -inf
        for calls, key in tuple(self.calls.values()):
            calls.forget(key, self)


class _Held:
    """A stamp that entries carry, the keys of these entries, and when to read it again."""

    __slots__ = ("dependents", "idle_at_s", "stamp")

    def __init__(self, stamp: bytes, idle_at_s: float) -> None:
        self.stamp = stamp
        self.idle_at_s = idle_at_s
        self.dependents: set[str] = set()


class Generation:
    """Entries, the stamps that they carry, and what was pushed.

    Attributes:
        bound_s: nothing is served at or after this time, by `now_s`. Minus infinity until the first proof of coherence, and after the end.
        get: returns what is kept under the name of a value, whether it may be served or not. Needs no lock.
        max_age_s: how old an entry may get at most: infinity, unless the server does not push.
        pushes: what was pushed. Its `moment` is the fill token, to be taken before the read or the claim whose result may be filled.

    Args:
        namespace: whose names are pushed.
        max_entries: how many entries at most.
        max_bytes: how many bytes at most, about.
        max_age_s: see above.
    """

    __slots__ = ("_ended", "_held", "_lock", "_namespace", "_sieve", "bound_s", "get", "max_age_s", "pushes")

    def __init__(self, namespace: Namespace, *, max_entries: int, max_bytes: int, max_age_s: float = inf) -> None:
        self._namespace = namespace
        self.bound_s = -inf
        self.max_age_s = max_age_s
        self._ended = False
        self._lock = threading.RLock()  # re-entrant: see FlightTable
        self.pushes = Pushes()
        self._held: dict[str, _Held] = {}
        self._sieve: Sieve[Kept] = Sieve(max_entries=max_entries, max_bytes=max_bytes)
        self.get = self._sieve.get

    def __len__(self) -> int:
        return len(self._sieve)

    def pushed(self, *names: str) -> None:
        """Drop what depends on these names of the server: values, and stamps of keys and tags."""
        with self._lock:
            gone = self._note(names)
        del gone  # outside the lock: what a value's end calls may come back here

    def pushed_all(self) -> None:
        """Drop everything, as after a flush, or where pushes were lost."""
        with self._lock:
            self.pushes.note_all()
            gone = self._clear()
            self.pushes.passed()
        del gone

    def end(self) -> None:
        """Serve nothing any more, and keep nothing."""
        with self._lock:
            self._ended = True
            self.bound_s = -inf
            gone = self._clear()
        del gone

    def prove(self, bound_s: float) -> None:
        """Note that all pushes up to some time have arrived, so that entries may be served until the bound."""
        with self._lock:
            if not self._ended:
                self.bound_s = bound_s

    def held(self, name: str, at_s: float) -> bytes | None:
        """Return a stamp that need not be read. To be called after the fill token was taken, and trusted within the bound.

        Every few seconds it is read nevertheless: to a server that evicts what is idle, a stamp that nobody reads is the first to go, and
        with the namespace's go all entries.
        """
        found = self._held.get(name)
        if found is None or at_s >= found.idle_at_s:
            if found is not None:
                found.idle_at_s = at_s + _IDLE_S
            return None
        return found.stamp

    def silence(self, names: Sequence[str], mark: str, since: int) -> bool | None:
        """Say whether none of these was pushed between that moment and the mark; None until the mark was. False if nobody listened."""
        with self._lock:
            if self._ended or self.max_age_s != inf or not self.pushes.were_silent(names, since):
                return False
            return None if self.pushes.were_silent((mark,), since) else True

    def fill(self, kept: Kept, since: int, at_s: float = -inf, *, is_ours: bool = False) -> bool:
        """Keep an entry, if nothing that it depends on was pushed since that moment. True if it is kept.

        Args:
            kept: the entry.
            since: the fill token.
            at_s: when that was taken, if its stamps need not be read again soon.
            is_ours: this process has just stored it: note that like a push.
        """
        with self._lock:
            is_current = not self._ended and self.pushes.were_silent((kept.key, kept.stamp_key, *kept.depends), since)
            gone = self._note((kept.key,)) if is_ours else []
            held = self._held
            for name in [name for name, stamp in kept.depends.items() if name in held and held[name].stamp != stamp]:
                is_current = False
                gone += self._dependents(name)
            if is_current:
                evicted = self._sieve.put(kept)
                is_current = kept not in evicted
                gone += self._released(evicted)
            if is_current:
                for name, stamp in kept.depends.items():
                    held.setdefault(name, _Held(stamp, at_s + _IDLE_S)).dependents.add(kept.key)
        del gone
        return is_current

    def _note(self, names: Sequence[str]) -> list[Kept]:
        """Work off a push of these names, and return what was dropped. The lock is held."""
        self.pushes.note(names)
        gone = [kept for name in names for kept in self._dependents(name)]
        self.pushes.passed()
        return gone

    def _dependents(self, name: str) -> list[Kept]:
        """Drop the entry whose value or own stamp has this name, or those that carry this stamp. The lock is held."""
        held = self._held.pop(name, None)
        keys = held.dependents if held is not None else (self._namespace.value_of(name),)
        return self._released([kept for key in keys if (kept := self._sieve.pop(key)) is not None])

    def _released(self, gone: list[Kept]) -> list[Kept]:
        """Have entries that were taken out not be served, nor held for their sake the stamps that nobody else carries."""
        for kept in gone:
            kept.drop()
            for name in kept.depends:
                held = self._held.get(name)
                if held is not None:
                    held.dependents.discard(kept.key)
                    if not held.dependents:
                        del self._held[name]
        return gone

    def _clear(self) -> list[Kept]:
        self._held.clear()
        return self._released(self._sieve.clear())
