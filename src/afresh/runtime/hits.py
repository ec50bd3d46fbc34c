"""Hits on the server without a flow, for threads.

Nearly all reads of a warm cache are alike: a connection is idle, the server answers, and the entry is fresh under the stamps that its
reader declared. Such a read is one write, one read of the socket and a comparison, straight through. All that can be different is left to
the flow, together with what the server has said by then: nothing is asked twice, and what that took is on the call's account. So there is
nothing to decide here; whether an entry is plainly fresh, flows ask the same function.

To the flow it is a reply that took its time: it looks for itself, and shares with nobody what it found by that.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from afresh.core.budget import is_told, told
from afresh.core.ops import Get
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request, plain_hit
from afresh.errors import StoreError
from afresh.runtime.surroundings import SURROUNDINGS

if TYPE_CHECKING:
    from afresh.runtime.engine import Engine

__all__ = ["Hits"]


class Hits:
    """What threads find without a flow.

    Args:
        engine: whose entries these are.
    """

    __slots__ = ("_engine", "_flights")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._flights = engine.flights

    def find(self, request: Request) -> Hit | Ports:
        """Return the hit, counted; or the ports for the flow that is to find out. Those have been told the replies, if it came to that.

        Cost: 1 round trip, or none.
        """
        ports = self._engine.threads or self._engine.sync_ports()
        ask = ports.ask
        if ask is None or SURROUNDINGS.get() is not None or ports.withheld or (ports.near and request.near):
            return ports
        get: Get = tuple.__new__(Get, (request.names.value,))  # what Get(...) does besides takes as long again
        reads, began_ns = request.needs.reads, perf_counter_ns()
        try:
            replies = ask(get, reads)
        except StoreError as error:
            return told(ports, (get, *reads), error, (perf_counter_ns() - began_ns) // 1000)
        if replies is None:
            return ports
        hit = plain_hit(request, replies, ports.clock.now_ms())
        if hit is None:
            return told(ports, (get, *reads), replies, (perf_counter_ns() - began_ns) // 1000)
        ports.events.hit(request.owner)
        return hit

    def look(self, request: Request) -> Hit | Ports:
        """Do what `find` does, unless others compute the value or look for it: the flow knows whether to join them."""
        name, flights = request.names.value, self._flights
        if not flights.alone.start(name):
            return self._engine.sync_ports()
        try:
            found = self.find(request)
        except BaseException:
            flights.alone.stop(name)
            raise
        if found.__class__ is Hit or not is_told(found):  # else the flow says so, once it has taken note of what was found
            flights.alone.stop(name)
        return found
