"""Functions in processes of their own, as a server's workers are.

Such a function is a generator. What it yields says what it is at, and it goes on when it is told to; what it returns is its result. Both
sides speak JSON, a line at a time, over the process's standard input and output: what is passed is seen by nobody else.
"""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeAlias

from afresh.errors import AfreshError

__all__ = ["Elsewhere", "ElsewhereFailed", "run_elsewhere"]

Working: TypeAlias = Generator[str, None, dict[str, Any]]

# A module that is imported by its package cannot be run with -m without a warning.
_CODE = f"from {__name__} import serve; serve()"


class ElsewhereFailed(AfreshError):
    """Raised when a process of the demo ended before it had a result. The message has its last words."""


class Elsewhere:
    """A function at work in a process of its own, which ends with the ``with`` block at the latest.

    Args:
        function: a generator function of a module.
        arguments: for it; what JSON can hold.

    Attributes:
        result: what the function returned, once `note` has returned None.
    """

    def __init__(self, function: Callable[..., Working], **arguments: object) -> None:
        self.result: dict[str, Any] = {}
        self._name = f"{function.__module__}:{function.__qualname__}"
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in __exit__
        # A session of its own: Ctrl-C is for us, and we end it.
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
            [sys.executable, "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            start_new_session=True,
        )
        self._send([self._name, arguments])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    def note(self) -> str | None:
        """Wait for what it says next; None if it has ended and `result` is there.

        Raises:
            ElsewhereFailed: if it has ended without.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failed()
        said: dict[str, Any] = json.loads(line)
        if "note" in said:
            return str(said["note"])
        self.result = said["result"]
        return None

    def go_on(self) -> None:
        """Let it go on after a note."""
        self._send("go on")

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failed() from None

    def _failed(self) -> ElsewhereFailed:
        status = self._process.wait()
        self._stderr.seek(0)
        words = self._stderr.read().strip().rpartition("\n")[2] or "nothing"
        return ElsewhereFailed(f"{self._name} ended with status {status} in its process, where it said: {words}")


def run_elsewhere(function: Callable[..., Working], tell: Callable[[str], None], **arguments: object) -> dict[str, Any]:
    """Return a function's result, telling what it says meanwhile.

    Raises:
        ElsewhereFailed: if it fails.
    """
    with Elsewhere(function, **arguments) as process:
        while (note := process.note()) is not None:
            tell(note)
            process.go_on()
        return process.result


def serve() -> None:
    """Do in this process what the other one asks for."""
    answers, sys.stdout = sys.stdout, sys.stderr
    name, arguments = json.loads(sys.stdin.readline())
    working: Working = pkgutil.resolve_name(name)(**arguments)
    try:
        while True:
            print(json.dumps({"note": next(working)}), file=answers, flush=True)
            if not sys.stdin.readline():
                return  # whoever asked is gone
    except StopIteration as ended:
        print(json.dumps({"result": ended.value}), file=answers, flush=True)
