"""The example for Django, in a process of its own: a process has one set of Django's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_django_example_passes_its_own_tests(tmp_path: Path) -> None:
    """Under the strict settings of this project, and it leaves no database and no key where it ran."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PROPYLON_", "DJANGO_"))}
    options = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(ROOT / "examples/testing_django")],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "6 passed" in done.stdout, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
