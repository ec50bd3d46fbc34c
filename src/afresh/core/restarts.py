"""Whether a server is still the one that it was: a restarted one may have loaded a snapshot from before an invalidation.

A snapshot holds an entry and the stamps that it was stored under, from one moment. So an entry that was invalidated after the snapshot is
valid again. Only who knew the server before can tell. They bump the namespace's stamp before they read anything, and then all is a miss;
doing so twice, as when several connections notice, is harmless.
"""

from __future__ import annotations

import re

__all__ = ["ServerRun", "run_id_of"]

_RUN_ID = re.compile(r"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)


def run_id_of(info: object) -> str | None:
    """Return what tells one run of the server from another, of the reply to ``INFO server``; None where it is not told."""
    text = info.decode("utf-8", "replace") if isinstance(info, bytes) else info
    found = _RUN_ID.search(text) if isinstance(text, str) else None
    return found[1] if found else None


class ServerRun:
    """Which run of a server is known here.

    Whoever opens a connection asks `is_another` first; if it is, bumps; then `settle`s. Others who connect meanwhile bump as well: nobody
    reads before a bump of his own or one that was done.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: str | None = None

    def is_another(self, run_id: str | None) -> bool:
        """Say whether the server was restarted, or another took its place. A server that hides its run is taken for the same."""
        return run_id is not None and self._known is not None and run_id != self._known

    def settle(self, run_id: str | None) -> None:
        """Note that nothing from before this run is served any more."""
        self._known = run_id or self._known
