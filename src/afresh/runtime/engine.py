"""What stands behind a cache: its stores, its flights, its counters, and the ports that its flows run on.

The facades, memoized functions and the Django backend all stand on an engine; none of them knows of stores or flows' ports.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from afresh.codec.dictionaries import Dictionaries
from afresh.codec.values import Codecs
from afresh.core.asking import AskSoon, Tells
from afresh.core.keys import Namespace, dictionaries_of
from afresh.core.ops import Op
from afresh.core.policy import LEASE_MS, LONGEST_COMPUTE_MS
from afresh.core.ports import Clock, Flights, Ports, Store
from afresh.core.stamps import needs_of
from afresh.errors import ConfigurationError, StoreUnavailable
from afresh.near.neighbours import drop_in_others
from afresh.near.options import Near
from afresh.runtime.background import Background
from afresh.runtime.clocks import AsyncClock, SyncClock, system_ms
from afresh.runtime.flights import AsyncFlights, FlightTable, SyncFlights
from afresh.runtime.fork import forget_after_fork
from afresh.runtime.hits import Hits, TaskHits
from afresh.runtime.renewals import Renewals
from afresh.runtime.replays import Replays
from afresh.runtime.run_now import run_now
from afresh.runtime.surroundings import bypassed
from afresh.runtime.turns import TurnTable
from afresh.telemetry.counters import Counters, Tallies

if TYPE_CHECKING:
    from afresh.near.listener import Listener
    from afresh.near.tier import NearTier
    from afresh.stores.factory import Stores

__all__ = ["Engine", "NoServer"]


class NoServer:
    """The store of a cache that is bypassed and has no URL: nothing is there to read or to invalidate."""

    async def flight(self, _: Sequence[Op], /, spent_us: int = 0) -> list[Any]:  # noqa: ARG002  as every store
        """Refuse.

        Raises:
            StoreUnavailable: always.
        """
        msg = "the cache is bypassed, and has no URL: to invalidate what others store, name their server in AFRESH_URL."
        raise StoreUnavailable(msg)


class Engine:
    """One cache's workings. Serves threads, event loops and forked children.

    Args:
        url: of the store; None reads ``AFRESH_URL`` at first use.
        namespace: of every name on the server.
        codecs: how it encodes.
        budget_s: how long a flight may take.
        has_stamps: whether entries carry the namespace's stamp. Django's own do not: see `afresh.core.restarts`.
        near: what it may keep inside the process; nothing by default, and nothing where the store is inside the process itself.
        outside: what the names of entries begin with that are kept outside the namespace, for the near tier to hear of.
    """

    def __init__(
        self,
        url: str | None,
        *,
        namespace: Namespace,
        codecs: Codecs,
        budget_s: float,
        near: Near | None = None,
        has_stamps: bool = True,
        outside: str = "",
    ) -> None:
        self._url = url
        self._budget_s = budget_s
        self._has_stamps = has_stamps
        self.namespace = namespace
        self._outside = outside
        self.replays = Replays(self.sync_ports, namespace)
        self._stores = self._stores_of(url) if url is not None else None
        self.threads: Ports | None = None
        self.tasks: Ports | None = None
        self._opening = threading.RLock()  # re-entrant: see FlightTable
        self._lost: deque[Op] = deque()
        self.flights = self._table = FlightTable()
        self.turns = TurnTable()
        self.codecs = codecs
        self.values = codecs.values()
        self.tallies = Tallies()
        self.counters = Counters(self.tallies)
        self.hits, self.task_hits = Hits(self), TaskHits(self)
        self.near = _tier(near, namespace, outside) if near is not None else None
        self.listener: Listener | None = None
        self.renewals = Renewals(self.sync_ports, self.counters)
        self.background = Background()
        self.function_names: dict[str, Callable[..., Any]] = {}
        # Of each function, by its id.
        self.dictionaries = cache(lambda identity: Dictionaries(dictionaries_of(namespace, identity)))
        self.default_needs = needs_of(namespace)
        forget_after_fork(self)

    # ---- ports

    @property
    def stores(self) -> Stores:
        """The stores, by the URL given or by ``AFRESH_URL``."""
        if self._stores is None:
            url = os.environ.get("AFRESH_URL")
            if not url:
                msg = "no URL was given to the cache and AFRESH_URL is not set: one of them must name the server."
                raise ConfigurationError(msg)
            self._stores = self._stores_of(url)
        return self._stores

    def _stores_of(self, url: str) -> Stores:
        from afresh.stores.factory import Stores  # importing afresh loads no store

        stores = Stores(url, budget_s=self._budget_s, on_another=self._begin_anew)
        if self._has_stamps:
            stores.peer.namespace = self.namespace
        return stores

    def _begin_anew(self) -> None:
        """Take note of another server in the place of the one known: what that was told last is repeated, what it said is void."""
        self.replays.repeat_recent()
        if self.near is not None:
            self.near.generation.pushed_all()

    def sync_ports(self) -> Ports:
        """Return ports whose waits block the thread."""
        if self.threads is None:
            if self._is_needless:
                return Ports(NoServer(), SyncClock(system_ms), SyncFlights(self._table), self.counters, os.urandom)
            with self._opening:
                stores = self.stores
                store = stores.sync()
                ways = {"ask": store.ask, "tells": store if isinstance(store, Tells) else None}
                self.threads = self._ports(store, SyncClock(stores.now_ms), SyncFlights(self._table), ways)
        return self.threads

    def async_ports(self) -> Ports:
        """Return ports whose waits suspend the task."""
        if self.tasks is None:
            if self._is_needless:
                return Ports(NoServer(), AsyncClock(system_ms), AsyncFlights(self._table), self.counters, os.urandom)
            with self._opening:
                stores = self.stores
                store = stores.aio()
                ways = {"asks_soon": store if isinstance(store, AskSoon) else None}
                self.tasks = self._ports(store, AsyncClock(stores.now_ms), AsyncFlights(self._table), ways)
        return self.tasks

    @property
    def _is_needless(self) -> bool:
        """Say whether there is no server, nor a need of one: nothing is read or stored."""
        return self._stores is None and not os.environ.get("AFRESH_URL") and bypassed()

    def _ports(self, store: Store, clock: Clock, flights: Flights, ways: Mapping[str, Any]) -> Ports:
        """Return ports, with the store's ways around flights: see `afresh.core.asking`."""
        from random import random  # importing afresh loads no store, which is what loads this, too

        near = None
        if self.near is not None and self.stores.address.scheme != "memory":
            from afresh.near.access import NearAccess  # with all that may be shared; without a near tier nobody needs that

            near = NearAccess(self.near)
            self._listen(self.near)
        self.replays.resume()
        return Ports(
            store,
            clock,
            flights,
            self.counters,
            os.urandom,
            self._lease_ms(),
            near,
            rand=lambda: 1 - random(),  # noqa: S311  no secret
            lost=self._lost,
            withheld=self.replays.lates,
            invalidations=self.replays,
            neighbours=partial(drop_in_others, self.near),
            **ways,
        )

    def _listen(self, tier: NearTier) -> None:
        if self.listener is None:
            from afresh.near.listener import Listener

            connect, max_stale_s = self.stores.listening(self.namespace, self._outside), tier.options.max_stale_ms / 1000
            self.listener = Listener(connect, tier, max_stale_s=max_stale_s, events=self.counters)
        self.listener.start()

    def _stop_listening(self) -> None:
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    @property
    def must_renew(self) -> bool:
        """Say whether leases are short, and renewed. In a store that ends with the process nobody waits for the dead."""
        return self.stores.address.scheme != "memory"

    def _lease_ms(self) -> int:
        return LEASE_MS if self.must_renew else LONGEST_COMPUTE_MS

    def close(self) -> None:
        """Close what threads use. The next use opens it again."""
        self.background.close()
        self.renewals.close()
        run_now(self.replays.close(self.sync_ports))
        with self._opening:
            self.threads = self.tasks = None
            self._stop_listening()
            if self._stores is not None:
                self._stores.close()

    async def aclose(self) -> None:
        """Close what this event loop's tasks and what threads use."""
        await self.background.aclose()
        self.background.close()
        self.renewals.close()
        await self.replays.close(self.async_ports)
        self.threads = self.tasks = None
        self._stop_listening()
        if self._stores is not None:
            await self._stores.aclose()

    def forget(self) -> None:
        """Begin anew in a forked child."""
        self._opening = threading.RLock()
        self._lost.clear()
        self.threads = self.tasks = None  # the next use listens again
        self._table.forget()
        self.turns.forget()
        self.renewals.forget()
        self.background.forget()
        self.tallies.forget()
        if self.near is not None:
            self.near.forget()
        if self.listener is not None:
            self.listener.forget()
        if self._stores is not None:
            self._stores.forget()
        self.replays.forget()  # at last: its thread uses all of these


def _tier(near: Near, namespace: Namespace, outside: str) -> NearTier:
    from afresh.near.tier import NearTier  # without a near tier nobody needs it

    return NearTier(near, namespace, outside)
