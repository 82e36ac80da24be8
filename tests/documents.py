"""Reading the documents: blocks of code, headings with their anchors, links."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCUMENTS = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").glob("*.md")]))
PAIRS = tuple((path.with_name(path.name.replace(".ko.md", ".md")), path) for path in DOCUMENTS if ".ko." in path.name)

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """One fenced block of code."""

    language: str
    text: str


def name_of(path: Path) -> str:
    """Return a document's name for test ids."""
    return str(path.relative_to(ROOT))


def blocks(path: Path, *languages: str) -> list[Block]:
    """Return the blocks of these languages, in order; all of them where none is named."""
    found = (Block(*match) for match in _FENCED.findall(path.read_text()))
    return [block for block in found if not languages or block.language in languages]


def prose(path: Path) -> str:
    """Return the text without its blocks of code."""
    return _FENCED.sub("", path.read_text())


def headings(path: Path) -> list[tuple[int, str]]:
    """Return level and text of every heading."""
    return [(len(marks), text.strip()) for marks, text in _HEADING.findall(prose(path))]


def links(path: Path) -> list[str]:
    """Return what the document links to, pictures too."""
    return _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    taken: dict[str, int] = {}
    found = set()
    for _, text in headings(path):
        slug = _slug(text)
        count = taken.get(slug, 0)
        taken[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def programs(path: Path) -> dict[str, str]:
    """Return the files that the blocks make up: each names its file in a comment on its first line."""
    files: dict[str, str] = {}
    for block in blocks(path, "python", "toml"):
        if named := re.match(r"# (\S+)\n", block.text):
            files[named[1]] = files.get(named[1], "") + block.text
    return files


def _slug(heading: str) -> str:
    text = unicodedata.normalize("NFC", heading).lower().replace("`", "")
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
