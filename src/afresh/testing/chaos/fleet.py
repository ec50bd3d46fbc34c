"""A run: a server, a fleet of clients, each behind a proxy of its own, and lanes of faults; then what the checker says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Final, Literal

from afresh.testing.chaos.checker import Report, Terms, check
from afresh.testing.chaos.client import DIE_AT_COMMIT, Orders
from afresh.testing.chaos.faults import LANES
from afresh.testing.chaos.history import EVENT_BYTES, Fault, History, load
from afresh.testing.chaos.server import Server, die_with_us
from afresh.testing.proxy import FaultProxy
from afresh.testing.waiting import wait_until

__all__ = ["Fleet", "Plan", "Result"]

_PAUSE_S: Final = {"network": 2.0, "server": 2.0, "clients": 4.0}  # at most, between two faults of a lane
_UNTIL_CALM_S: Final = 1.5  # until everybody may be expected to have noticed that the faults are over
_CALM_S: Final = 0.5  # what is read then tells what was lost
_END_S: Final = 60.0


@dataclass(frozen=True)
class Plan:
    """What to do in a run.

    Attributes:
        program: the server's executable.
        directory: an empty one, for sockets, logs and histories.
        seconds: for how long.
        seed: of everything that is drawn. Machines differ in time, so a seed repeats the faults, not the interleaving.
        clients: how many processes.
        colour: what they are made of; mixed, each has threads, tasks or both.
        near: which of them have a near tier; some, two of three.
        subject: ``afresh``, or ``by_hand``, the control.
        without: kinds of faults to leave out.
        terms: what the contract promises.
    """

    program: Path
    directory: Path
    seconds: float
    seed: int
    clients: int = 4
    colour: Literal["sync", "async", "mixed"] = "mixed"
    near: Literal["none", "some", "all"] = "some"
    subject: Literal["afresh", "by_hand"] = "afresh"
    without: Collection[str] = ()
    terms: Terms = Terms(max_stale_ns=1_000_000_000)  # noqa: RUF009  frozen


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        history: everything that happened.
        report: what the checker says.
        failed: clients that ended by themselves with an error, and where their logs are.
    """

    history: History
    report: Report
    failed: list[str]


