"""The documents agree with each other and with the code."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import click
import pytest
from tests.documents import DOCUMENTS, PAIRS, ROOT, anchors, blocks, headings, links, name_of, prose

from propylon.cli.program import propylon
from propylon.http.operations import OPERATIONS
from propylon.http.problems import STATUS

CONTRACT = (ROOT / "docs/http.md", ROOT / "docs/http.ko.md")
METHODS = "GET|POST|PUT|DELETE"
# Served beside the table of operations (``http.asgi``).
BESIDE = {("GET", "/openapi.json"), ("GET", "/docs")}
MAX_PICTURE_BYTES = 200_000

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
every_pair = pytest.mark.parametrize(("english", "korean"), PAIRS, ids=[name_of(korean) for _, korean in PAIRS])
both_languages = pytest.mark.parametrize("path", CONTRACT, ids=name_of)


@every_document
def test_every_link_leads_somewhere(path: Path) -> None:
    """A file, a picture or a heading that a document links to is there."""
    for link in links(path):
        target, _, anchor = link.partition("#")
        if target.startswith(("https:", "http:", "mailto:")):
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.is_relative_to(ROOT), link
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


@every_document
def test_every_file_that_a_document_names_exists(path: Path) -> None:
    """A path of the tree in backquotes is one: nobody is sent to a file that was moved."""
    named = re.findall(r"`((?:src|tests|docs|scripts|requirements|examples|bench|deploy)/[\w./-]+)`", prose(path))
    for file in named:
        assert (ROOT / file).exists(), file


@every_document
def test_every_test_that_a_document_names_exists(path: Path) -> None:
    """A promise that names the test which holds it names a real one."""
    known = set()
    for folder in ("tests", "src/propylon/testing"):
        for file in (ROOT / folder).rglob("*.py"):
            known.update(re.findall(r"def (test_\w+)", file.read_text()))
    named = set(re.findall(r"`(test_\w+)`", prose(path)))
    assert named <= known, named - known


@every_document
def test_a_document_has_one_title_and_skips_no_level(path: Path) -> None:
    """Headings form a tree: one title, and no level below without the one above."""
    levels = [level for level, _ in headings(path)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@every_document
def test_a_document_is_in_the_index(path: Path) -> None:
    """Whoever opens docs/README.md or the page of the project finds every document from there."""
    listed = set()
    for index in (ROOT / "README.md", ROOT / "docs/README.md"):
        listed |= {(index.parent / link.partition("#")[0]).resolve() for link in links(index)} | {index}
    assert path in listed


@every_pair
def test_both_languages_have_the_same_shape(english: Path, korean: Path) -> None:
    """A section that one language has, the other has too."""
    assert [level for level, _ in headings(english)] == [level for level, _ in headings(korean)]


@every_pair
def test_both_languages_have_the_same_code(english: Path, korean: Path) -> None:
    """Code is the same in both; what runs in one runs in the other."""
    assert blocks(english) == blocks(korean)


@pytest.mark.parametrize("name", ["README", "docs/http", "docs/guide", "deploy/README"])
def test_both_languages_link_to_each_other(name: str) -> None:
    """A reader of either finds the other."""
    english, korean = ROOT / f"{name}.md", ROOT / f"{name}.ko.md"
    assert korean.name in links(english)
    assert english.name in links(korean)


def test_no_picture_is_dead_or_heavy() -> None:
    """Every picture is shown by a document, and loads at once."""
    shown = {(path.parent / link).resolve() for path in DOCUMENTS for link in links(path) if link.endswith(".png")}
    pictures = set((ROOT / "docs/images").glob("*"))
    assert pictures == shown
    assert all(picture.stat().st_size < MAX_PICTURE_BYTES for picture in pictures)


@both_languages
def test_every_problem_code_is_in_the_guide_with_its_status(path: Path) -> None:
    """The table of codes is that of the code, in its order."""
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", prose(path), re.MULTILINE)
    assert [(code, int(status)) for code, status in rows] == list(STATUS.items())


@both_languages
def test_every_operation_is_in_the_guide_and_no_other(path: Path) -> None:
    """What is served is explained, and what is explained is served."""
    named = set(re.findall(rf"`({METHODS}) (/[^\s`?]*)[^`]*`", prose(path)))
    served = {(operation.method, operation.path) for operation in OPERATIONS}
    assert served - named == set()
    assert named - served - BESIDE == set()


@pytest.mark.parametrize("path", [ROOT / "docs/cli.md", ROOT / "docs/cli.ko.md"], ids=name_of)
def test_every_command_is_in_the_reference(path: Path) -> None:
    """Every command of the tree has a heading of its own."""
    titles = {text.strip("`") for _, text in headings(path)}
    assert set(_commands(propylon, "propylon")) <= titles


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "README.ko.md"], ids=name_of)
def test_every_command_is_in_the_readme(path: Path) -> None:
    """The list of what one gets leaves no command out."""
    assert set(propylon.commands) <= set(re.findall(r"`(?:propylon )?([\w-]+)`", prose(path)))


def test_every_dependency_has_its_reason() -> None:
    """The decision on dependencies has a row for each direct one, and for no other."""
    pyproject = (ROOT / "pyproject.toml").read_text()
    project = pyproject[: pyproject.index("[project.scripts]")]
    direct = set(re.findall(r'"([\w-]+)(?:\[\w+\])?>=', project[project.index("\ndependencies") :]))
    rows = re.findall(r"^\| ([\w-]+) \|", prose(ROOT / "docs/decisions/0002-dependencies.md"), re.MULTILINE)
    assert sorted(row for row in rows if row != "what") == sorted([*direct, "uv"])  # uv compiles the locks


def _commands(group: click.Group, path: str) -> list[str]:
    found = []
    for name, command in group.commands.items():
        found.append(f"{path} {name}")
        if isinstance(command, click.Group):
            found += _commands(command, f"{path} {name}")
    return found
