"""From a URL to the stores that speak with it: one for threads, one for tasks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from afresh.core.breaker import Breaker
from afresh.core.keys import Namespace
from afresh.core.listening import Line
from afresh.core.ports import Store
from afresh.core.restarts import ServerRun
from afresh.errors import StoreUnavailable
from afresh.stores.address import Address, parse_url
from afresh.stores.guarded import GuardedStore
from afresh.stores.memory import MemoryStore
from afresh.stores.peer import Peer

if TYPE_CHECKING:
    from afresh.stores.aio import AsyncStore
    from afresh.stores.embedded import Attachment
    from afresh.stores.sync import SyncStore

__all__ = ["Stores"]

# Nobody waits for the listener's connection, so it is not pressed for time as calls are.
_PATIENCE_S: Final = 1.0


class Stores:
    """The stores of one URL. Nothing is opened before first use; ``embedded://`` starts its server then.

    Args:
        url: the cache's URL.
        budget_s: how long all flights of a call may take.
        on_another: called when the server turns out to be another one.

    Attributes:
        peer: the server, as far as it is known. Its `namespace` is bumped when it turns out to be another one.

    Raises:
        ConfigurationError: for a URL that cannot be one.
    """

    def __init__(self, url: str, *, budget_s: float, on_another: Callable[[], object] | None = None) -> None:
        self.address = parse_url(url)
        self._budget_s = budget_s
        self.peer = Peer(self.address.shown, ServerRun(on_another))
        self._memory = MemoryStore(**self.address.options) if self.address.scheme == "memory" else None
        self._sync: SyncStore | None = None
        self._aio: AsyncStore | None = None
        self._attachment: Attachment | None = None
        self._breaker = Breaker()
        if self._memory is None:
            _load_for_redis()

    def sync(self) -> MemoryStore | GuardedStore[SyncStore]:
        """Return the store whose flights block."""
        if self._memory is not None:
            return self._memory
        if self._sync is None:
            from afresh.stores.sync import SyncStore

            self._sync = SyncStore(self._server(), budget_s=self._budget_s, peer=self.peer, revive=self._revive)
        return GuardedStore(self._sync, self._breaker, self._budget_s)

    def aio(self) -> Store:
        """Return the store whose flights suspend."""
        if self._memory is not None:
            return self._memory
        if self._aio is None:
            from afresh.stores.aio import AsyncStore

            self._aio = AsyncStore(self._server(), budget_s=self._budget_s, peer=self.peer, revive=self._revive)
        return GuardedStore(self._aio, self._breaker, self._budget_s)

    def listening(self, namespace: Namespace, outside: str) -> Callable[[], Line]:
        """Return what opens a connection on which the changes in a namespace are pushed. Not for ``memory://``."""
        from afresh.stores.listening import listen

        patience_s = max(self._budget_s, _PATIENCE_S)
        return partial(listen, self._server(), namespace, self.peer.run, timeout_s=patience_s, outside=outside)

    @property
    def now_ms(self) -> Callable[[], int]:
        """Return the store's time."""
        return self._memory.now_ms if self._memory is not None else self.peer.time.now_ms

    def forget(self) -> None:
        """After a fork: leave the parent's connections alone."""
        for store in (self._memory, self._sync, self._aio):
            if store is not None:
                store.forget()

    def close(self) -> None:
        """Close what threads use, and leave the embedded server."""
        if self._memory is not None:
            self._memory.close()
        if self._sync is not None:
            self._sync.close()
        if self._attachment is not None:
            self._attachment.release()
            self._attachment = None
            self._sync = self._aio = None

    async def aclose(self) -> None:
        """Close what this event loop's tasks use, and then the rest."""
        if self._aio is not None:
            await self._aio.aclose()
        self.close()

    @property
    def _revive(self) -> Callable[[], object] | None:
        return self._attachment.ensure if self._attachment is not None else None

    def _server(self) -> Address:
        try:
            # The whole package first: a thread that begins with one of its modules, and one that begins with another, meet half of it.
            import redis  # noqa: F401  for that alone
        except RuntimeError as error:
            msg = f"redis cannot be loaded while the interpreter ends ({error}): make the cache before, and not in an atexit handler."
            raise StoreUnavailable(msg) from error

        if self.address.scheme != "embedded":
            return self.address
        if self._attachment is None:
            from afresh.stores.embedded import attach

            self._attachment = attach(self.address.path)
        path = self._attachment.socket_path
        return Address("unix", self.address.shown, path, {"path": path})


def _load_for_redis() -> None:
    """Load what redis cannot load once the interpreter ends, so that a cache that is there by then may first be used in its last steps."""
    with suppress(RuntimeError):  # it ends already: the first use says so
        import concurrent.futures.thread  # noqa: F401  for that alone
