"""Operations whose reply was lost with the connection are sent again: the second must find what the first did."""

from __future__ import annotations

from typing import Any

import pytest

from afresh.core.ops import Claim, Op
from afresh.runtime.run_now import run_now
from afresh.stores.factory import Stores


@pytest.mark.parametrize("where", ["memory", "valkey", "redis7"])
def test_a_repeated_claim_is_ours(where: str, request: pytest.FixtureRequest, namespace: str) -> None:
    async def claim(mark: bytes) -> Any:
        op: Op = Claim(f"{namespace}:v:{{k:a}}", f"{namespace}:l:{{k:a}}", b"", mark, 60_000)
        return (await stores.sync().flight([op]))[0]

    stores = Stores("memory://" if where == "memory" else request.getfixturevalue(where).url, budget_s=10)
    try:
        assert [run_now(claim(b"ours")), run_now(claim(b"ours"))] == [[1], [1]]
        assert run_now(claim(b"theirs")) == [2, b"ours"]
    finally:
        stores.close()
