"""How pandas' frames, series, indexes and scalars are taken apart for a key, without importing pandas.

A column is its dtype and its values: numpy's memory where there is one, codes and categories of a categorical, UTC instants of
zoned times, else value by value. Labels and names are part of the key; subclasses are refused, since what they add is private.
"""

from __future__ import annotations

from typing import Any

from afresh.core.canonical.rule import Parts, Rule

__all__ = ["FRAME_RULES"]


def _frame(frame: Any) -> Parts:
    columns = [_column(frame.iloc[:, position]) for position in range(frame.shape[1])]
    return {"columns": frame.columns, "index": frame.index, "": columns, "attrs": dict(frame.attrs)}


def _series(series: Any) -> Parts:
    return {"name": series.name, "index": series.index, "": _column(series), "attrs": dict(series.attrs)}


def _index(index: Any) -> Parts:
    return {"name": index.name, "": _column(index)}


def _range_index(index: Any) -> Parts:
    return {"name": index.name, "": range(index.start, index.stop, index.step)}


def _multi_index(index: Any) -> Parts:
    return {"names": list(index.names), "": [_column(index.get_level_values(level)) for level in range(index.nlevels)]}


def _column(column: Any) -> object:
    """Return the dtype and the values of a series, an index or an extension array."""
    dtype = column.dtype
    name = str(dtype)
    if type(dtype).__module__.startswith("numpy"):
        return column.to_numpy()
    values = getattr(column, "array", column)
    if name == "category":
        return {"categories": dtype.categories, "ordered": dtype.ordered, "codes": values.codes}
    if name.startswith("datetime64["):
        return (name, values.to_numpy(f"datetime64[{dtype.unit}]"))
    return (name, values.tolist())


def _timestamp(value: Any) -> Parts:
    return {"": value.asm8, "fold": value.fold, "tzinfo": value.tzinfo}


def _timedelta(value: Any) -> Parts:
    return {"": value.asm8}


def _period(value: Any) -> Parts:
    return {"ordinal": value.ordinal, "freq": value.freqstr}


def _interval(value: Any) -> Parts:
    return {"left": value.left, "right": value.right, "closed": value.closed}


def _nothing(_: object) -> Parts:
    return {}


FRAME_RULES: dict[str, Rule] = {
    "pandas.DataFrame": Rule(_frame, "columns, index, dtypes and values, and ``attrs``", 'pandas.DataFrame({"a": [1, 2]})', "refused"),
    "pandas.Series": Rule(_series, "name, index, dtype and values, and ``attrs``", "pandas.Series([1, 2])", "refused"),
    "pandas.Index": Rule(_index, "class, name, dtype and values", "pandas.Index([1, 2])", "covered"),
    "pandas.RangeIndex": Rule(_range_index, "name, start, stop and step", "pandas.RangeIndex(3)", "refused"),
    "pandas.MultiIndex": Rule(_multi_index, "names, dtypes and values of the levels", "pandas.MultiIndex.from_tuples([(1, 2)])", "refused"),
    "pandas.Timestamp": Rule(_timestamp, "instant with its unit, fold and tzinfo", 'pandas.Timestamp("2024-02-29")', "refused"),
    "pandas.Timedelta": Rule(_timedelta, "length with its unit", 'pandas.Timedelta("1h")', "refused"),
    "pandas.Period": Rule(_period, "ordinal and frequency", 'pandas.Period("2024-02", "M")', "refused"),
    "pandas.Interval": Rule(_interval, "both ends and which are closed", "pandas.Interval(0, 1)", "refused"),
    "pandas.api.extensions.ExtensionArray": Rule(
        lambda array: {"": _column(array)}, "class, dtype and values", 'pandas.Categorical(["a"])', "covered"
    ),
    "pandas._libs.missing.C_NAType": Rule(_nothing, "itself", "pandas.NA", "covered"),
    "pandas._libs.tslibs.nattype._NaT": Rule(_nothing, "itself", "pandas.NaT", "covered"),
}
