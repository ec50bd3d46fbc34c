"""The demo on a screen: 80 columns, colours that do on light and on dark, and plain lines where nobody watches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TextIO

from afresh.cli.demo.findings import Figure, NotMeasured, Result
from afresh.cli.demo.place import Place

__all__ = ["Screen"]

_WIDTH = 80
_WHAT = 48
_AMOUNT = 13
_GREEN, _RED, _YELLOW, _BOLD, _FAINT = "32", "1;31", "33", "1", "2"


class Screen:
    """Writes results as they come.

    On a terminal a row says what it is at until it is finished. The environment's ``NO_COLOR`` turns colours off.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._has_color = self._is_live and not os.environ.get("NO_COLOR")
        self._is_telling = False

    def heading(self, place: Place) -> None:
        """Say what is measured, and where."""
        told = place.versions
        self._line(f"{self._in(_BOLD, 'afresh ' + told['afresh'])} on {told['server']}, {place.shown}")
        self._line(self._in(_FAINT, f"Python {told['python']}, redis-py {told['redis-py']}. Times are medians of what is done often."))

    def start(self, number: int, title: str) -> None:
        """Say which row is being measured."""
        self._line("")
        self._line(self._in(_BOLD, f"{number}. {title}"))
        self.tell("beginning")

    def tell(self, note: str) -> None:
        """Say what the row is at, until there is something newer to say."""
        if self._is_live:
            columns = min(shutil.get_terminal_size().columns, _WIDTH)
            self.hush()
            self._stream.write(self._in(_FAINT, f"   ... {note}"[: columns - 1]))
            self._stream.flush()
            self._is_telling = True

    def hush(self) -> None:
        """Take back what was told last."""
        if self._is_telling:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_telling = False

    def finish(self, result: Result) -> None:
        """Say what the row found."""
        if isinstance(result.found, NotMeasured):
            self._line(f"   {self._in(_YELLOW, 'not measured')}: {result.found}")
            return
        for figure in result.found.figures:
            self._line(f"   {figure.what:<{_WHAT}}{_amounts(figure)}")
        for claim in result.found.claims:
            mark = self._in(_GREEN, "ok") if claim.holds else self._in(_RED, "FAILED")
            self._line(f"   {mark}  {claim.what}: {claim.found}")

    def summary(self, results: Sequence[Result], elapsed_s: float) -> None:
        """Say whether all is well."""
        claims = [claim for result in results for claim in result.claims]
        failed = sum(not claim.holds for claim in claims)
        skipped = sum(isinstance(result.found, NotMeasured) for result in results)
        verdict = (
            self._in(_RED, f"{failed} of {len(claims)} claims failed") if failed else self._in(_GREEN, f"All {len(claims)} claims hold")
        )
        not_measured = f"; {skipped} of {len(results)} rows not measured" if skipped else ""
        self._line("")
        self._line(f"{verdict}{not_measured}. {elapsed_s:.1f} s.")

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def _in(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._has_color else text


def _amounts(figure: Figure) -> str:
    return "".join(f"{_number(amount, unit)} {unit}".rjust(_AMOUNT) for unit, amount in figure.amounts.items())


def _number(amount: float, unit: str) -> str:
    """Return three digits of a time, and all of a count."""
    if unit != "ms":
        return f"{amount:,.0f}"
    return f"{amount:,.{2 if amount < 10 else 1 if amount < 100 else 0}f}" if amount >= 1 else f"{amount:.3f}"
