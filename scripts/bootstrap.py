"""Make a virtual environment with afresh in it: ``python scripts/bootstrap.py .venv dev``.

For a fresh clone on a machine that has Python, pip and make and nothing else. The environment's stamp (``.venv/.ready-dev``)
is written last, so that whatever was interrupted is done again. Runs at the same time wait for each other. Progress goes to
stderr; what pip has to say goes to a log that is shown when it fails.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"


class Failed(Exception):
    """Raised with what the user has to know when the environment cannot be made."""


def main(directory: str, extra: str) -> None:
    """Make the environment, unless another run has just done it."""
    venv = ROOT / directory
    ready = venv / f".ready-{extra}"
    with (ROOT / f"{directory}.lock").open("w") as lock:
        wait_for(lock)
        if ready.exists() and ready.stat().st_mtime >= PYPROJECT.stat().st_mtime:
            return
        began = time.monotonic()
        pip = create(venv)
        say(f"installing afresh[{extra}] into {directory}: about a minute the first time")
        run([*pip, "install", "--disable-pip-version-check", "--no-input", "--editable", f"{ROOT}[{extra}]"], venv)
        ready.touch()
        say(f"{directory} is ready after {time.monotonic() - began:.0f} s")


def wait_for(lock: IO[str]) -> None:
    """Hold the lock until the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another run that is installing")
        fcntl.flock(lock, fcntl.LOCK_EX)


def create(venv: Path) -> list[str]:
    """Create the environment where there is none, and return the command that is its pip.

    Debian's Python cannot put pip into an environment without a package of its own (python3-venv); its own pip can.
    """
    python = venv / "bin" / "python"
    if not works([str(python), "-c", ""]):
        say(f"creating {venv.name} with Python {'.'.join(map(str, sys.version_info[:3]))}")
        if not works([sys.executable, "-m", "venv", "--clear", str(venv)]):
            run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv)], venv)
    for pip in ([str(python), "-m", "pip"], [sys.executable, "-m", "pip", "--python", str(python)]):
        if works([*pip, "--version"]):
            return pip
    shutil.rmtree(venv)  # once there is a pip, the environment is made anew
    raise Failed(
        f"{sys.executable} has neither ensurepip nor pip 22.3 or newer. Install one of them (Debian, Ubuntu: "
        "apt-get install python3-venv), or name another Python: make PYTHON=/path/to/python3 ..."
    )


def works(command: list[str]) -> bool:
    """Say whether a command can be run and succeeds."""
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def run(command: list[str], venv: Path) -> None:
    """Run a command, its output into the log."""
    log = venv.with_name(f"{venv.name}.log")
    with log.open("w") as output:
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failed(f"{' '.join(command)}\nended with {status}. The end of {log}:\n\n{end}")


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"afresh: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - the one file that older Pythons meet
        sys.exit(f"afresh: {sys.executable} is older than Python 3.11: make PYTHON=/path/to/python3 ...")
    try:
        main(sys.argv[1], sys.argv[2])
    except Failed as failed:
        sys.exit(f"afresh: {failed}")
    except KeyboardInterrupt:
        sys.exit("afresh: interrupted; the next run starts this again")
