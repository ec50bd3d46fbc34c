"""Values that come back as they were, for this process and for others that import this."""

from __future__ import annotations

import os

import numpy as np

from afresh import Cache
from tests.unit.codec.models import same
from tests.unit.codec.test_msgpack import EXAMPLES

URL, NAMESPACE = (os.environ.get(f"AFRESH_CORNER_CASES_{name}") for name in ("URL", "NAMESPACE"))


def values_of(cache, computed):
    """Return a function that computes the examples by number, as every process names it."""

    @cache.memoize(name="example")
    def example(number):
        computed.append(number)
        return EXAMPLES[number]

    return example


def unpadded(value):
    """Return a value without the bytes that are not part of it: those of an extended float are as they are in each process."""
    return (type(value), str(value)) if isinstance(value, np.longdouble) else value


def check():
    """Compare what another process has stored with what it should be, and say how much that was."""
    computed = []
    with Cache(URL, namespace=NAMESPACE, budget="10s") as cache:
        example = values_of(cache, computed)
        different = [number for number, value in enumerate(EXAMPLES) if not same(unpadded(example(number)), unpadded(value))]
    print(f"{len(EXAMPLES)} read, computed {computed}, different {different}")
