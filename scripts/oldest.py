"""Print the oldest versions of what afresh needs that pyproject.toml admits, as constraints for pip: see `make test-oldest`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOT_NEEDED_TO_USE_IT = {"dev", "all"}


def constraints(project: dict[str, Any]) -> Iterator[str]:
    """Yield ``name==version`` for each lower bound of the dependencies and of the extras that users install."""
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for extra in extras.keys() - NOT_NEEDED_TO_USE_IT for name in extras[extra])]
    for requirement in sorted(wanted):
        yield re.sub(r"\s*>=\s*", "==", requirement)


if __name__ == "__main__":
    print("\n".join(constraints(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])))
