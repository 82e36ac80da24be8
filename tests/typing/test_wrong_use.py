"""Wrong use is refused before anything runs: by the types alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(Path(__file__).parent.glob("wrong_*.py"))
EXPECTED = re.compile(r"  # type: ignore\[([a-z-]+)\]")
REPORTED = re.compile(r"^[^:]+:(\d+): error: .*\[([a-z-]+)\]$", re.MULTILINE)


def expected(path: Path) -> list[tuple[int, str]]:
    """Return line and kind of every error that a file names."""
    lines = enumerate(path.read_text().splitlines(), start=1)
    return [(number, found[1]) for number, line in lines if (found := EXPECTED.search(line))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_wrong_use_is_refused_where_it_stands(path: Path, tmp_path: Path) -> None:
    """Without its marks a file has exactly the errors that the marks name, and no other."""
    bare = tmp_path / path.name
    bare.write_text(EXPECTED.sub("", path.read_text()))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-pretty", bare],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    reported = {(int(number), kind) for number, kind in REPORTED.findall(done.stdout)}
    assert len(expected(path)) > 10
    assert reported == set(expected(path)), done.stdout + done.stderr
