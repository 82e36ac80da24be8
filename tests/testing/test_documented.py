"""What docs/testing.md shows is what the suite runs, word for word."""

from __future__ import annotations

import pytest
from tests.documents import ROOT, blocks

SHOWN = [block.text for block in blocks(ROOT / "docs/testing.md", "python")]


@pytest.mark.parametrize("shown", SHOWN, ids=range(len(SHOWN)))
def test_a_snippet_is_part_of_the_file_that_it_names(shown: str) -> None:
    """The examples are run as they are; a reader copies what works."""
    first, _, code = shown.partition("\n")
    path = ROOT / first.removeprefix("# ")
    assert path.is_relative_to(ROOT / "examples")
    assert code in path.read_text()
    assert len(SHOWN) > 5


def test_every_fixture_of_the_plugin_is_in_the_guide() -> None:
    """And no other."""
    plugin = (ROOT / "src/propylon/testing/plugin.py").read_text()
    defined = {part.partition("(")[0] for part in plugin.split("@pytest.fixture\ndef ")[1:]}
    for name in ("testing.md", "testing.ko.md"):
        guide = (ROOT / "docs" / name).read_text()
        rows = {line.split("`")[1] for line in guide.splitlines() if line.startswith("| `propylon")}
        assert rows == defined
    assert len(defined) > 4
