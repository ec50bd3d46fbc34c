"""Every Python example in the documents runs, as a reader would run it: one file a page, top to bottom.

``redis://localhost:6379/0`` stands for the reader's server. A block that cannot run alone has a line before it that says why:
``<!-- not run: part of a Django project -->``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import Server

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
BLOCK = re.compile(r"(?P<excuse><!-- not run: [^>]+ -->\s+)?^(?P<indent> *)```python\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)


def program(page: str) -> str:
    """Return the examples of a page as one program, on the lines on which they stand in the page."""
    lines: list[str] = []
    for block in BLOCK.finditer(page):
        if not block["excuse"]:
            before = page.count("\n", 0, block.start("code"))
            lines += [""] * (before - len(lines))
            lines += [line.removeprefix(block["indent"]) for line in block["code"].splitlines()]
    return "\n".join(lines) + "\n" if lines else ""


@pytest.mark.keys(".*", permanent=True)
@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_examples_run(page: Path, valkey: Server, tmp_path: Path) -> None:
    code = program(page.read_text())
    file = tmp_path / f"page_{page.stem}.py"  # docs/how-to/django.md must not hide django
    file.write_text(code.replace("redis://localhost:6379/0", valkey.url))

    if code:
        done = subprocess.run(
            [sys.executable, file],
            env=os.environ | {"AFRESH_URL": valkey.url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_blocks_keep_their_lines_and_excused_ones_are_left_out() -> None:
    page = "# T\n\n```python\na = 1\n```\n\n<!-- not run: needs a moon -->\n```python\nb = 2\n```\n\n- x\n\n  ```python\n  c = a\n  ```\n"

    assert program(page).splitlines() == ["", "", "", "a = 1", *[""] * 10, "c = a"]
    assert program("no code\n\n```sh\nls\n```\n") == ""
