"""Hits on the server without a flow, for threads and for tasks.

Nearly all reads of a warm cache are alike: a connection is idle, the server answers, and the entry is fresh under the stamps that its
reader declared. Such a read is one write, one read of the socket and a comparison, straight through. All that can be different is left to
the flow, together with what the server has said by then: nothing is asked twice, and what that took is on the call's account. So there is
nothing to decide here; whether an entry is plainly fresh, flows ask the same function. For tasks it is written once more, with one await.

To the flow it is a reply that took its time: it looks for itself, and shares with nobody what it found by that.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from afresh.core.budget import is_told, one_call, told
from afresh.core.ops import Get
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request, plain_hit
from afresh.core.table import Row, Table, row_in, row_read
from afresh.errors import StoreError
from afresh.runtime.surroundings import DISABLED, ENVIRONMENT, SURROUNDINGS

if TYPE_CHECKING:
    from afresh.runtime.engine import Engine

__all__ = ["Hits", "TaskHits"]


class Hits:
    """What threads find without a flow.

    Args:
        engine: whose entries these are.
    """

    __slots__ = ("_engine", "_flights", "_tallies")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tallies = engine.tallies
        self._flights = engine.flights

    def find(self, request: Request) -> Hit | Ports | None:
        """Return the hit, counted; or what the flow is to find out with: ports that have been told the replies, or None for any ports.

        Cost: 1 round trip, or none.
        """
        ports = self._engine.threads
        if ports is None or SURROUNDINGS.get() is not None or DISABLED in ENVIRONMENT or ports.withheld or (ports.near and request.near):
            return None
        ask = ports.ask
        if ask is None:
            return None
        get: Get = tuple.__new__(Get, (request.names.value,))  # what Get(...) does besides takes as long again
        reads, began_ns = request.needs.reads, perf_counter_ns()
        try:
            replies = ask(get, reads)
        except StoreError as error:
            return told(ports, (get, *reads), error, (perf_counter_ns() - began_ns) // 1000)
        if replies is None:
            return None
        hit = plain_hit(request, replies, ports.clock.now_ms())
        if hit is None:
            return told(ports, (get, *reads), replies, (perf_counter_ns() - began_ns) // 1000)
        self._tallies.known[request.owner].hits += 1
        return hit

    def row(self, table: Table, n: int) -> Row | Ports | None:
        """Do what `find` does, for a row of a memo table."""
        ports = self._engine.threads
        if ports is None or SURROUNDINGS.get() is not None or DISABLED in ENVIRONMENT or ports.withheld:
            return None
        ask = ports.ask
        if ask is None:
            return None
        read, reads, began_ns = row_read(table, n), table.needs.reads, perf_counter_ns()
        try:
            replies = ask(read, reads)
        except StoreError as error:
            return told(ports, (read, *reads), error, (perf_counter_ns() - began_ns) // 1000)
        if replies is None:
            return None
        found = row_in(table, replies)
        if not isinstance(found, Row):
            return told(ports, (read, *reads), replies, (perf_counter_ns() - began_ns) // 1000)
        self._tallies.known[table.owner].hits += 1
        return found

    def look(self, request: Request) -> Hit | Ports | None:
        """Do what `find` does, unless others compute the value or look for it: the flow knows whether to join them."""
        name, flights = request.names.value, self._flights
        if not flights.alone.start(name):
            return None
        try:
            found = self.find(request)
        except BaseException:
            flights.alone.stop(name)
            raise
        if found.__class__ is Hit or not is_told(found):  # else the flow says so, once it has taken note of what was found
            flights.alone.stop(name)
        return found


class TaskHits:
    """What tasks find without a flow: as `Hits`, but for what is awaited.

    Args:
        engine: whose entries these are.
    """

    __slots__ = ("_engine", "_tallies")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tallies = engine.tallies

    async def find(self, request: Request) -> Hit | Ports | None:
        """See `Hits.find`."""
        ports = self._engine.tasks
        if ports is None or SURROUNDINGS.get() is not None or DISABLED in ENVIRONMENT or ports.withheld or (ports.near and request.near):
            return None
        store = ports.asks_soon
        if store is None:
            return None
        get: Get = tuple.__new__(Get, (request.names.value,))  # as in `Hits.find`
        reads, began_ns = request.needs.reads, perf_counter_ns()
        soon = store.ask_soon(get, reads)
        if soon is None:
            return None
        replies: list[object] | StoreError | None
        try:
            replies = await soon
        except OSError as error:
            replies = store.failed(error)
            if replies is None:
                return one_call(ports, max(1, (perf_counter_ns() - began_ns) // 1000))
        else:
            hit = plain_hit(request, replies, ports.clock.now_ms())
            if hit is not None:
                self._tallies.known[request.owner].hits += 1
                return hit
        return told(ports, (get, *reads), replies, (perf_counter_ns() - began_ns) // 1000)

    def may_look(self, request: Request) -> bool:
        """Say what `Hits.look` asks first. However many tasks read a key at once, that is one command: they need not be counted."""
        return not self._engine.flights.alone.is_joined(request.names.value)
