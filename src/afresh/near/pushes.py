"""Which names were pushed lately: what says whether something read some time ago is still as it was."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Pushes"]

# How many names are remembered. What began before the oldest of them cannot be vouched for any more.
_REMEMBERED = 20_000


class Pushes:
    """The last names that changed on the server, each with the moment at which it was last noted.

    `moment` may be read without a lock. It moves on only in `passed`, once everything has been done about the names noted before: who
    reads it while that is under way counts as having begun before these names changed.
    """

    __slots__ = ("_last", "_since", "moment")

    def __init__(self) -> None:
        self.moment = 0
        self._since = 0
        self._last: dict[str, int] = {}

    def note(self, names: Iterable[str]) -> None:
        """Note that these have changed."""
        last, moment = self._last, self.moment + 1
        for name in names:
            last.pop(name, None)
            last[name] = moment
        while len(last) > _REMEMBERED:
            self._since = last.pop(next(iter(last)))

    def note_all(self) -> None:
        """Note that anything may have changed."""
        self._since = self.moment + 1
        self._last.clear()

    def passed(self) -> None:
        """Begin the next moment."""
        self.moment += 1

    def are_known(self, since: int) -> bool:
        """Say whether it is known which names were noted after that moment."""
        return since >= self._since

    def were_silent(self, names: Iterable[str], since: int) -> bool:
        """Say whether none of these was noted after that moment; False, too, where that is not known any more."""
        last = self._last
        return self.are_known(since) and all(last.get(name, 0) <= since for name in names)
