"""Whose compute it is that this thread or task reads for: see `afresh.core.capture`."""

from __future__ import annotations

from collections.abc import Sequence

from afresh.core.capture import settle
from afresh.core.commits import Claim
from afresh.core.keys import Namespace
from afresh.core.stamps import Captured
from afresh.runtime.surroundings import captured, end_capture_into, start_capture_into

__all__ = ["capturing", "end_capture", "start_capture"]


def capturing(namespace: Namespace | None) -> Captured | None:
    """Return where to note what is read now from this namespace; None outside of its computes."""
    reader = captured()
    return reader if reader is not None and reader.namespace is namespace else None


def start_capture(claims: Sequence[Claim]) -> None:
    """Note that this thread or task computes for these claims from now on, together."""
    follows = any(claim.request.captures and (claim.vector is not None or claim.reader is not None) for claim in claims)
    request = claims[0].request
    own = Captured(request.namespace if follows else None, captured(), request.needs.function)
    for claim in claims:
        claim.captured = own
    start_capture_into(own)


def end_capture(claims: Sequence[Claim]) -> None:
    """End what `start_capture` began, and tell the compute that this one was a part of."""
    own = claims[0].captured
    if own is not None:
        end_capture_into(own)
    for claim in claims:
        settle(claim)
