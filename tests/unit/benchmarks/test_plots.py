"""The plots: what they show is what was measured, and every one of them is in the documentation."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

from benchmarks import Comparison
from benchmarks._plots import FOLDER, drawn
from benchmarks._svg import Mark, Row, dots

PAGE = Path(__file__).parents[3] / "docs/explanation/performance.md"
MEASURED = [
    Comparison("get: a dict of 200 B, a hit", {"floor: GET": [10.0] * 3, "afresh: cache.get": [13.0] * 3}, {"afresh: cache.get": 1.35}),
    Comparison("mixed load, p50 of single reads", {"floor: GET": [10.0] * 3, "afresh: a function": [20.0] * 3}),
    Comparison("misses of 500 entries: a load", {"floor: the best possible": [10.0] * 3, "afresh: SIEVE": [12.0] * 3}),
    Comparison("get, by threads", {f"afresh: cache.get, {many} threads": [10.0] * 3 for many in (1, 4)}),
    Comparison("get, asyncio, by tasks", {f"afresh: cache.aio.get, {many} tasks": [10.0] * 3 for many in (1, 50)}),
    Comparison("by entries on the server", {f"afresh: cache.get, {many} entries": [10.0] * 3 for many in ("1,000", "10,000")}),
    Comparison("memoize, by tags", {f"afresh: a remote hit, {many} tags": [10.0] * 3 for many in (0, 16)}),
]


def test_every_plot_is_drawn_and_shown() -> None:
    plots = dict(drawn(MEASURED))

    assert {file.stem for file in FOLDER.glob("*.svg")} == plots.keys()
    for name, svg in plots.items():
        fromstring(svg)
        assert f"(performance/{name}.svg)" in PAGE.read_text()


def test_a_dot_is_where_its_value_is() -> None:
    row = Row("get", [Mark("afresh", 2.0, 1.0, 4.0)], aim=1.0)

    root = fromstring(dots("title", "ratio", [row], logarithmic=True))
    tags = {element.text: element for element in root.iter() if element.text and element.text.isdecimal()}
    dot = [element for element in root.iter() if element.tag.endswith("circle")][-1]

    assert dot.get("cx") == tags["2"].get("x")
