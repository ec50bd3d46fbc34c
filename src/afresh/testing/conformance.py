"""What every store must answer: the outcomes of each operation, as data, for the tests of a store of one's own.

::

    @pytest.mark.parametrize("case", CASES)
    async def test_store_conforms(case: str) -> None:
        await check(case, MyStore(), prefix="t-mine")

A case is a list of steps on names of its own, each an operation and the reply that it must get, in the order of `afresh.core.ops`. It
needs nothing but the operations themselves: `TableStart` is what puts something else than a string under a name. `afresh/scripts` has the
reasons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from afresh.core.ports import Store
from afresh.errors import StoreRefused
from afresh.testing.conformance_cases import CASES
from afresh.testing.conformance_steps import Fence, Marked, Names, Passed, Refused

__all__ = ["CASES", "check"]


async def _sleep_ms(duration_ms: int) -> None:
    await asyncio.sleep(duration_ms / 1000)


async def check(case: str, store: Store, *, prefix: str, pass_ms: Callable[[int], Awaitable[object]] = _sleep_ms) -> None:
    """Run a case on a store.

    Args:
        case: one of `CASES`.
        store: either colour: one whose flights block may be passed as well.
        prefix: what the names begin with, which nothing else uses. They are left where they are.
        pass_ms: lets time pass for the store. Default: by sleeping.

    Raises:
        AssertionError: naming the first step whose reply is another one.
    """
    names = Names(*(f"{prefix}:{kind}:{{k:{case}}}" for kind in "vlthoxqw"))
    fence = 1
    for number, (op, expected) in enumerate(CASES[case](names), 1):
        if isinstance(op, Passed):
            await pass_ms(op.duration_ms)
            continue
        (reply,) = await store.flight((op,))
        got: Any = Refused(reply.code) if isinstance(reply, StoreRefused) else reply
        if isinstance(expected, Marked) and isinstance(reply, bytes) and reply.startswith(b"D:"):
            got = expected
        if isinstance(expected, Fence) and isinstance(reply, int):
            got = Fence(is_new=reply > fence) if reply >= fence else reply
            fence = reply
        if got != expected:
            raise AssertionError(f"{case}, step {number}: {op!r:.300} got {got!r:.300}, not {expected!r:.300}")
