"""What stands behind a cache: its store, its flights, its counters, and the flows driven for threads and for tasks.

The facades, memoized functions and the Django backend all stand on an engine; none of them knows of stores or flows' ports.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from afresh.codec.values import Codecs
from afresh.core import flows
from afresh.core.commits import Claim, Result, commit_many
from afresh.core.keys import Key, Names, Namespace, Tag
from afresh.core.policy import Policy
from afresh.core.ports import Ports, Values
from afresh.core.reads import Hit, Request
from afresh.core.stamps import Needs, needs_of
from afresh.errors import ConfigurationError
from afresh.runtime.clocks import AsyncClock, SyncClock
from afresh.runtime.flights import AsyncFlights, FlightTable, SyncFlights
from afresh.runtime.fork import forget_after_fork
from afresh.runtime.negative import described, rebuilt
from afresh.runtime.run_now import run_now
from afresh.telemetry.counters import Counters

if TYPE_CHECKING:
    from afresh.stores.factory import Stores

__all__ = ["Engine", "bypassed", "bypassing"]

_BYPASS: ContextVar[bool] = ContextVar("afresh_bypass", default=False)


@contextmanager
def bypassing() -> Iterator[None]:
    """Compute in this context, and the tasks it starts, without reading or storing."""
    token = _BYPASS.set(True)
    try:
        yield
    finally:
        _BYPASS.reset(token)


def bypassed() -> bool:
    """Say whether calls are to compute without reading or storing."""
    return _BYPASS.get() or os.environ.get("AFRESH_DISABLED", "") not in {"", "0"}


class Engine:
    """One cache's workings. Serves threads, event loops and forked children.

    Args:
        url: of the store; None reads ``AFRESH_URL`` at first use.
        namespace: of every name on the server.
        codecs: how it encodes.
        budget_s: how long a flight may take.
    """

    def __init__(self, url: str | None, *, namespace: Namespace, codecs: Codecs, budget_s: float) -> None:
        self._url = url
        self._budget_s = budget_s
        self._stores = _stores(url, budget_s) if url is not None else None
        self._sync: Ports | None = None
        self._aio: Ports | None = None
        self._opening = threading.Lock()
        self._table = FlightTable()
        self.namespace = namespace
        self.codecs = codecs
        self.values = codecs.values()
        self.counters = Counters()
        self.function_names: dict[str, Callable[..., Any]] = {}
        self._default_needs = needs_of(namespace)
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
            self._stores = _stores(url, self._budget_s)
        return self._stores

    def sync_ports(self) -> Ports:
        """Return ports whose waits block the thread."""
        if self._sync is None:
            with self._opening:
                stores = self.stores
                clock = SyncClock(stores.now_ms)
                self._sync = Ports(stores.sync(), clock, SyncFlights(self._table), self.counters, os.urandom)
        return self._sync

    def async_ports(self) -> Ports:
        """Return ports whose waits suspend the task."""
        if self._aio is None:
            with self._opening:
                stores = self.stores
                clock = AsyncClock(stores.now_ms)
                self._aio = Ports(stores.aio(), clock, AsyncFlights(self._table), self.counters, os.urandom)
        return self._aio

    def close(self) -> None:
        """Close what threads use. The next use opens it again."""
        with self._opening:
            self._sync = self._aio = None
            if self._stores is not None:
                self._stores.close()

    async def aclose(self) -> None:
        """Close what this event loop's tasks and what threads use."""
        self._sync = self._aio = None
        if self._stores is not None:
            await self._stores.aclose()

    def forget(self) -> None:
        """Begin anew in a forked child."""
        self._opening = threading.Lock()
        self._table.forget()
        self.counters.forget()
        if self._stores is not None:
            self._stores.forget()

    # ---- requests

    def request(self, names: Names, policy: Policy, *, owner: str, needs: Needs | None = None, values: Values | None = None) -> Request:
        """Return a request for an entry; without `needs`, for one that depends on the namespace alone."""
        return Request(names, needs or self._default_needs, policy, values or self.values, owner, self.namespace)

    def keyed(self, key: str, policy: Policy, tags: tuple[str, ...] = ()) -> Request:
        """Return a request for an application's key, or for a memoized call's."""
        if not isinstance(key, str) or not key:
            msg = f"a cache key is text of at least one character, not {type(key).__name__}: turn it into str first."
            raise ConfigurationError(msg) if isinstance(key, str) else TypeError(msg)
        function: Tag | None = None
        if isinstance(key, Key) and key.function:
            function = self.namespace.tag_of(key.function)
        needs = needs_of(self.namespace, function, tags) if function or tags else None
        return self.request(self.namespace.names_of(key), policy, owner="keys", needs=needs)

    # ---- one computation, for threads

    def begin(self, request: Request) -> Hit | Claim:
        """Return the value or the duty to compute it here and now: then `commit` or `abandon`."""
        return _started(run_now(flows.obtain(self.sync_ports(), request)), request)

    def commit(self, claim: Claim, value: Any) -> None:
        """Store a computed value."""
        if claim.flight is not None:
            claim.flight.end_compute()
        run_now(flows.commit(self.sync_ports(), claim, value))

    def abandon(self, claim: Claim, error: BaseException) -> None:
        """Give a claim up for what the compute raised, which is kept if the function declares it as a negative result."""
        if claim.flight is not None:
            claim.flight.end_compute()
        run_now(_failed(self.sync_ports(), claim, error))

    def compute(self, request: Request, compute: Callable[[], Any]) -> Any:
        """Return the value, computing it if there is none."""
        if bypassed():
            return compute()
        got = self.begin(request)
        if isinstance(got, Hit):
            return got.value
        try:
            value = compute()
        except BaseException as error:
            self.abandon(got, error)
            raise
        self.commit(got, value)
        return value

    # ---- the same for tasks

    async def abegin(self, request: Request) -> Hit | Claim:
        """Do what `begin` does."""
        return _started(await flows.obtain(self.async_ports(), request), request)

    async def acommit(self, claim: Claim, value: Any) -> None:
        """Do what `commit` does."""
        if claim.flight is not None:
            claim.flight.end_compute()
        await flows.commit(self.async_ports(), claim, value)

    async def aabandon(self, claim: Claim, error: BaseException) -> None:
        """Do what `abandon` does."""
        if claim.flight is not None:
            claim.flight.end_compute()
        await _failed(self.async_ports(), claim, error)

    async def acompute(self, request: Request, compute: Callable[[], Any]) -> Any:
        """Do what `compute` does. `compute` may be a coroutine function, or a plain one."""
        if bypassed():
            return await _called(compute)
        got = await self.abegin(request)
        if isinstance(got, Hit):
            return got.value
        try:
            value = await _called(compute)
        except BaseException as error:
            await self.aabandon(got, error)
            raise
        await self.acommit(got, value)
        return value


def _stores(url: str, budget_s: float) -> Stores:
    from afresh.stores.factory import Stores  # importing afresh loads no store

    return Stores(url, budget_s=budget_s)


def _started(got: Hit | Claim, request: Request) -> Hit | Claim:
    """Note that a claim's compute starts now; raise what a negative entry holds."""
    if isinstance(got, Hit):
        if not got.is_negative:
            return got
        error = rebuilt(got.value, [kind for kind, _ in request.policy.negative])
        if error is not None:
            raise error
        return Claim(request, None, None, None, SyncClock.ticks_us())  # the exception's class is not what it was: compute, unstored
    if got.flight is not None:
        got.flight.start_compute()
    return got


async def _failed(ports: Ports, claim: Claim, error: BaseException) -> None:
    ttl_ms = claim.request.policy.negative_ttl_ms(error)
    if ttl_ms is None:
        await flows.abandon(ports, claim)
    else:
        await commit_many(ports, [Result(claim, described(error), ttl_ms)])


async def _called(compute: Callable[[], Any]) -> Any:
    result = compute()
    return await result if isawaitable(result) else result
