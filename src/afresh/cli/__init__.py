"""The command line: ``afresh``, or ``python -m afresh``.

A command is a module of this package with two functions: ``configure`` gives its parser its help and arguments, ``run`` does its work and
returns the exit status. Statuses of all commands: 0 well done; 1 it found something wrong; 2 it could not do its work; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from afresh.errors import AfreshError

__all__ = ["COMMANDS", "main"]

COMMANDS = ("demo", "train")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: what follows the program's name. Default: the process's own.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"afresh {options.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has left (`| head`). What Python flushes at exit shall not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except AfreshError as error:
        print(f"afresh {options.command}: {error}", file=sys.stderr)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="afresh", description="Caching for Python on Redis and Valkey that you can trust.")
    parser.add_argument("--version", action="version", version=f"afresh {version('afresh')}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name in COMMANDS:
        command = importlib.import_module(f"afresh.cli.{name}")
        summary = (command.__doc__ or "").partition("\n")[0]
        subparser = commands.add_parser(name, help=summary, description=summary)
        command.configure(subparser)
        subparser.set_defaults(run=command.run)
    return parser
