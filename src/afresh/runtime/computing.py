"""Begin, compute, commit or abandon: one computation driven for a thread, and for a task.

The user's compute is called by who begins, between two flows; its exceptions and results pass through unchanged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from afresh.core.capture import obtain_into, served
from afresh.core.commits import Behind, Claim, Result, abandon_many, commit_many, fail
from afresh.core.flows import obtain
from afresh.core.ports import Ports
from afresh.core.reads import Hit, Request, hit_kept
from afresh.errors import ComputeTimeout
from afresh.runtime.capturing import capturing, end_capture, start_capture
from afresh.runtime.clocks import SyncClock
from afresh.runtime.engine import Engine
from afresh.runtime.negative import described, rebuilt
from afresh.runtime.run_now import run_now
from afresh.runtime.surroundings import bypassed

__all__ = ["Tasks", "Threads", "closing_ports", "end_compute", "start_compute", "unless_closed"]


class Threads:
    """Computations of threads."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, request: Request) -> Hit | Claim | Behind:
        """Return the value, or the duty to compute it: here and now, then `commit` or `abandon`; or `behind`."""
        found = self._engine.hits.look(request)
        if isinstance(found, Hit):
            return found
        ports, captured = found or self._engine.sync_ports(), capturing(request.namespace)
        got = run_now(obtain(ports, request) if captured is None else obtain_into(ports, request, captured))
        return _begun(self._engine, got, request, is_task=False)

    def commit(self, claim: Claim, value: Any) -> None:
        """Store a computed value."""
        end_compute(self._engine, [claim])
        run_now(commit_many(self._engine.sync_ports(), [Result(claim, value)]))

    def abandon(self, claim: Claim, error: BaseException) -> Hit | None:
        """Give a claim up for what the compute raised, which is kept if the function declares it as a negative result.

        Returns the old value to serve instead, if there is one.
        """
        end_compute(self._engine, [claim])
        run_now(_failed(self._engine.sync_ports(), claim, error))
        return _rescued(self._engine, claim, error)

    def behind(self, duty: Behind, compute: Callable[[], Any]) -> Any:
        """Have a thread compute, and return what there is when it is done or the time is up.

        Raises:
            ComputeTimeout: if there is nothing.
        """
        claim, background = duty.claim, self._engine.background
        if duty.hit is None and background.is_working():  # whoever waits for this thread bounds the time
            return self._computed(claim, compute)
        deadline_s = time.monotonic() + duty.wait_ms / 1000
        if claim.flight is not None:
            claim.flight.hand_over()
        job = background.start(partial(self._computed, claim, compute), wait_s=0 if duty.hit else duty.wait_ms / 1000)
        if job is None:
            run_now(abandon_many(self._engine.sync_ports(), (claim,)))
        elif job.wait(deadline_s - time.monotonic()):
            return job.result()
        return _served_instead(duty)

    def compute(self, request: Request, compute: Callable[[], Any]) -> Any:
        """Return the value, computing it if there is none."""
        if bypassed():
            return compute()
        got = self.begin(request)
        if isinstance(got, Hit):
            return got.value
        if isinstance(got, Behind):
            return self.behind(got, compute)
        return self._finished(got, compute)

    def _computed(self, claim: Claim, compute: Callable[[], Any]) -> Any:
        start_compute(self._engine, [claim], is_task=False)
        return self._finished(claim, partial(unless_closed, self._engine, (claim,), compute))

    def _finished(self, claim: Claim, compute: Callable[[], Any]) -> Any:
        try:
            value = compute()
        except BaseException as error:
            kept = self.abandon(claim, error)
            if kept is None:
                raise
            return kept.value
        self.commit(claim, value)
        return value


