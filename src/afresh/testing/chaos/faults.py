"""What is done to the network, the server and the clients. Each fault takes a while, mends what it did, and says how often it took effect.

Faults of one lane follow each other; lanes run at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from afresh.testing.chaos.checker import FAILOVER
from afresh.testing.chaos.server import Server
from afresh.testing.proxy import FaultProxy, Way

__all__ = ["LANES", "Fault", "Stage"]

_FILL: Final = "for at = 1, 300 do redis.call('SET', 'filler:' .. (ARGV[1] + at), string.rep('x', 20000)) end"
_SPIN: Final = (
    "local t = redis.call('TIME') local s = t[1] * 1e6 + t[2] repeat t = redis.call('TIME') until t[1] * 1e6 + t[2] > s + ARGV[1]"
)
_KEYS: Final = 1_000_000


class Stage(Protocol):
    """What faults have to work with."""

    @property
    def server(self) -> Server:
        """The server."""
        ...

    @property
    def proxies(self) -> Sequence[FaultProxy]:
        """One for each client."""
        ...

    def stop_client(self, at: int, duration_s: float) -> None:
        """SIGSTOP a client for so long."""
        ...

    def kill_client(self, at: int) -> None:
        """Kill -9 a client, and start another."""
        ...

    def kill_client_at_commit(self, at: int, within_s: float) -> bool:
        """Do so right after its next COMMIT; False if it did not come to one in time."""
        ...


Fault: TypeAlias = Callable[[Stage, Random], int]


# ---- the network: some clients, the others see the server as it is


def _some(stage: Stage, draw: Random) -> list[FaultProxy]:
    return draw.sample(stage.proxies, draw.randint(1, len(stage.proxies)))


def _on_the_way(change: Callable[[Way, Random], None], *, longest_s: float) -> Fault:
    """Return a fault of some clients' connections, in one direction or both."""

    def fault(stage: Stage, draw: Random) -> int:
        proxies = _some(stage, draw)
        ways = [way for proxy in proxies for way in draw.choice([(proxy.requests,), (proxy.replies,), (proxy.requests, proxy.replies)])]
        before = sum(way.harmed for way in ways)
        for way in ways:
            change(way, draw)
        time.sleep(draw.uniform(0.1, longest_s))
        for proxy in proxies:
            proxy.heal()
        return sum(way.harmed for way in ways) - before

    return fault


def _delay(way: Way, draw: Random) -> None:
    way.delay_s = draw.choice([0.005, 0.05, 0.4])


def _dribble(way: Way, draw: Random) -> None:
    way.dribble_s = draw.choice([0.001, 0.02])


def _drop(way: Way, _: Random) -> None:
    way.drops = True


def _half_open(way: Way, _: Random) -> None:
    way.holds = True


def _lose(way: Way, _: Random) -> None:
    """Each piece is lost with its connection: of replies, the server has done what was asked."""
    way.script = lambda _: None


def _reset(stage: Stage, draw: Random) -> int:
    return sum(proxy.reset() for proxy in _some(stage, draw))


# ---- the server


def _stop_server(stage: Stage, draw: Random) -> int:
    stage.server.stop()
    time.sleep(draw.uniform(0.05, 1.5))
    stage.server.go_on()
    return 1


def _restart_empty(stage: Stage, _: Random) -> int:
    stage.server.restart(with_snapshot=False)
    return 1


def _restart_with_snapshot(stage: Stage, draw: Random) -> int:
    stage.server.command("SAVE")
    time.sleep(draw.uniform(0.2, 1))  # what is invalidated now comes back
    stage.server.restart(with_snapshot=True)
    return 1


def _flush(stage: Stage, _: Random) -> int:
    keys = int(stage.server.command("DBSIZE"))
    stage.server.command("FLUSHALL")
    return keys


def _evict(stage: Stage, draw: Random) -> int:
    before = int(stage.server.told("stats", "evicted_keys"))
    stage.server.command("EVAL", _FILL, "0", str(draw.randrange(_KEYS)))
    return int(stage.server.told("stats", "evicted_keys")) - before


def _errors(stage: Stage, code: str) -> int:
    """Return how often the server has answered with an error of this code."""
    return int(stage.server.told("errorstats", f"errorstat_{code}").removeprefix("count=") or 0)


def _fail_over(stage: Stage, draw: Random) -> int:
    stage.server.fail_over(after_s=draw.uniform(0, 0.5))
    return 1


def _fill_up(stage: Stage, draw: Random) -> int:
    before = _errors(stage, "OOM")
    stage.server.command("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1")
    time.sleep(draw.uniform(0.1, 0.5))
    stage.server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", "6mb")
    return _errors(stage, "OOM") - before


def _demote(stage: Stage, draw: Random) -> int:
    before = _errors(stage, "READONLY")
    stage.server.command("REPLICAOF", "127.0.0.1", "1")  # nobody is there: it keeps its data
    time.sleep(draw.uniform(0.1, 1))
    stage.server.command("REPLICAOF", "NO", "ONE")
    return _errors(stage, "READONLY") - before


def _block(stage: Stage, draw: Random) -> int:
    stage.server.command("EVAL", _SPIN, "0", str(draw.randint(100_000, 600_000)))
    return 1


def _forget_scripts(stage: Stage, _: Random) -> int:
    stage.server.command("SCRIPT", "FLUSH")
    return 1


def _kill_connections(stage: Stage, _: Random) -> int:
    return int(stage.server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))


# ---- the clients


def _stop_client(stage: Stage, draw: Random) -> int:
    stage.stop_client(draw.randrange(len(stage.proxies)), draw.choice([0.2, 1, 3, 6]))
    return 1


def _kill_client(stage: Stage, draw: Random) -> int:
    stage.kill_client(draw.randrange(len(stage.proxies)))
    return 1


def _kill_at_commit(stage: Stage, draw: Random) -> int:
    return stage.kill_client_at_commit(draw.randrange(len(stage.proxies)), 2)


LANES: Final[Mapping[str, Mapping[str, Fault]]] = MappingProxyType(
    {
        "network": {
            "delay": _on_the_way(_delay, longest_s=1),
            "dribble": _on_the_way(_dribble, longest_s=1),
            "drop": _on_the_way(_drop, longest_s=1),
            "half-open": _on_the_way(_half_open, longest_s=2),
            "bytes lost with their connection": _on_the_way(_lose, longest_s=0.3),
            "reset": _reset,
        },
        "server": {
            "SIGSTOP of the server": _stop_server,
            "restart, empty": _restart_empty,
            "restart, snapshot": _restart_with_snapshot,
            FAILOVER: _fail_over,
            "FLUSHALL": _flush,
            "eviction": _evict,
            "full": _fill_up,
            "REPLICAOF": _demote,
            "a script that blocks": _block,
            "SCRIPT FLUSH": _forget_scripts,
            "CLIENT KILL": _kill_connections,
        },
        "clients": {"SIGSTOP of a client": _stop_client, "kill -9": _kill_client, "kill -9 right after COMMIT": _kill_at_commit},
    }
)
