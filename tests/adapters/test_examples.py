"""The examples are what the document shows, and short enough to be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.documents import ROOT, blocks

EXAMPLES = sorted((ROOT / "examples").glob("*_app.py"))
PAGES = [ROOT / "docs/frameworks.md", ROOT / "docs/frameworks.ko.md"]


def test_every_framework_has_an_example() -> None:
    """An adapter that nobody starts is a promise."""
    shown = {path.name.removesuffix("_app.py") for path in EXAMPLES}
    assert shown == {"django", "drf", "fastapi", "flask", "litestar", "starlette"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_shown_as_it_runs(path: Path) -> None:
    """Forty lines at most, and the same ones in both languages."""
    text = path.read_text()
    assert len(text.splitlines()) <= 40
    for page in PAGES:
        assert text in [block.text for block in blocks(page, "python")], page.name
