"""The synchronous driver of a flow."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from afresh.errors import SuspendedError

__all__ = ["run_now"]

T = TypeVar("T")


def run_now(flow: Coroutine[Any, Any, T]) -> T:
    """Run a flow whose ports never suspend, and return its result.

    Raises:
        SuspendedError: if one does: it awaited real I/O, a bug in the port.
    """
    try:
        flow.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    flow.close()
    msg = f"the flow {flow!r} suspended under the sync driver; its port must block instead. Please report this."
    raise SuspendedError(msg)