class Tasks:
    """Computations of tasks."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def begin(self, request: Request) -> Hit | Claim | Behind:
        """See `Threads.begin`."""
        hits = self._engine.task_hits
        found = await hits.find(request) if hits.may_look(request) else None
        if isinstance(found, Hit):
            return found
        ports, captured = found or self._engine.async_ports(), capturing(request.namespace)
        got = await (obtain(ports, request) if captured is None else obtain_into(ports, request, captured))
        return _begun(self._engine, got, request, is_task=True)

    async def commit(self, claim: Claim, value: Any) -> None:
        """See `Threads.commit`."""
        end_compute(self._engine, [claim])
        await commit_many(self._engine.async_ports(), [Result(claim, value)])

    async def abandon(self, claim: Claim, error: BaseException) -> Hit | None:
        """See `Threads.abandon`."""
        end_compute(self._engine, [claim])
        await _failed(closing_ports(self._engine, error), claim, error)
        return _rescued(self._engine, claim, error)

    async def behind(self, duty: Behind, compute: Callable[[], Any]) -> Any:
        """See `Threads.behind`. The task goes on if the caller is cancelled."""
        flight = duty.claim.flight
        if flight is not None:
            flight.hand_over()
        task = self._engine.background.start_task(self._computed(duty.claim, compute))
        if flight is not None:  # a task that is cancelled before it begins leaves nobody waiting, either
            task.add_done_callback(lambda _: flight.finish(None))
        if duty.wait_ms:
            import asyncio  # whoever has a task has loaded it

            done, _ = await asyncio.wait((task,), timeout=duty.wait_ms / 1000)
            if done:
                return task.result()
        return _served_instead(duty)

    async def compute(self, request: Request, compute: Callable[[], Any]) -> Any:
        """See `Threads.compute`. `compute` may be a coroutine function, or a plain one."""
        if bypassed():
            return await _called(compute)
        got = await self.begin(request)
        if isinstance(got, Hit):
            return got.value
        if isinstance(got, Behind):
            return await self.behind(got, compute)
        return await self._finished(got, compute)

    async def _computed(self, claim: Claim, compute: Callable[[], Any]) -> Any:
        start_compute(self._engine, [claim], is_task=True)
        return await self._finished(claim, compute)

    async def _finished(self, claim: Claim, compute: Callable[[], Any]) -> Any:
        try:
            value = await _called(compute)
        except BaseException as error:
            kept = await self.abandon(claim, error)
            if kept is None:
                raise
            return kept.value
        await self.commit(claim, value)
        return value


def _begun(engine: Engine, got: Hit | Claim | Behind, request: Request, *, is_task: bool) -> Hit | Claim | Behind:
    """Note that a claim's compute starts now; raise what a negative entry holds."""
    if isinstance(got, Behind):
        return got
    if isinstance(got, Hit):
        if not got.is_negative:
            return got
        error = rebuilt(got.value, [kind for kind, _ in request.policy.negative])
        if error is not None:
            raise error
        return Claim(request, None, None, None, SyncClock.ticks_us())  # the exception's class is not what it was: compute, unstored
    start_compute(engine, [got], is_task=is_task)
    return got


def start_compute(engine: Engine, claims: Sequence[Claim], *, is_task: bool) -> None:
    """Note that this thread or task computes for these claims from now on, and keep their leases alive meanwhile."""
    for claim in claims:
        if claim.flight is not None:
            claim.flight.start_compute()
        if claim.mark is not None and engine.must_renew:
            (engine.renewals.start_for_task if is_task else engine.renewals.start)(claim)
    start_capture(claims)


def end_compute(engine: Engine, claims: Sequence[Claim]) -> None:
    """End what `start_compute` began. Renewing first: who is interrupted in here may be kept, with the claim, by a task's traceback."""
    for claim in claims:
        engine.renewals.stop(claim)
    end_capture(claims)
    for claim in reversed(claims):
        if claim.flight is not None:
            claim.flight.end_compute()


def unless_closed(engine: Engine, claims: Sequence[Claim], compute: Callable[[], Any]) -> Any:
    """Compute in a thread of the engine. If that was closed meanwhile its connections are gone: nothing is stored, and the leases lapse."""
    try:
        return compute()
    finally:
        if not engine.background.is_working():
            for claim in claims:
                claim.mark = None


def closing_ports(engine: Engine, error: BaseException | None) -> Ports:
    """Return the ports to end a task's computation with: a coroutine that is being closed must not suspend any more."""
    return engine.sync_ports() if isinstance(error, GeneratorExit) else engine.async_ports()


async def _failed(ports: Ports, claim: Claim, error: BaseException) -> None:
    # None of these goes deeper than `obtain`: they must not run out of stack where that did not.
    policy = claim.request.policy
    ttl_ms = policy.negative_ttl_ms(error)
    if ttl_ms is not None:
        await commit_many(ports, [Result(claim, described(error), ttl_ms)])
    elif policy.backoff_ms and isinstance(error, Exception):
        await fail(ports, claim, error)
    else:
        await abandon_many(ports, (claim,))


def _rescued(engine: Engine, claim: Claim, error: BaseException) -> Hit | None:
    """Return the old value to serve where a compute raised. Exceptions that are results, and interruptions, are raised."""
    request = claim.request
    if not isinstance(error, Exception) or request.policy.negative_ttl_ms(error) is not None:
        return None
    hit = hit_kept(request, claim.kept) if claim.kept is not None else None
    if hit is not None and claim.reader is not None:
        served(request, hit, claim.reader)
    if hit is not None or claim.is_left:
        engine.counters.failed(request.owner, error)
    return hit


def _served_instead(duty: Behind) -> Any:
    """Return what a caller gets that does not wait any longer."""
    claim = duty.claim
    claim.is_left = True
    hit = duty.hit or (hit_kept(claim.request, claim.kept) if claim.kept is not None else None)
    if hit is None:
        raise ComputeTimeout(claim.request.owner, duty.wait_ms / 1000)
    if claim.reader is not None:
        served(claim.request, hit, claim.reader)
    return hit.value


async def _called(compute: Callable[[], Any]) -> Any:
    from inspect import isawaitable  # asyncio has loaded it

    result = compute()
    return await result if isawaitable(result) else result
