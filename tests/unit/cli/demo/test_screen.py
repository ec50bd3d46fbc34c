"""What the demo shows, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import re

import pytest

from afresh.cli.demo.findings import Claim, Figure, Findings, NotMeasured, Result, as_json
from afresh.cli.demo.place import Place
from afresh.cli.demo.screen import Screen

VERSIONS = {"afresh": "1.2.3", "server": "Valkey 9.1.2", "python": "3.13.5", "redis-py": "8.1.0"}
PLACE = Place("redis://:hidden-word@host/0", "redis://host:6379/0", redis=None, versions=VERSIONS)
GOOD = Result(
    "good", "What went well", 1.25, Findings([Figure("visits", {"queries": 1234, "ms": 0.0567})], [Claim("it holds", "yes", True)])
)
BAD = Result("bad", "What did not", 0.5, Findings([], [Claim("it holds", "no", False), Claim("that too", "yes", True)]))
SKIPPED = Result("skipped", "What was not there", 0.0, NotMeasured("Django is not installed"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, *results: Result) -> str:
    screen = Screen(stream)
    screen.heading(PLACE)
    for number, result in enumerate(results, start=1):
        screen.start(number, result.title)
        screen.tell("a note " + "and more " * 20)
        screen.hush()
        screen.finish(result)
    screen.summary(results, 12.34)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def terminal_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_where_nobody_watches_there_are_plain_lines_and_no_notes() -> None:
    assert show(io.StringIO(), GOOD, BAD, SKIPPED).splitlines() == [
        "afresh 1.2.3 on Valkey 9.1.2, redis://host:6379/0",
        "Python 3.13.5, redis-py 8.1.0. Times are medians of what is done often.",
        "",
        "1. What went well",
        "   visits                                          1,234 queries     0.057 ms",
        "   ok  it holds: yes",
        "",
        "2. What did not",
        "   FAILED  it holds: no",
        "   ok  that too: yes",
        "",
        "3. What was not there",
        "   not measured: Django is not installed",
        "",
        "1 of 3 claims failed; 1 of 3 rows not measured. 12.3 s.",
    ]


def test_a_terminal_shows_colours_and_what_a_row_is_at() -> None:
    shown = show(Terminal(), GOOD, BAD)

    assert "\x1b[32mok\x1b[0m" in shown
    assert "\x1b[1;31mFAILED\x1b[0m" in shown
    assert "... a note" in shown


def test_a_note_fits_on_one_line_and_is_taken_back() -> None:
    shown = show(Terminal(), GOOD)

    for note in re.findall(r"   \.\.\. [^\x1b]*", shown):
        assert len(note) < 80
    assert shown.count("\r\x1b[K") == shown.count("   ... ")


def test_no_color_turns_colours_off_and_leaves_the_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    shown = show(Terminal(), GOOD, BAD)

    assert not re.search(r"\x1b\[[0-9;]*m", shown)
    assert "... a note" in shown


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    assert show(Terminal(), GOOD) == show(io.StringIO(), GOOD)


@pytest.mark.parametrize(
    ("ms", "shown"), [(0.01234, "0.012 ms"), (1.234, "1.23 ms"), (12.34, "12.3 ms"), (123.4, "123 ms"), (1234.5, "1,234 ms")]
)
def test_a_time_is_shown_with_three_digits(ms: float, shown: str) -> None:
    row = Result("row", "Row", 0.0, Findings([Figure("it takes", {"ms": ms})], []))

    assert f" {shown}\n" in show(io.StringIO(), row)


def test_json_holds_everything_but_secrets() -> None:
    told = json.loads(as_json(PLACE, [GOOD, BAD, SKIPPED], 12.3456))

    assert told == {
        "ok": False,
        "seconds": 12.346,
        "server": "redis://host:6379/0",
        "versions": VERSIONS,
        "rows": [
            {
                "name": "good",
                "title": "What went well",
                "seconds": 1.25,
                "figures": [{"what": "visits", "queries": 1234, "ms": 0.0567}],
                "claims": [{"what": "it holds", "found": "yes", "holds": True}],
            },
            {
                "name": "bad",
                "title": "What did not",
                "seconds": 0.5,
                "figures": [],
                "claims": [{"what": "it holds", "found": "no", "holds": False}, {"what": "that too", "found": "yes", "holds": True}],
            },
            {"name": "skipped", "title": "What was not there", "seconds": 0.0, "not_measured": "Django is not installed"},
        ],
    }


def test_a_row_that_was_not_measured_is_no_failure() -> None:
    assert json.loads(as_json(PLACE, [GOOD, SKIPPED], 1.0))["ok"] is True
    assert "All 1 claims hold; 1 of 2 rows not measured." in show(io.StringIO(), GOOD, SKIPPED)
