"""What comes back equals what was computed and is of the same type, or is computed each time."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import os
import subprocess
import sys
import threading
import typing
import warnings
from collections import OrderedDict, namedtuple
from types import ModuleType

import attrs
import msgspec
import numpy as np
import pydantic
import pytest

from afresh import Cache, UncachedWarning
from afresh.testing import wait_until
from tests.corner_cases.arguments import Point, SubPoint
from tests.corner_cases.conftest import as_coroutine_function
from tests.corner_cases.values import values_of
from tests.unit.codec.models import same
from tests.unit.codec.test_msgpack import EXAMPLES
from tests.unit.codec.test_refused import REFUSED

T = typing.TypeVar("T")


# --- round trips -------------------------------------------------------------------------------------------------------
def test_every_value_comes_back_the_same(memoize, run):
    computed = []

    @memoize()
    def example(number):
        computed.append(number)
        return EXAMPLES[number]

    for _ in range(2):
        for number, value in enumerate(EXAMPLES):
            assert same(run(example(number)), value), number
    assert computed == [*range(len(EXAMPLES))]


def test_every_value_comes_back_the_same_in_another_process(valkey, namespace):
    with Cache(valkey.url, namespace=namespace, budget="10s") as cache:
        example = values_of(cache, [])
        for number in range(len(EXAMPLES)):
            example(number)
        env = os.environ | {"AFRESH_CORNER_CASES_URL": valkey.url, "AFRESH_CORNER_CASES_NAMESPACE": namespace}
        env |= {"PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)}
        code = "from tests.corner_cases.values import check\ncheck()"
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(EXAMPLES)} read, computed [], different []\n"


def test_what_would_change_is_computed_each_time(cache, memoize, run):
    computed = []

    @memoize()
    def refused(number):
        computed.append(number)
        return REFUSED[number][0]

    with pytest.warns(UncachedWarning, match="not cached: value.* cannot be cached faithfully: .*or name a codec that can hold it"):
        run(refused(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncachedWarning)
        for number, (value, _, _) in enumerate(REFUSED):
            for _ in range(2):
                assert run(refused(number)) is value, "the leader's own"
            assert run(refused.peek(number)) is None
    assert computed == [0, *(number for number in range(len(REFUSED)) for _ in range(2))]


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", b"", (), [], {}, set(), ...], ids=repr)
def test_nothing_is_a_value_like_any_other(memoize, run, value):
    computed = []

    @memoize()
    def nothing(x):
        computed.append(x)
        return value

    for _ in range(3):
        assert same(run(nothing(1)), value)
    assert computed == [1]
    assert run(nothing.peek(1)).value == value


def test_a_large_value_comes_back(memoize, run):
    @memoize()
    def large(kind):
        return {"text": "añ" * 500_000, "noise": os.urandom(1_000_000), "numbers": list(range(100_000))}[kind]

    for kind in ("text", "noise", "numbers"):
        assert run(large(kind)) == run(large(kind))
    assert large.stats().computes == 3


# --- whose value it is -------------------------------------------------------------------------------------------------
def test_changing_a_returned_value_changes_nobodys_next_hit(memoize, run):
    @memoize()
    def basket():
        return {"items": [Point([1], {"a": {2}})], "array": np.array([1, 2])}

    for _ in range(3):
        got = run(basket())
        assert got["items"] == [Point([1], {"a": {2}})]
        assert got["array"].tolist() == [1, 2]
        got["items"][0].x.append(99)
        got["items"][0].y["a"].add(99)
        got["items"].clear()
        got["array"][0] = 99
        del got["array"]


def test_changing_what_the_function_keeps_changes_nobodys_next_hit(memoize, run):
    kept = {"rows": [1]}

    @memoize()
    def rows():
        return kept

    assert run(rows()) is kept, "the leader gets what was computed"
    kept["rows"].append(2)
    assert run(rows()) == {"rows": [1]}


def test_a_function_that_returns_its_argument(memoize, run):
    @memoize()
    def same_list(items):
        return items

    items = [1]
    got = run(same_list(items))
    got.append(2)
    assert run(same_list([1])) == [1]
    assert run(same_list([1, 2])) == [1, 2]


def test_followers_have_a_copy_each(cache):
    def call():
        results.append(slow())

    @cache.memoize()
    def slow():
        began.set()
        assert go_on.wait(10)
        return [[0]]

    began, go_on, results = threading.Event(), threading.Event(), []
    threads = [threading.Thread(target=call) for _ in range(5)]
    threads[0].start()
    assert began.wait(10)
    for thread in threads[1:]:
        thread.start()
    wait_until(lambda: threading.active_count() > 5, 10, "all to have begun")
    go_on.set()
    for thread in threads:
        thread.join(10)
    results[0][0].append(1)
    assert sorted(results) == [*[[[0]]] * 4, [[0, 1]]]


async def test_followers_of_a_task_have_a_copy_each(cache):
    @cache.memoize()
    async def slow():
        await asyncio.sleep(0.02)
        return [[0]]

    results = await asyncio.gather(*(slow() for _ in range(5)))
    results[0][0].append(1)
    assert results == [[[0, 1]], *[[[0]]] * 4]
    await cache.aio.aclose()


# --- typed by annotations ----------------------------------------------------------------------------------------------
def local_classes():
    """Return a class of each kind that no module shows under its name, and an instance."""

    @dataclasses.dataclass
    class Data:
        x: int

    @attrs.define
    class Attrs:
        x: int

    class Named(typing.NamedTuple):
        x: int

    class Model(pydantic.BaseModel):
        x: int

    class Struct(msgspec.Struct):
        x: int

    class Choice(enum.Enum):
        ONE = 1

    return {cls: cls(x=1) for cls in (Data, Attrs, Named, Model, Struct)} | {Choice: Choice.ONE}


def test_local_classes_come_back_where_they_are_annotated(memoize, run):
    for cls, value in local_classes().items():
        for annotation, expected in ((cls, value), (dict[str, list[cls | None]], {"all": [value, None]})):

            def make(expected=expected):
                return expected

            make.__annotations__ = {"return": annotation}
            memoized = memoize(name=str(annotation), ignore=["expected"])(make)
            for _ in range(2):
                got = run(memoized())
                assert got == expected
                assert type(got) is type(expected)
            assert memoized.stats().computes == 1


def test_annotations_in_quotes_mean_what_they_mean_in_the_function(memoize, run):
    @dataclasses.dataclass
    class Row:
        x: Cell

    @dataclasses.dataclass
    class Cell:
        y: int

    def rows() -> list[Row]:
        return [Row(Cell(1))]

    memoized = memoize()(rows)
    assert [run(memoized()) for _ in range(2)] == [[Row(Cell(1))]] * 2
    assert memoized.stats().computes == 1


def test_annotations_are_found_behind_decorators_and_partials(cache, run):
    @dataclasses.dataclass
    class Row:
        x: int

    def rows(x) -> list[Row]:
        return [Row(x)]

    class Rows:
        def __call__(self, x) -> list[Row]:
            return [Row(x)]

    for number, function in enumerate([as_coroutine_function(rows), functools.partial(rows), functools.partial(rows, 5), Rows()]):
        memoized = cache.memoize(name=f"rows {number}")(function)
        args = () if number == 2 else (5,)
        assert [run(memoized(*args)) for _ in range(2)] == [[Row(5)]] * 2
        assert memoized.stats().computes == 1


def test_type_variables_and_aliases_say_what_they_can(memoize, run):
    def first(items: list[T]) -> T:
        return items[0]

    def number() -> typing.NewType("Number", int):
        return 5

    class Movie(typing.TypedDict):
        title: str

    def movie() -> Movie:
        return {"title": "Alien"}

    for function, args, expected in ((first, [[Point(1)]], Point(1)), (number, [], 5), (movie, [], {"title": "Alien"})):
        memoized = memoize(name=function.__name__)(function)
        for _ in range(2):
            assert run(memoized(*args)) == expected
        assert memoized.stats().computes == 1


def test_a_subclass_is_never_cut_down_to_what_is_annotated(memoize, run):
    @memoize()
    def point() -> Point:
        return SubPoint(1, 2, 3)

    for _ in range(2):
        assert same(run(point()), SubPoint(1, 2, 3))
        assert type(run(point())) is SubPoint
    assert point.stats().computes == 1


def test_an_annotation_that_is_wrong_changes_nothing(memoize, run):
    @memoize()
    def wrong() -> int:
        return ["not", "an", "int", OrderedDict(a=1)]

    assert [run(wrong()) for _ in range(2)] == [["not", "an", "int", OrderedDict(a=1)]] * 2
    assert wrong.stats().computes == 1


def test_a_class_whose_name_leads_nowhere_is_refused_with_the_remedy(memoize, run):
    Hidden = namedtuple("Elsewhere", "a")  # noqa: PYI024  # the untyped kind is under test

    @memoize()
    def hidden():
        return Hidden(1)

    with pytest.warns(UncachedWarning, match="Elsewhere cannot be cached faithfully: .*annotate the return type, or define it at module"):
        assert run(hidden()) == Hidden(1)


# --- after a deploy -----------------------------------------------------------------------------------------------------
HEAD = "from __future__ import annotations\nimport attrs, pydantic\nfrom dataclasses import dataclass\nfrom typing import NamedTuple\n"
RELEASES = {
    "dataclass, a field more": ("@dataclass\nclass C:\n    x: int", "@dataclass\nclass C:\n    x: int\n    y: int = 2"),
    "dataclass, another type": ("@dataclass\nclass C:\n    x: int", "@dataclass\nclass C:\n    x: str"),
    "attrs": ("@attrs.define\nclass C:\n    x: int", "@attrs.define\nclass C:\n    x: int\n    y: int = 2"),
    "named tuple": ("class C(NamedTuple):\n    x: int", "class C(NamedTuple):\n    x: int\n    y: int = 2"),
    "pydantic": ("class C(pydantic.BaseModel):\n    x: int", "class C(pydantic.BaseModel):\n    x: int\n    y: int = 2"),
    "another kind": ("@dataclass\nclass C:\n    x: int", "class C(NamedTuple):\n    x: int"),
}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("prefix", ["", "async "], ids=["sync", "async"])
def test_old_and_new_processes_side_by_side_never_raise_nor_mix(url, namespace, run, monkeypatch, release, prefix):
    """Two releases take turns on one server: what the other has stored is a miss, as its class is not what it is here."""
    function = f"\n{prefix}def load(x):\n    return [C(x=x)]\n"
    versions = []
    for source in RELEASES[release]:
        module = ModuleType("deployed")
        monkeypatch.setitem(sys.modules, "deployed", module)
        exec(HEAD + source + function, vars(module))
        cache = Cache(url, namespace=namespace, budget="10s")
        if versions and cache._engine.stores.address.scheme == "memory":
            cache._engine.stores._memory = versions[0][1]._engine.stores._memory
        versions.append((module, cache, cache.memoize(name="load")(module.load)))
    for _ in range(3):
        for module, cache, load in versions:
            monkeypatch.setitem(sys.modules, "deployed", module)
            assert run(load(1)) == [module.C(x=1)]
            assert type(run(load(1))[0]) is module.C
            if prefix:
                run(cache.aio.aclose())
    for _, cache, load in versions:
        assert load.stats().computes <= 3
        cache.close()
