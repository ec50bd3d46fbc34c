"""``python -m afresh.testing.chaos --seconds 60 --server valkey``: torture a server and its clients, and hold them to the contract."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from afresh.stores.embedded import find_server
from afresh.testing.chaos.faults import LANES
from afresh.testing.chaos.fleet import Fleet, Plan
from afresh.testing.chaos.report import rendered

__all__ = ["main"]


def main(words: list[str] | None = None) -> int:
    """Run as the arguments say. Returns 0 if the contract was kept, and nothing else failed."""
    arguments = _parser().parse_args(words)
    program = _program(arguments.server)
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    directory = Path(tempfile.mkdtemp(prefix="afresh-chaos-"))
    plan = Plan(
        program,
        directory,
        arguments.seconds,
        seed,
        clients=arguments.clients,
        colour=arguments.colour,
        near=arguments.near,
        subject="by_hand" if arguments.control else "afresh",
        without=frozenset(arguments.without),
    )
    print(f"{plan.subject}, {arguments.clients} clients, {plan.colour}, on {program}, seed {seed}, for {plan.seconds:g} s", flush=True)
    result = Fleet(plan, lambda line: print(line, flush=True)).run()
    print(rendered(result))
    is_kept = result.report.is_kept and not result.failed and bool(result.report.hits)
    if is_kept:
        shutil.rmtree(directory)
    else:
        print(f"Repeat the faults with --seed {seed}. Events and logs: {directory}")
    return 0 if is_kept else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description="Hold fleets of clients on a server in trouble to the contract.")
    parser.add_argument("--seconds", type=float, default=60, help="for how long (60)")
    parser.add_argument("--server", default="valkey", help="valkey, redis, or the path of a server program (valkey)")
    parser.add_argument("--seed", type=int, help="repeats the faults of another run; drawn by default")
    parser.add_argument("--clients", type=int, default=4, help="how many processes (4)")
    parser.add_argument("--colour", choices=["sync", "async", "mixed"], default="mixed", help="threads, tasks, or all kinds (mixed)")
    parser.add_argument("--near", choices=["none", "some", "all"], default="some", help="which have a near tier (some: two of three)")
    parser.add_argument("--control", action="store_true", help="try plain cache-aside instead of afresh: it breaks the contract")
    kinds = [kind for lane in LANES.values() for kind in lane]
    parser.add_argument("--without", action="append", default=[], choices=kinds, metavar="FAULT", help=f"leave one out: {', '.join(kinds)}")
    return parser


def _program(server: str) -> Path:
    if server == "valkey":
        return Path(find_server())
    found = shutil.which("redis-server" if server == "redis" else server)
    if found is None:
        sys.exit(
            f"make chaos: there is no server program {server!r} here: --server valkey, redis (apt-get install redis-server) or a path."
        )
    return Path(found)


if __name__ == "__main__":
    sys.exit(main())
