"""The command line as a whole: help, errors in one line, exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from afresh import cli
from afresh.cli import demo


def afresh(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    command = [sys.executable, "-m", "afresh", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_help_names_each_command_with_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])

    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(name in told for name in cli.COMMANDS)
    assert "See caching work, with numbers measured here and now." in told


def test_each_command_and_each_row_of_the_demo_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/commands.md").read_text()

    assert all(f"## `afresh {name}`" in page for name in cli.COMMANDS)
    assert [line.split(" ")[1] for line in page.splitlines() if line.startswith(tuple(f"| {row} |" for row in demo.ROWS))] == list(
        demo.ROWS
    )


def test_a_word_that_is_no_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["demmo"])

    assert ended.value.code == 2
    assert "demmo" in capsys.readouterr().err


def test_the_installed_program_is_the_module() -> None:
    program = Path(sys.executable).with_name("afresh")
    if not program.exists():
        pytest.skip("afresh is not installed with its program: pip install -e .")

    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout

    assert told == afresh("--version").stdout


def test_help_loads_neither_redis_nor_asyncio_nor_django() -> None:
    code = "import sys; from afresh.cli import _parser; _parser(); print(*{'redis', 'asyncio', 'django'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--url", "redis://:hidden-word@127.0.0.1:1/0"], {}, "redis://127.0.0.1:1/0 was not reached"),
        (["--url", "reddis://localhost"], {}, "Did you mean redis://?"),
        (["--url", "memory://"], {}, "name a server, or none"),
        (["--url", "redis+cluster://localhost"], {}, "not available in this version"),
        ([], {"AFRESH_VALKEY_SERVER": "/no/such/server"}, "valkey-server or redis-server"),
        ([], {"AFRESH_DISABLED": "1"}, "AFRESH_DISABLED is set"),
    ],
)
def test_a_demo_that_cannot_run_says_why_in_one_line(arguments: list[str], variables: dict[str, str], said: str) -> None:
    ran = afresh("demo", *arguments, **variables)

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("afresh demo: ")
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert "hidden-word" not in ran.stderr


def test_a_reader_that_leaves_causes_no_traceback(valkey) -> None:
    read, write = os.pipe()
    os.close(read)

    ran = subprocess.run(
        [sys.executable, "-m", "afresh", "demo", "--url", valkey.url], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)

    assert ran.stderr == ""
    assert ran.returncode == 2


def test_an_interrupted_command_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)

    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "afresh demo: interrupted\n"
