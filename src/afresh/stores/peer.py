"""What this process knows of its server: the time there, its run, and the connections that may still bring it late bytes.

A new connection begins with one round trip that says who we are and asks who it is; if its run is another one (`afresh.core.restarts`), a
second one bumps the namespace before anything is read.

A flight that was not answered in time may lie somewhere on the way: in a half-open path, or in the socket of a server that is stopped.
Were it to arrive after a later write of the same name, it would undo that. So the connections of such flights are *suspects*, and the
next flight ends them first, at the server, by their ids: what arrives on them then is not read any more. A suspect of another run of the
server is gone with it. Another process that writes the name meanwhile races us, as any two writers do.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

from hiredis import pack_command

from afresh.core.keys import Namespace, run_note
from afresh.core.ops import Bump
from afresh.core.restarts import NOTE_MS, ServerRun, is_replica, run_id_of
from afresh.core.stamps import STAMP_BYTES
from afresh.errors import StoreError, StoreRefused
from afresh.stores.scripts import Word, words
from afresh.stores.server_time import ServerTime

__all__ = ["Acquaintance", "Peer", "Talk"]

# What a server answers that will tell more in a while. Until then nothing is known of its run.
_NOT_NOW = frozenset(("LOADING", "BUSY", "MASTERDOWN"))


R = TypeVar("R")
# Yields packed commands and how many they are, for whoever has a connection; is sent their replies, in order.
Talk: TypeAlias = Generator[tuple[bytes, int], list[Any], R]


class Acquaintance(NamedTuple):
    """A connection as the server knows it: its id, 0 if it does not say, in one run of the server."""

    client_id: int = 0
    run_id: str | None = None


class Peer:
    """A server, known by all connections of a process. Threads may share it.

    Args:
        shown: how messages call it.
        run: of the server, as far as it is known.

    Attributes:
        namespace: what is bumped if the run is another one; None for nothing.
        suspects: the connections that may still bring late bytes.
    """

    def __init__(self, shown: str, run: ServerRun) -> None:
        self.shown = shown
        self.time = ServerTime()
        self.run = run
        self.suspects: set[Acquaintance] = set()
        self.namespace: Namespace | None = None

    def meet(self, options: Mapping[str, Any]) -> Talk[Acquaintance]:
        """Begin a connection.

        Args:
            options: of the address: user, password, name and database.

        Raises:
            StoreError: if the server refuses.
        """
        saying = _introduction(options)
        asking: list[tuple[Word, ...]] = [("TIME",), ("CLIENT", "ID"), ("INFO", "server"), ("INFO", "replication")]
        namespace = self.namespace
        if namespace is not None:
            asking.append(("GET", run_note(namespace)))
        sent_ms = self.time.ticks_ms()
        replies = yield _packed(*saying, *asking)
        for said, reply in zip(saying, replies, strict=False):
            if isinstance(reply, StoreRefused) and said[0] != "CLIENT":  # it works without a name, too
                raise self._explained(reply)
        told, client_id, server, replication, *noted = replies[len(saying) :]
        if isinstance(told, StoreError):
            raise told
        self.time.observe(told, sent_ms)
        run_id = run_id_of(server)
        if namespace is not None and not is_replica(replication):
            yield from self._compare(namespace, run_id, noted[0])
        self.run.settle(run_id)
        return Acquaintance(client_id if isinstance(client_id, int) else 0, run_id)

    def suspect(self, connection: Acquaintance) -> None:
        """Note that this connection ended with a flight under way."""
        if connection.client_id and connection.run_id:  # in another run of the server the id may be somebody else's
            self.suspects.add(connection)

    def kill_suspects(self, connection: Acquaintance) -> Talk[None]:
        """End them at the server, before anything else is sent on this connection."""
        suspects = tuple(self.suspects)
        ids = [suspect.client_id for suspect in suspects if suspect.run_id == connection.run_id]
        if ids:
            yield _packed(*[("CLIENT", "KILL", "ID", str(client_id)) for client_id in ids])
        self.suspects.difference_update(suspects)

    def _compare(self, namespace: Namespace, run_id: str | None, noted: object) -> Talk[None]:
        """Bump the namespace if the server's run is another one, and note the run on the server."""
        if isinstance(noted, StoreRefused) and noted.code in _NOT_NOW:
            raise noted
        if run_id is None:
            return
        if self.run.is_another(run_id, noted):
            bump = Bump(namespace.tag.key, namespace.tag.writers, os.urandom(STAMP_BYTES))
            (reply,) = yield _packed(words(bump, with_source=True))
            if isinstance(reply, StoreError):
                raise reply
        if noted != run_id.encode():  # a full server refuses: the next connection tries again
            yield _packed(("SET", run_note(namespace), run_id, "PX", str(NOTE_MS)))

    def _explained(self, reply: StoreRefused) -> StoreRefused:
        if reply.code != "ERR":
            return reply
        return StoreRefused("ERR", f"{reply} Are user, password and database of {self.shown} right in the cache's URL?")


def _introduction(options: Mapping[str, Any]) -> list[tuple[Word, ...]]:
    """Return the commands that say who we are and what we want."""
    user, password = options.get("username"), options.get("password")
    saying: list[tuple[Word, ...]] = []
    if user or password:
        saying.append(("AUTH", *((user,) if user else ()), password or ""))
    if options.get("client_name"):
        saying.append(("CLIENT", "SETNAME", options["client_name"]))
    saying.append(("CLIENT", "SETINFO", "LIB-NAME", "afresh"))
    if options.get("db"):
        saying.append(("SELECT", str(options["db"])))
    return saying


def _packed(*commands: tuple[Word, ...]) -> tuple[bytes, int]:
    return b"".join([pack_command(each) for each in commands]), len(commands)  # type: ignore[arg-type]  # as in `scripts.packed`
