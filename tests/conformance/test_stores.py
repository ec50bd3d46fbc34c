"""Every store answers alike: memory, Valkey and the distribution's Redis, for threads and for tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from afresh.core import ops
from afresh.core.ports import Store
from afresh.stores.memory import MemoryStore
from afresh.testing.conformance import CASES, check


@pytest.mark.keys(r"t-.*:[vt]:\{.*\}", permanent=True)
@pytest.mark.parametrize("case", CASES)
async def test_server_conforms(store: Store, case: str) -> None:
    await check(case, store, prefix="t-conformance")


@pytest.mark.parametrize("case", CASES)
async def test_memory_conforms(case: str) -> None:
    now_ms = 1_000_000

    async def pass_ms(duration_ms: int) -> None:
        nonlocal now_ms
        now_ms += duration_ms

    await check(case, MemoryStore(now_ms=lambda: now_ms), prefix="t-conformance", pass_ms=pass_ms)


async def test_a_store_that_does_not_conform_is_told_so() -> None:
    class WithoutLeases(MemoryStore):
        async def flight(self, batch: Sequence[ops.Op], /, spent_us: int = 0) -> list[Any]:
            return await super().flight([op._replace(mark=b"") if isinstance(op, ops.Commit) else op for op in batch])

    with pytest.raises(AssertionError, match=r"commit-ours, step 2: Commit\(.*\) got 0, not 1"):
        await check("commit-ours", WithoutLeases(), prefix="t-conformance")
