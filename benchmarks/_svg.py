"""Two kinds of plots as SVG, without a library: dots with intervals on rows, and lines in panels. For bright and dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

__all__ = ["Mark", "Panel", "Row", "dots", "lines"]

_WIDTH = 860
_LABELS = 330
_ROW = 24
_TOP = 68
_PANEL = 230
# Distinguishable in grey and by who cannot tell red from green (Okabe and Ito 2008).
_OURS, _FLOOR = "#00897b", "#8a8f98"
_COLOURS = ("#d55e00", "#56b4e9", "#cc79a7", "#e69f00")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1f2933}.title{font-weight:600;font-size:14px}"
    ".end{text-anchor:end}.middle{text-anchor:middle}"
    ".ground{fill:#fff}.grid{stroke:#dde3e8}.aim{stroke:#1f2933;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e4e7eb}.ground{fill:#1e2129}.grid{stroke:#3b4150}.aim{stroke:#e4e7eb}}"
)


class Mark(NamedTuple):
    """A measured value, of a series, and between which two it lies 95 times of a hundred."""

    series: str
    value: float
    low: float
    high: float


class Row(NamedTuple):
    """What was measured of one work, and where the aim is."""

    label: str
    marks: Sequence[Mark]
    aim: float | None = None


class Panel(NamedTuple):
    """Points (x, y) by series, over a logarithmic axis whose first step may be 0."""

    label: str
    series: Mapping[str, Sequence[tuple[float, float]]]


def dots(title: str, axis: str, rows: Sequence[Row], *, logarithmic: bool) -> str:
    """Return rows of dots with intervals, a bar for the aim."""
    values = [value for row in rows for mark in row.marks for value in (mark.low, mark.high)] + [row.aim for row in rows if row.aim]
    ticks = _decades(min(values), max(values)) if logarithmic else _steps(max(values))
    scale = _scale(ticks[0], ticks[-1], _LABELS, _WIDTH - 30, logarithmic=logarithmic)
    colours = _coloured(mark.series for row in rows for mark in row.marks)
    height = _TOP + _ROW * len(rows) + 46
    bottom = _TOP + _ROW * len(rows)

    def body() -> Iterator[str]:
        for tick in ticks:
            yield f'<path class="grid" d="M{scale(tick):.1f} {_TOP}V{bottom}"/>'
            yield f'<text class="middle" x="{scale(tick):.1f}" y="{bottom + 18}">{_number(tick)}</text>'
        yield f'<text class="middle" x="{(_LABELS + _WIDTH) // 2}" y="{bottom + 36}">{escape(axis)}</text>'
        for at, row in enumerate(rows):
            y = _TOP + _ROW * at + _ROW / 2
            yield f'<text class="end" x="{_LABELS - 12}" y="{y + 4}">{escape(row.label)}</text>'
            if row.aim is not None:
                yield f'<path class="aim" d="M{scale(row.aim):.1f} {y - 9}v18"/>'
            for mark in reversed(row.marks):
                colour = colours[mark.series]
                yield f'<path stroke="{colour}" stroke-width="2" d="M{scale(mark.low):.1f} {y}H{scale(mark.high):.1f}"/>'
                yield f'<circle fill="{colour}" cx="{scale(mark.value):.1f}" cy="{y}" r="4"/>'

    return _framed(title, height, colours, body(), aim=any(row.aim is not None for row in rows))


def lines(title: str, axis: str, panels: Sequence[Panel]) -> str:
    """Return panels side by side, of lines from 0 on."""
    colours = _coloured(name for panel in panels for name in panel.series)
    width = _WIDTH // len(panels)
    top = max(y for panel in panels for points in panel.series.values() for _, y in points)
    ticks = _steps(top)
    bottom = _TOP + _PANEL
    height_of = _scale(0, ticks[-1], bottom, _TOP, logarithmic=False)

    def body() -> Iterator[str]:
        for at, panel in enumerate(panels):
            left, right = width * at + 70, width * (at + 1) - 24
            xs = sorted({x for points in panel.series.values() for x, _ in points})
            place = _scale(0, max(1, len(xs) - 1), left, right, logarithmic=False)
            for tick in ticks:
                yield f'<path class="grid" d="M{left} {height_of(tick):.1f}H{right}"/>'
                yield f'<text class="end" x="{left - 8}" y="{height_of(tick) + 4:.1f}">{_number(tick)}</text>'
            for number, x in enumerate(xs):
                yield f'<text class="middle" x="{place(number):.1f}" y="{bottom + 18}">{_number(x)}</text>'
            yield f'<text class="middle" x="{(left + right) // 2}" y="{bottom + 36}">{escape(panel.label)}</text>'
            for name, points in panel.series.items():
                drawn = [(place(xs.index(x)), height_of(y)) for x, y in points]
                path = "L".join(f"{x:.1f} {y:.1f}" for x, y in drawn)
                yield f'<path fill="none" stroke="{colours[name]}" stroke-width="2" d="M{path}"/>'
                yield from (f'<circle fill="{colours[name]}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in drawn)

    return _framed(f"{title}, {axis}", bottom + 46, colours, body())


def _framed(title: str, height: int, colours: Mapping[str, str], body: Iterator[str], *, aim: bool = False) -> str:
    legend, x = [], 20
    for name, colour in colours.items():
        legend.append(f'<circle fill="{colour}" cx="{x}" cy="46" r="4"/><text x="{x + 9}" y="50">{escape(name)}</text>')
        x += 36 + round(6.4 * len(name))
    if aim:
        legend.append(f'<path class="aim" d="M{x} 38v16"/><text x="{x + 9}" y="50">aim</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}">'
    ground = '<rect class="ground" width="100%" height="100%" rx="6"/>'
    named = f'<text class="title" x="16" y="24">{escape(title)}</text>'
    return "\n".join([head, f"<title>{escape(title)}</title><style>{_STYLE}</style>", ground, named, *legend, *body, "</svg>", ""])


def _coloured(names: Iterator[str]) -> dict[str, str]:
    """Give what is ours, the floor, and the others each a colour."""
    left = iter(_COLOURS)
    colours: dict[str, str] = {}
    for name in dict.fromkeys(names):
        colour = _FLOOR if name.startswith("floor") else _OURS if name.startswith("afresh") else next(left)
        colours[name] = next(left) if colour in colours.values() else colour
    return colours


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _scale(low: float, high: float, start: float, end: float, *, logarithmic: bool) -> Callable[[float], float]:
    if logarithmic:
        return lambda value: start + (end - start) * math.log(value / low) / math.log(high / low)
    return lambda value: start + (end - start) * (value - low) / (high - low)


def _decades(low: float, high: float) -> list[float]:
    """Return 1, 2, 5, 10, … from below to above."""
    steps = [round(step * 10.0**power, 9) for power in range(-4, 9) for step in (1, 2, 5)]
    first = max(at for at, step in enumerate(steps) if step <= low)
    return steps[first : next(at for at, step in enumerate(steps) if step >= high) + 1]


def _steps(high: float) -> list[float]:
    """Return round numbers from 0 to above."""
    rough = high / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    return [round(step * at, 9) for at in range(math.ceil(high / step) + 1)]
