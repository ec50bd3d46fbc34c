"""What a generated function needs to serve near hits by its calls' arguments. See `afresh.near.calls`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from afresh.core.ports import Values
from afresh.core.reads import Request
from afresh.errors import UndecodablePayload
from afresh.near.access import NearAccess
from afresh.near.calls import Call, Calls, call_of, identity, method_call_of
from afresh.near.generation import UNSHARED, Kept
from afresh.near.tier import NearTier
from afresh.runtime.surroundings import ENVIRONMENT, SURROUNDINGS

__all__ = ["NearCalls"]


class NearCalls:
    """The calls of one function, as far as the near tier has them.

    Args:
        tier: where the entries are.
        request: makes a call's request of its arguments.
        values: the function's codec.
        positions: of the parameters that are part of the key; None for all.
    """

    def __init__(
        self, tier: NearTier, request: Callable[[tuple[Any, ...]], Request], values: Values, positions: Sequence[int] | None
    ) -> None:
        self._access = NearAccess(tier)
        self._request = request
        self._values = values
        self._positions = positions
        self._calls = Calls()

    def names(self, tally: object) -> dict[str, Any]:
        """Return what the generated code calls by these names. `tally` has the count of near hits."""
        return {
            "surroundings": SURROUNDINGS.get,
            "environment": ENVIRONMENT,
            "entries": self._calls.entries,
            "now": time.clock_gettime,
            "UNSHARED": UNSHARED,
            "copy": self.copy,
            "tally": tally,
            "remember": self.remember,
            "identity": identity,
            "remember_method": self.remember_method,
        }

    def remember(self, values: tuple[Any, ...]) -> None:
        """Have a call with these arguments, which was a near hit, find its entry by them from now on, if it can."""
        self._remember(values, call_of(self._kept(values)))

    def remember_method(self, values: tuple[Any, ...]) -> None:
        """Do the same for a call of a method, whose first argument is part of the key."""
        self._remember(values, method_call_of(self._kept(values)))

    def _kept(self, values: tuple[Any, ...]) -> Sequence[Any]:
        return values if self._positions is None else [values[at] for at in self._positions]

    def _remember(self, values: tuple[Any, ...], call: Call | None) -> None:
        if call is not None:
            self._access.remember(self._request(values), self._calls, call)

    def copy(self, kept: Kept) -> Any:
        """Return a caller's own copy of the value; `UNSHARED` if it cannot be made."""
        try:
            return self._values.decode(kept.key, kept.entry)
        except UndecodablePayload:
            return UNSHARED
