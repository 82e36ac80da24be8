"""``docs/origins.md`` against the code: what it says to write runs, and what it says people will read is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.documents import blocks

from propylon.config import made_of
from propylon.web.assets import MODULES

ROOT = Path(__file__).parents[2]
GUIDES = {0: ROOT / "docs/origins.md", 1: ROOT / "docs/origins.ko.md"}
SAID = re.findall(
    r'^  (\w+): \[\n    "(.*)",\n    "(.*)",\n  \],$', MODULES["propylon-origins.js"].body.decode(), re.MULTILINE
)


@pytest.mark.parametrize("tongue", GUIDES)
def test_the_guide_quotes_every_sentence_of_the_console_and_no_other(tongue: int) -> None:
    """Whoever searches for what they read finds it, and the other way round."""
    quoted = re.findall(r'(?:console|콘솔): "(.*?)"', GUIDES[tongue].read_text())
    texts = {name: (english, korean)[tongue] for name, english, korean in SAID}
    assert len(texts) == 12
    assert all(any(quote in text for text in texts.values()) for quote in quoted)
    assert {name for name, text in texts.items() if not any(quote in text for quote in quoted)} == set()


def test_a_sentence_of_the_console_has_the_same_facts_in_both_languages() -> None:
    """No address is lost in translation."""
    for _, english, korean in SAID:
        assert set(re.findall(r"{(?:page|api|url)}", english)) == set(re.findall(r"{(?:page|api|url)}", korean))


def test_the_guides_code_is_that_of_the_example() -> None:
    """Which tests drive in Chromium; the settings are settings."""
    guide = GUIDES[0]
    (cors,) = blocks(guide, "python")
    assert cors.text in (ROOT / "examples/across_origins/api.py").read_text()
    (settings,) = blocks(guide, "toml")
    assert made_of(tomllib.loads(settings.text)).origins == ("https://app.example.com",)
    start, page = (block.text for block in blocks(guide, "sh"))
    assert "uvicorn examples.across_origins.api:app" in start
    assert "--directory examples/across_origins" in page
