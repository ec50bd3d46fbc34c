"""Whether a server is still the one that it was: a restarted one may have loaded a snapshot from before an invalidation.

A snapshot holds an entry and the stamps that it was stored under, from one moment. So an entry that was invalidated after the snapshot is
valid again. The same goes for a replica that takes its primary's place. Whoever opens a connection compares the run id, which a server
draws when it starts, with the one that this process knew, and with the one that is *noted* on the server itself, beside the stamps. If
either differs, the namespace's stamp is bumped before anything is read, and then all is a miss; then the new id is noted.

Races considered: several connections notice at once (each bumps before it reads; more bumps than one do no harm); who notices first was
not there before (the note tells); the note was evicted (who was there before tells; that it is missing is no reason to bump, since
evicting it must not empty the namespace). Accepted: the note had been evicted when the snapshot was taken, and nobody is left who knew the
server before; a server that hides its run id (its ACL refuses INFO, or a proxy answers).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

__all__ = ["NOTE_MS", "ServerRun", "is_replica", "run_id_of"]

# Nobody needs the note for longer than entries live.
NOTE_MS: Final = 30 * 24 * 3600 * 1000
_RUN_ID = re.compile(r"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)


def run_id_of(info: object) -> str | None:
    """Return what tells one run of the server from another, of the reply to ``INFO server``; None where it is not told."""
    text = info.decode("utf-8", "replace") if isinstance(info, bytes) else info
    found = _RUN_ID.search(text) if isinstance(text, str) else None
    return found[1] if found else None


def is_replica(info: object) -> bool:
    """Say whether the reply to ``INFO replication`` is a replica's. It has its primary's data, the note among them, and takes no bump."""
    return isinstance(info, bytes) and b"role:slave" in info


class ServerRun:
    """Which run of a server is known here.

    Whoever opens a connection asks `is_another` first; if it is, bumps; then `settle`s. Others who connect meanwhile bump as well: nobody
    reads before a bump of his own or one that was done.

    Args:
        on_another: called when a run other than the one known is being settled: before anybody takes it for the one known. By several who
            meet it at once, several times.
    """

    __slots__ = ("_known", "_on_another")

    def __init__(self, on_another: Callable[[], object] | None = None) -> None:
        self._known: str | None = None
        self._on_another = on_another

    def is_another(self, run_id: str | None, noted: object = None) -> bool:
        """Say whether the server was restarted, or another took its place. A server that hides its run is taken for the same.

        Args:
            run_id: the server's.
            noted: what its data say that it is: bytes, or anything else if they do not.
        """
        if run_id is None:
            return False
        return self._known not in {None, run_id} or (isinstance(noted, bytes) and noted != run_id.encode())

    def settle(self, run_id: str | None) -> None:
        """Note that nothing from before this run is served any more."""
        if run_id is None:
            return
        if self._known not in {None, run_id} and self._on_another is not None:
            self._on_another()
        self._known = run_id
