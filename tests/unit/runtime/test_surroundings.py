from __future__ import annotations

from contextvars import copy_context

import pytest

from afresh.core.keys import Namespace
from afresh.core.stamps import Captured
from afresh.runtime.surroundings import SURROUNDINGS, bypassed, bypassing, captured, end_capture_into, start_capture_into

NAMESPACE = Namespace("t")


@pytest.fixture(autouse=True)
def nothing_around() -> None:
    assert SURROUNDINGS.get() is None


def begun() -> Captured:
    own = Captured(NAMESPACE)
    start_capture_into(own)
    return own


def test_the_innermost_compute_counts_until_it_ends() -> None:
    outer = begun()
    inner = begun()

    assert captured() is inner
    end_capture_into(inner)
    assert captured() is outer
    end_capture_into(outer)

    assert SURROUNDINGS.get() is None


def test_a_compute_that_its_caller_was_torn_from_leaves_nothing_behind() -> None:
    begun()  # nobody holds it

    assert captured() is None
    assert SURROUNDINGS.get() is None


def test_what_is_around_a_compute_that_its_caller_was_torn_from_counts_again() -> None:
    outer = begun()
    begun()

    assert captured() is outer
    begun()
    end_capture_into(outer)

    assert SURROUNDINGS.get() is None


def test_a_task_that_outlives_its_compute_is_in_none() -> None:
    own = begun()
    task = copy_context()
    end_capture_into(own)
    assert task.run(captured) is own

    del own

    assert task.run(captured) is None
    assert task.run(SURROUNDINGS.get) is None


def test_a_bypass_holds_within_and_around_computes() -> None:
    outer = begun()
    with bypassing():
        assert (captured(), bypassed()) == (outer, True)
        inner = begun()
        assert (captured(), bypassed()) == (inner, True)
        end_capture_into(inner)
        end_capture_into(outer)
        assert (captured(), bypassed()) == (None, True)

    assert SURROUNDINGS.get() is None


def test_a_compute_ends_once() -> None:
    outer = begun()
    inner = begun()
    end_capture_into(outer)  # a coroutine that is closed from elsewhere

    assert captured() is inner
    end_capture_into(inner)
    assert captured() is outer
    end_capture_into(outer)
