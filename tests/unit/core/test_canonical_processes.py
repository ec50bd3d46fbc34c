"""Other processes, with other hash seeds and import orders, make the same keys."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import collections, dataclasses, datetime, decimal, enum, functools, pathlib, re, uuid, zoneinfo
from afresh.core.canonical import digest, render

class Color(enum.Enum):
    RED = object()

class Perm(enum.Flag):
    R = 1
    W = 2

@dataclasses.dataclass
class Point:
    x: object
    y: object = None

def adder(n):
    return lambda x: x in {"some", "words", "of", "a", "set", n}

words = "a set of words in an order that depends on the hash seed".split()
values = [
    set(words), frozenset(words), dict.fromkeys(words), dict.fromkeys(reversed(words)), {w: set(w) for w in words},
    collections.Counter(words), Color.RED, Perm.R | Perm.W, Point(set(words)), adder(3), functools.partial(adder, *words),
    pathlib.Path("a"), re.compile("a"), uuid.UUID(int=5), decimal.Decimal("1.5"), int | str | None, Point, len, str.upper,
    datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")), float("nan"), 10**5000, "\\ud800",
]
for value in values:
    print(digest(value).hex(), render((1, value), ("a", "b")))
"""


@pytest.fixture(scope="module")
def expected():
    return run("0")


def run(seed):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("seed", ["1", "42", "4294967295"])
def test_keys_do_not_depend_on_the_process_and_its_hash_seed(seed, expected):
    assert run(seed) == expected
    assert len(set(expected)) == len(expected) - 1  # a dict and the same in reverse