class Fleet:
    """The stage of one run. See `afresh.testing.chaos.faults.Stage`."""

    def __init__(self, plan: Plan, say: Callable[[str], object] = lambda _: None) -> None:
        self._plan, self._say = plan, say
        self._numbers = count(1)
        self._clients: list[tuple[int, subprocess.Popen[str]]] = []
        self._died_at: dict[int, int] = {}
        self._faults: list[Fault] = []
        self._until_ns = 0
        self._failed: list[str] = []
        self._busy_lanes = set(LANES)
        self._over = threading.Event()

    def run(self) -> Result:
        """Do what the plan says. Takes its seconds, some for the calm at the end, and a few µs for the checking of each event."""
        with ExitStack() as stack:
            self.server = Server(self._plan.program, self._plan.directory)
            stack.callback(self.server.kill)
            self.proxies = [stack.enter_context(FaultProxy(self.server.path)) for _ in range(self._plan.clients)]
            stack.callback(self._over.set)
            stack.callback(self._kill_all)
            self._clients = [self._client(at) for at in range(self._plan.clients)]
            wait_until(self._all_are_busy, _END_S, "every client to begin")
            self._torture()
            calm_since_ns = time.monotonic_ns() + int(_UNTIL_CALM_S * 1e9)
            time.sleep(_UNTIL_CALM_S + _CALM_S)
            self._farewell()
        history = load(self._plan.directory.glob("*.events"), faults=self._faults, died_at=self._died_at, calm_since_ns=calm_since_ns)
        terms = replace(self._plan.terms, replays=self._plan.subject == "afresh")  # by hand nothing is repeated
        return Result(history, check(history, terms), self._failed)

    def stop_client(self, at: int, duration_s: float) -> None:
        """SIGSTOP a client for so long, but not beyond the faults' end."""
        _, process = self._clients[at]
        process.send_signal(signal.SIGSTOP)
        time.sleep(min(duration_s, max(0.2, (self._until_ns - time.monotonic_ns()) / 1e9)))
        process.send_signal(signal.SIGCONT)

    def kill_client(self, at: int) -> None:
        """Kill -9 a client in the middle of whatever it does, and start another."""
        number, process = self._clients[at]
        _kill(process)
        self._died_at[number] = time.monotonic_ns()
        self._clients[at] = self._client(at)

    def kill_client_at_commit(self, at: int, within_s: float) -> bool:
        """Have a client kill itself right after its next COMMIT, and start another. False if it did not come to one in this time."""
        _, process = self._clients[at]
        process.send_signal(DIE_AT_COMMIT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(within_s)
        happened = process.returncode == -signal.SIGKILL
        self.kill_client(at)
        return happened

    # ---- clients

    def _client(self, at: int) -> tuple[int, subprocess.Popen[str]]:
        plan, number = self._plan, next(self._numbers)
        colour = ("sync", "async", "both")[at % 3] if plan.colour == "mixed" else plan.colour
        orders = Orders(
            url=self.proxies[at].url,
            log=str(self._events(number)),
            process=number,
            seed=plan.seed * 1000 + number,
            sync=colour != "async",
            aio=colour != "sync",
            near_ms=0 if plan.near == "none" or (plan.near == "some" and at % 3 == 0) else plan.terms.max_stale_ns // 1_000_000,
            subject=plan.subject,
        )
        words = [*die_with_us(), sys.executable, "-m", "afresh.testing.chaos.client", json.dumps(orders._asdict())]
        with (plan.directory / f"{number}.log").open("w") as log:
            return number, subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)

    def _all_are_busy(self) -> bool:
        return all(path.exists() and path.stat().st_size for path in map(self._events, [number for number, _ in self._clients]))

    def _events(self, number: int) -> Path:
        return self._plan.directory / f"{number}.events"

    def _farewell(self) -> None:
        for _, process in self._clients:
            assert process.stdin is not None
            process.stdin.close()
        for number, process in self._clients:
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._failed.append(f"client {number} does not end")
            if process.returncode:
                self._failed.append(f"client {number} ended with {process.returncode}: {self._plan.directory / f'{number}.log'}")

    def _kill_all(self) -> None:
        for _, process in self._clients:
            _kill(process)

    # ---- faults

    def _torture(self) -> None:
        self._until_ns = time.monotonic_ns() + int(self._plan.seconds * 1e9)
        lanes = [threading.Thread(target=self._lane, args=(name,), name=f"afresh-chaos-{name}") for name in LANES]
        for lane in lanes:
            lane.start()
        while self._busy_lanes:
            time.sleep(min(5, max(0.05, self._plan.seconds / 20)))
            self._progress()
        for proxy in self.proxies:
            proxy.heal()

    def _lane(self, name: str) -> None:
        self._follow(name)
        self._busy_lanes.discard(name)
        # What it has started would die with this thread: PR_SET_PDEATHSIG counts threads for parents.
        self._over.wait()

    def _follow(self, name: str) -> None:
        draw = Random(f"{self._plan.seed} {name}")
        kinds = {kind: fault for kind, fault in LANES[name].items() if kind not in self._plan.without}
        while kinds:
            time.sleep(draw.random() * _PAUSE_S[name])
            if time.monotonic_ns() >= self._until_ns:
                return
            kind = draw.choice(list(kinds))
            start_ns = time.monotonic_ns()
            try:
                happened = kinds[kind](self, draw)
            except Exception as error:  # noqa: BLE001  the lane ends, and the run has failed
                self._failed.append(f"fault {kind!r} failed: {error!r}")
                return
            self._faults.append(Fault(kind, start_ns, time.monotonic_ns(), happened))

    def _progress(self) -> None:
        written = sum(path.stat().st_size for path in self._plan.directory.glob("*.events")) // EVENT_BYTES
        done = Counter(fault.kind for fault in self._faults)
        left_s = max(0, self._until_ns - time.monotonic_ns()) / 1e9
        self._say(f"{left_s:4.0f} s left, {written:,} events, {done.total()} faults")


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
