"""Interruptions between any two bytecode instructions: what another thread can do there is done there, in turn at every place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def interrupted(call: Callable[[], T], at: int, interruption: Callable[[], object]) -> tuple[T, bool]:
    """Call, and interrupt it before its instruction of that number. Returns what it returned, and whether it got that far."""
    seen = 0
    done = False

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        nonlocal seen, done
        frame.f_trace_opcodes = True
        if event == "opcode" and not done:
            seen += 1
            if seen > at:
                done = True
                sys.settrace(None)
                interruption()
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # otherwise 3.12 would not look at those of other frames either
    sys.settrace(trace)
    try:
        result = call()
    finally:
        sys.settrace(before)
    return result, done


def everywhere(make: Callable[[], tuple[Callable[[], T], Callable[[], object]]]) -> Iterator[T]:
    """Yield the result of a call for each instruction that it can be interrupted before.

    Args:
        make: returns a call in a new world, and what interrupts it.
    """
    at, done = 0, True
    while done:
        call, interruption = make()
        result, done = interrupted(call, at, interruption)
        at += 1
        yield result
