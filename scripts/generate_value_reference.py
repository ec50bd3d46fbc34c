"""Write docs/reference/values.md from the tables that the codec works by.

``python scripts/generate_value_reference.py`` after a change of these; a test fails until it was done.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from afresh.codec.kinds import KINDS, Kind
from afresh.codec.lowering import MAX_DEPTH
from afresh.codec.refusal import REASONS
from afresh.codec.shapes import SHAPES

PAGE = Path(__file__).parent.parent / "docs/reference/values.md"

TEXT = """\
# Values

<!-- Written by scripts/generate_value_reference.py: change the tables in src/afresh/codec, then run it. -->

What comes back from a hit equals what was computed and is of the same type, all the way down; what would not is refused: the
call returns it, it is not cached, and a warning names the part and what to return instead.

- Types are meant exactly. A subclass of `dict` or `str` is no `dict` or `str`, and is refused rather than sliced.
- Equality is kept, identity is not: two references to one list come back as two equal lists, and every hit has objects of its own.
- A value that contains itself is refused, and so is one nested deeper than {depth} levels; an object counts as two.

## Plain values

Stored as [msgpack](https://msgpack.org) knows them: `None`, `bool`, `int` and `float` (with signs of zero, infinities and NaN),
`str`, `bytes`, `list`, and `dict` with such keys, in order. Integers of more than 64 bits, text with lone surrogates and dicts
with other keys (tuples, enums, dates, …) are kept as well, in a few bytes more.

## Types of the standard library, and numpy's

An array whose first item is an empty msgpack extension of the type's number, then these parts, each of which may be any value.

{kinds}

## Your classes

Stored with `module:qualname` and a fingerprint of the fields as they are written. A reader looks for the class among those that
the function's return annotation reaches, which finds local ones, and in the modules that are loaded; it imports nothing. A class
that is not there, or has other fields by now, makes the entry a miss, so old and new processes can run side by side. Instances
are put together without running your constructors.

{shapes}

## What is refused

{refused}

Every other type is refused, too: return plain data or one of the above, or name a codec that can hold it.
"""


def render() -> str:
    """Return the page."""
    kinds = ((str(kind.code), _name_of(kind), kind.stored, kind.limits) for kind in KINDS)
    shapes = ((shape.title, shape.stored, shape.limits) for shape in SHAPES)
    refused = ((f"`{name.removeprefix('builtins.')}`", reason) for name, reason in REASONS.items())
    return TEXT.format(
        depth=MAX_DEPTH,
        kinds=_table(("Number", "Type", "Parts", "Limits"), kinds),
        shapes=_table(("Kind", "Parts", "Limits"), shapes),
        refused=_table(("Type, and what inherits from it", "Because"), refused),
    )


def _name_of(kind: Kind) -> str:
    return f"`{kind.name}`" if kind.home == "builtins" else f"`{kind.home}.{kind.name}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


if __name__ == "__main__":
    PAGE.write_text(render())
    print(PAGE)
