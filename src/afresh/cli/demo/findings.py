"""What a row finds: figures, and claims about them that hold or do not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from afresh.cli.demo.place import Place

__all__ = ["Claim", "Figure", "Findings", "NotMeasured", "Result", "as_json"]


class Figure(NamedTuple):
    """Something measured: amounts by their units (``ms`` among them)."""

    what: str
    amounts: Mapping[str, float]


class Claim(NamedTuple):
    """Something that we promise of every run."""

    what: str
    found: str
    holds: bool


class Findings(NamedTuple):
    """What one row found."""

    figures: Sequence[Figure]
    claims: Sequence[Claim]


class NotMeasured(Exception):
    """Raised by a row that cannot be measured here, with the reason and the remedy. No failure of ours."""


@dataclass(frozen=True, slots=True)
class Result:
    """One row, measured or not."""

    name: str
    title: str
    elapsed_s: float
    found: Findings | NotMeasured

    @property
    def claims(self) -> Sequence[Claim]:
        """The claims of the row; none if it was not measured."""
        return () if isinstance(self.found, NotMeasured) else self.found.claims

    @property
    def holds(self) -> bool:
        """Whether all claims hold."""
        return all(claim.holds for claim in self.claims)


def as_json(place: Place, results: Sequence[Result], elapsed_s: float) -> str:
    """Return everything as one JSON object."""
    rows = [_row(result) for result in results]
    return json.dumps(
        {
            "ok": all(result.holds for result in results),
            "seconds": round(elapsed_s, 3),
            "server": place.shown,
            "versions": place.versions,
            "rows": rows,
        },
        indent=2,
    )


def _row(result: Result) -> dict[str, object]:
    row: dict[str, object] = {"name": result.name, "title": result.title, "seconds": round(result.elapsed_s, 3)}
    if isinstance(result.found, NotMeasured):
        return row | {"not_measured": str(result.found)}
    return row | {
        "figures": [{"what": figure.what, **figure.amounts} for figure in result.found.figures],
        "claims": [claim._asdict() for claim in result.found.claims],
    }
