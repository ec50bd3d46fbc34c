"""Draw states and what leads from one to another, as one reads a sequence diagram: a line for each state, an arrow for each change.

No layout to compute, nothing that crosses, and no library: the page that shows it loads nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import TypeAlias

__all__ = ["Arrows", "drawn"]

Arrows: TypeAlias = Mapping[tuple[str, str], Sequence[str]]
"""What leads from one state to another; the first state of the first arrow is where everything begins."""

_LANE, _BOX, _LINE, _MARGIN = 150, 128, 16, 14
_LETTER, _BOLD = 6.1, 7.4  # how wide letters are in the font below, on average, rather too much than too little
_STYLE = (
    "text{font:12px system-ui,sans-serif;text-anchor:middle;fill:#1f2933}"
    ".state{font-weight:600}"
    ".box{fill:#e0f2f1;stroke:#00897b}"
    ".first .box{fill:#00897b}.first .state{fill:#fff}"
    ".life{stroke:#b0bec5;stroke-dasharray:2 4}"
    ".arrow{stroke:#00695c;stroke-width:1.5;marker-end:url(#tip)}"
    ".event{paint-order:stroke;stroke:#fff;stroke-width:5;stroke-linejoin:round}"
)


def drawn(title: str, arrows: Arrows) -> str:
    """Return the drawing as SVG, on a ground of its own, for bright and dark pages."""
    names = list(dict.fromkeys(name for arrow in arrows for name in arrow))
    at = {name: _MARGIN + _LANE * number + _LANE // 2 for number, name in enumerate(names)}
    width = 2 * _MARGIN + _LANE * len(names)
    heads = max(len(_lines(name, _BOX, _BOLD)) for name in names)
    y = _MARGIN + heads * _LINE + 22
    top, changes = y, []
    for (one, other), events in arrows.items():
        lines = _lines(", ".join(events), max(abs(at[one] - at[other]), 1.6 * _LANE) - 24)
        changes.append("\n".join(_change(at[one], at[other], y, lines, width)))
        y += _LINE * len(lines) + 18
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {y + _MARGIN}" width="{width}">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
            '<path d="M0 0 8 4 0 8z" fill="#00695c"/></marker>',
            '<rect width="100%" height="100%" rx="6" fill="#fff"/>',
            *(f'<path class="life" d="M{x} {top - 8}V{y}"/>' for x in at.values()),
            *(_state(name, at[name], heads, is_first=name == names[0]) for name in names),
            *changes,
            "</svg>",
            "",
        ]
    )


def _state(name: str, x: int, heads: int, *, is_first: bool) -> str:
    lines = _lines(name, _BOX, _BOLD)
    height = heads * _LINE + 10
    y = _MARGIN + 5 + (heads - len(lines)) * _LINE / 2 + 12
    box = f'<rect class="box" x="{x - _BOX // 2}" y="{_MARGIN}" width="{_BOX}" height="{height}" rx="6"/>'
    return f'<g class="{"first" if is_first else "other"}">{box}{_text("state", x, y, lines)}</g>'


def _change(start: int, end: int, y: int, lines: Sequence[str], width: int) -> Iterator[str]:
    half = max(map(len, lines)) * _LETTER / 2 + _MARGIN
    middle = min(max((start + end) / 2, half), width - half)
    yield _text("event", middle, y + 10, lines)
    below = y + _LINE * len(lines) + 2
    yield f'<circle cx="{start}" cy="{below}" r="3" fill="#00695c"/><path class="arrow" d="M{start} {below}H{end}"/>'


def _text(kind: str, x: float, y: float, lines: Sequence[str]) -> str:
    rows = "".join(f'<tspan x="{x:g}" dy="{_LINE if number else 0}">{escape(line)}</tspan>' for number, line in enumerate(lines))
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{rows}</text>'


def _lines(text: str, width: float, letter: float = _LETTER) -> list[str]:
    return wrap(text, int(width / letter), break_long_words=False)
