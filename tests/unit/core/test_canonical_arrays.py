"""numpy's arrays and pandas' frames as arguments: by content, in bounded memory, and without being imported."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from afresh.core.canonical import digest, encode, render
from afresh.core.canonical.arrays import _data
from afresh.errors import UnkeyableArgument

GRID = np.arange(12, dtype="<i4").reshape(3, 4)
PAIR = np.dtype([("a", "i1"), ("b", "<f8")])
ALIGNED = np.dtype([("a", "i1"), ("b", "<f8")], align=True)


class Image(np.ndarray):
    pass


def assert_distinct(values):
    seen = {}
    for value in values:
        other = seen.setdefault(encode(value), value)
        assert other is value, f"{value!r} and {other!r} share an encoding"


# --- numpy ---------------------------------------------------------------------------------------------------------
def noted(note):
    image = GRID.view(Image)
    image.note = note
    return image


ARRAYS = [
    *(GRID, GRID.T, GRID.reshape(4, 3), GRID.reshape(-1), GRID[:0], GRID[:, :0], GRID + 1, GRID.tolist(), GRID.view("<u4")),
    *(GRID.astype(kind) for kind in ("<i8", ">i4", "<f4", "<f8", "<c16", "?", "O", "S2", "U2", "m8[s]", "m8[ms]", "M8[D]", "M8[us]")),
    *(np.array(1), np.array([1]), np.array([[1]]), np.array(1.0), np.array("1"), np.array(b"1"), np.array(None), np.array([])),
    *(np.array([0.0]), np.array([-0.0]), np.array([np.nan]), np.array([1.5], "g"), np.array([1.5], "G"), np.array([2.5j], "G")),
    *(np.array([1, "1"], "O"), np.array(["1", 1], "O"), np.array([[1], [2]], "O"), np.array([{1}, [2]], "O")),
    *(np.zeros(2, PAIR), np.ones(2, PAIR), np.zeros(2, ALIGNED), np.zeros(2, [("a", "i1"), ("c", "<f8")]), np.zeros(2, "V9")),
    *(np.zeros(2, [("a", "i1", (2,))]), np.zeros(2, [("a", "i1", (3,))]), np.zeros(2, "U0"), np.zeros(2, "V3")),
    *(np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0]), np.ma.array([1, 2]), np.ma.array([1, 2], fill_value=7)),
    *(GRID.view(Image), noted(1), noted(2), np.rec.array([(1, 2.0)], dtype=PAIR)),
    *(np.array(["a", "bc"], np.dtypes.StringDType()), np.array(["ab", "c"], np.dtypes.StringDType())),
    *(kind(1) for kind in (np.int8, np.int64, np.uint64, np.float16, np.float64, np.longdouble, np.complex128, np.bool_)),
    *(np.float64(0.0), np.float64(-0.0), np.str_("1"), np.bytes_(b"1"), np.datetime64(1, "s"), np.datetime64(1, "ms")),
    *(np.datetime64("NaT", "s"), np.timedelta64(1, "s"), np.zeros((), PAIR)[()], np.ones((), PAIR)[()]),
    *(np.dtype("<f8"), np.dtype(">f8"), PAIR, ALIGNED, np.dtype("O"), np.float64, np.int64, np.add, np.subtract, np.sum, np.mean),
    *(1, 1.0, True, "1", b"1", [1], None),
]


def test_distinct_arrays_and_scalars_have_distinct_encodings():
    assert_distinct(ARRAYS)


def test_an_array_is_what_it_holds_however_it_lies_in_memory():
    wide = np.zeros((6, 8), "<i4")
    wide[::2, ::2] = GRID
    for view in (wide[::2, ::2], np.asfortranarray(GRID), GRID[::-1][::-1], GRID.copy(), GRID[:, [0, 1, 2, 3]]):
        assert encode(view) == encode(GRID)
    assert encode(np.broadcast_to(np.int64(1), (3, 2))) == encode(np.ones((3, 2), "i8"))


def test_large_views_are_the_same_as_their_copies():
    large = np.arange(600_000).reshape(600, 1000)

    assert digest(large.T) == digest(large.T.copy())
    assert digest(large[::-1, ::3]) == digest(large[::-1, ::3].copy())
    assert digest(large) != digest(large.T)


def test_padding_is_no_part_of_a_value():
    one, other = (np.frombuffer(bytearray([fill] * 32), ALIGNED).copy() for fill in (0, 255))
    for field in ("a", "b"):
        one[field] = other[field] = 1
    extended, dirty = np.array([1.5], "g"), np.array([1.5], "g")
    dirty.view("u1")[10:] = 255

    assert encode(one) == encode(other)
    assert encode(extended) == encode(dirty)


def test_a_memmap_is_an_array_not_a_file(tmp_path):
    maps = [np.memmap(tmp_path / name, dtype="i4", mode="w+", shape=3) for name in "ab"]

    assert encode(maps[0]) == encode(maps[1])
    assert encode(maps[0]) != encode(np.zeros(3, "i4"))


@pytest.mark.parametrize(
    "take", [lambda array: array, lambda array: array[:, ::2], lambda array: array.T], ids=["whole", "sliced", "turned"]
)
def test_a_large_array_is_hashed_in_bounded_memory(take):
    array = take(np.zeros((1 << 12, 1 << 11)))

    tracemalloc.start()
    try:
        render((array,), ("image",))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 22


def test_the_path_leads_to_an_object_in_an_array():
    with pytest.raises(UnkeyableArgument) as refused:
        render((np.array([[1, 2], [3, object()]]),), ("grid",))

    assert refused.value.argument == "grid.data[3]"


def test_elements_of_a_kind_that_nobody_knows_are_refused():
    class Unknown:  # numpy lets only C make a new kind
        dtype = SimpleNamespace(names=None, kind="?", char="?")

    with pytest.raises(UnkeyableArgument, match="not laid out by value"):
        _data(Unknown())


# --- pandas --------------------------------------------------------------------------------------------------------
def frame(**changes):
    columns = {"a": [1, 2], "b": ["x", "y"], "c": [1.5, None]}
    return pd.DataFrame(columns | changes)


def with_attrs(note):
    table = frame()
    table.attrs["note"] = note
    return table


TIMES = pd.date_range("2024-07-01", periods=2)
FRAMES = [
    *(frame(), frame(a=[1, 3]), frame(a=[1.0, 2.0]), frame(b=["x", "z"]), frame(c=[1.5, 0]), frame(d=[1, 2]), frame()[["b", "a", "c"]]),
    *(frame().set_index("a"), frame().rename_axis("i"), frame().rename(columns={"a": "e"}), frame()[:1], frame()[:0], frame()[::-1]),
    *(frame().rename_axis("i", axis=1), pd.DataFrame(), with_attrs(1), with_attrs(2), frame().set_axis(["a", "a", "c"], axis=1)),
    *(frame(b=pd.Categorical(["x", "y"])), frame(b=pd.Categorical(["x", "y"], ordered=True)), frame(b=pd.Categorical(["y", "x"]))),
    *(frame(b=pd.Categorical(["x", "y"], categories=["x", "y", "z"])), frame(a=pd.array([1, None], "Int64")), frame(a=TIMES)),
    *(frame(a=TIMES.tz_localize("Europe/Paris")), frame(a=TIMES.tz_localize("Europe/Berlin")), frame(a=TIMES.tz_localize("UTC"))),
    *(frame(a=TIMES.as_unit("s")), frame(a=TIMES - TIMES[0]), frame(a=TIMES.to_period("D")), frame(a=pd.interval_range(0, 2))),
    *(frame(a=pd.arrays.SparseArray([0, 1])), frame(a=[Decimal(1), Decimal("1.0")]), frame(a=[(1,), [2]]), frame(a=[True, False])),
    *(frame()["a"], frame()["a"].rename("z"), frame()["b"], frame()["c"], frame()["a"].set_axis([5, 6]), pd.Series([1, 2])),
    *(pd.Index([1, 2]), pd.Index([1, 2], name="i"), pd.Index(["1", "2"]), pd.Index([1.0, 2.0]), pd.RangeIndex(1, 3), pd.RangeIndex(3)),
    *(TIMES, TIMES.tz_localize("UTC"), TIMES - TIMES[0], TIMES.to_period("D"), pd.interval_range(0, 2), pd.CategoricalIndex(["x"])),
    *(pd.MultiIndex.from_tuples([(1, "x"), (2, "y")]), pd.MultiIndex.from_tuples([(1, "x"), (2, "z")]), pd.RangeIndex(3, name="i")),
    *(pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["i", "j"]), pd.Index([(1, "x")], tupleize_cols=False)),
    *(pd.array([1, 2]), pd.array([1, None]), pd.array(["a", "b"]), pd.array([True, None]), pd.Categorical(["x"]), pd.array([1.5, 2])),
    *(pd.Timestamp("2024-07-01"), pd.Timestamp("2024-07-01").as_unit("ns"), pd.Timestamp("2024-07-01T00:00:00.000000001"), pd.NaT, pd.NA),
    *(pd.Timestamp("2024-07-01", tz=zone) for zone in ("UTC", "Europe/Paris", "Europe/Berlin")),
    *(pd.Timedelta(1), pd.Timedelta(2), pd.Period("2024-07", "M"), pd.Period("2024-07-01", "D"), pd.Period("2024-08", "M")),
    *(pd.Interval(0, 1), pd.Interval(0, 1, closed="left"), pd.Interval(0, 2), pd.Interval(0.0, 1.0)),
    *(None, [1, 2], np.array([1, 2])),
]


def test_distinct_frames_series_and_indexes_have_distinct_encodings():
    assert_distinct(FRAMES)


def test_a_frame_is_what_it_holds_however_it_was_made():
    table = frame()
    joined = pd.concat([table[:1], table[1:]])
    picked = pd.concat([table, table])[:2]

    assert encode(frame()) == encode(table)
    assert encode(joined.set_axis([0, 1])) == encode(picked.set_axis([0, 1]))
    assert encode(table.T.T.astype({"a": "int64", "c": "float64"})["a"].to_numpy()) == encode(table["a"].to_numpy())
    assert encode(table["b"].astype("category")) == encode(table["b"].astype("category")[::-1][::-1])


def test_values_under_a_nullable_mask_are_no_part_of_it():
    one, other = (pd.arrays.IntegerArray(np.array([1, junk]), np.array([False, True])) for junk in (0, 99))

    assert encode(one) == encode(other)


def test_an_object_in_a_frame_is_named():
    with pytest.raises(UnkeyableArgument) as refused:
        render((frame(d=[1, object()]),), ("table",))

    assert refused.value.argument == "table[3].data[1]"
    assert refused.value.type_name == "object"


def test_a_frame_of_a_subclass_is_refused():
    class GeoFrame(pd.DataFrame):
        _metadata = ["crs"]  # noqa: RUF012  # as pandas documents it

    with pytest.raises(UnkeyableArgument, match=r"adds to pandas\..*DataFrame cannot be told"):
        encode(GeoFrame({"a": [1]}))


def test_neither_library_is_imported():
    code = "import sys, afresh.core.canonical; print([name for name in ('numpy', 'pandas', 'pydantic', 'attrs') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
