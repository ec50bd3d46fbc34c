"""Begin, compute, commit or abandon: one computation driven for a thread, and for a task.

The user's compute is called by who begins, between two flows; its exceptions and results pass through unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from afresh.core.commits import Claim, Result, abandon_many, commit_many
from afresh.core.flows import obtain
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request
from afresh.runtime.clocks import SyncClock
from afresh.runtime.engine import Engine, bypassed
from afresh.runtime.negative import described, rebuilt
from afresh.runtime.run_now import run_now

__all__ = ["Tasks", "Threads", "closing_ports", "end_compute", "start_compute"]


class Threads:
    """Computations of threads."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, request: Request) -> Hit | Claim:
        """Return the value or the duty to compute it here and now: then `commit` or `abandon`."""
        return _begun(self._engine, run_now(obtain(self._engine.sync_ports(), request)), request, is_task=False)

    def commit(self, claim: Claim, value: Any) -> None:
        """Store a computed value."""
        end_compute(self._engine, claim)
        run_now(commit_many(self._engine.sync_ports(), [Result(claim, value)]))

    def abandon(self, claim: Claim, error: BaseException) -> None:
        """Give a claim up for what the compute raised, which is kept if the function declares it as a negative result."""
        end_compute(self._engine, claim)
        run_now(_failed(self._engine.sync_ports(), claim, error))

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


class Tasks:
    """Computations of tasks."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def begin(self, request: Request) -> Hit | Claim:
        """See `Threads.begin`."""
        return _begun(self._engine, await obtain(self._engine.async_ports(), request), request, is_task=True)

    async def commit(self, claim: Claim, value: Any) -> None:
        """See `Threads.commit`."""
        end_compute(self._engine, claim)
        await commit_many(self._engine.async_ports(), [Result(claim, value)])

    async def abandon(self, claim: Claim, error: BaseException) -> None:
        """See `Threads.abandon`."""
        end_compute(self._engine, claim)
        await _failed(closing_ports(self._engine, error), claim, error)

    async def compute(self, request: Request, compute: Callable[[], Any]) -> Any:
        """See `Threads.compute`. `compute` may be a coroutine function, or a plain one."""
        if bypassed():
            return await _called(compute)
        got = await self.begin(request)
        if isinstance(got, Hit):
            return got.value
        try:
            value = await _called(compute)
        except BaseException as error:
            await self.abandon(got, error)
            raise
        await self.commit(got, value)
        return value


def _begun(engine: Engine, got: Hit | Claim, request: Request, *, is_task: bool) -> Hit | Claim:
    """Note that a claim's compute starts now; raise what a negative entry holds."""
    if isinstance(got, Hit):
        if not got.is_negative:
            return got
        error = rebuilt(got.value, [kind for kind, _ in request.policy.negative])
        if error is not None:
            raise error
        return Claim(request, None, None, None, SyncClock.ticks_us())  # the exception's class is not what it was: compute, unstored
    start_compute(engine, got, is_task=is_task)
    return got


def start_compute(engine: Engine, claim: Claim, *, is_task: bool) -> None:
    """Note that this thread or task computes for a claim from now on, and keep its lease alive meanwhile."""
    if claim.flight is not None:
        claim.flight.start_compute()
    if claim.mark is not None and engine.must_renew:
        (engine.renewals.start_for_task if is_task else engine.renewals.start)(claim)


def end_compute(engine: Engine, claim: Claim) -> None:
    """End what `start_compute` began."""
    if claim.flight is not None:
        claim.flight.end_compute()
    engine.renewals.stop(claim)


def closing_ports(engine: Engine, error: BaseException | None) -> Ports:
    """Return the ports to end a task's computation with: a coroutine that is being closed must not suspend any more."""
    return engine.sync_ports() if isinstance(error, GeneratorExit) else engine.async_ports()


async def _failed(ports: Ports, claim: Claim, error: BaseException) -> None:
    ttl_ms = claim.request.policy.negative_ttl_ms(error)
    if ttl_ms is None:
        await abandon_many(ports, (claim,))  # not deeper than `obtain`: it must not run out of stack where that did not
    else:
        await commit_many(ports, [Result(claim, described(error), ttl_ms)])


async def _called(compute: Callable[[], Any]) -> Any:
    result = compute()
    return await result if isawaitable(result) else result
