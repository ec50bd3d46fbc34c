"""Whose compute it is that this thread or task reads for: see `afresh.core.capture`."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

from afresh.core.capture import settle
from afresh.core.commits import Claim
from afresh.core.keys import Namespace
from afresh.core.stamps import Captured

__all__ = ["CAPTURED", "capturing", "end_capture", "start_capture"]

# What the innermost compute of this thread or task has read. Tasks that it starts inherit it; threads that it starts do not.
CAPTURED: ContextVar[Captured | None] = ContextVar("afresh_captured", default=None)


def capturing(namespace: Namespace | None) -> Captured | None:
    """Return where to note what is read now from this namespace; None outside of its computes."""
    captured = CAPTURED.get()
    return captured if captured is not None and captured.namespace is namespace else None


def start_capture(claims: Sequence[Claim]) -> None:
    """Note that this thread or task computes for these claims from now on, together."""
    follows = any(claim.request.captures and (claim.vector is not None or claim.reader is not None) for claim in claims)
    request = claims[0].request
    captured = Captured(request.namespace if follows else None, CAPTURED.get(), request.needs.function)
    for claim in claims:
        claim.captured = captured
    CAPTURED.set(captured)


def end_capture(claims: Sequence[Claim]) -> None:
    """End what `start_capture` began, and tell the compute that this one was a part of."""
    captured = claims[0].captured
    if captured is not None and CAPTURED.get() is captured:  # not where a coroutine is closed from elsewhere
        CAPTURED.set(captured.outer)
    for claim in claims:
        settle(claim)
