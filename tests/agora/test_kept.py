"""The full run that is kept in ``docs/agora``: the report, the plots and every quoted verdict come from its results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from propylon.agora import report
from propylon.agora.experiments import ALL
from propylon.agora.results import Results, load

KEPT = Path("docs/agora")
LANGUAGE_OF = {"README.md": "en", "README.ko.md": "ko", "docs/agora/README.md": "en", "docs/agora/README.ko.md": "ko"}


@pytest.fixture(scope="module")
def kept() -> Results:
    """Return the results."""
    return load(KEPT / "results.json")


def test_it_is_a_full_run_of_everything(kept: Results) -> None:
    """Nothing was left out, nothing failed, and it came to its end."""
    assert (kept.effort, kept.finished_at is not None) == ("full", True)
    assert {one.name: kept.experiments[one.name].status for one in ALL} == {one.name: "done" for one in ALL}


def test_the_report_is_what_its_results_say(kept: Results) -> None:
    """Written anew, it is the same: ``propylon agora report --out docs/agora``."""
    assert (KEPT / "report.html").read_text(encoding="utf-8") == report.page(ALL, kept)


def test_every_plot_is_what_the_results_say(kept: Results) -> None:
    """And each that is kept is shown somewhere."""
    shown = {
        Path(document, "..", name).resolve().name
        for document in LANGUAGE_OF
        for name in re.findall(r"!\[[^\]]*\]\(([^)]+\.svg)\)", Path(document).read_text(encoding="utf-8"))
    }
    plots = {path.name: path.read_text(encoding="utf-8") for path in (KEPT / "plots").iterdir()}
    assert shown == set(plots) != set()
    drawn = {
        name: picture
        for one in ALL
        if any(name.startswith(f"{one.name}-") for name in plots)
        for name, picture in report.pictures(one, kept.experiments[one.name]).items()
    }
    assert {name: drawn[name] for name in plots} == plots


@pytest.mark.parametrize("document", LANGUAGE_OF)
def test_every_verdict_that_is_quoted_is_one_of_the_run(kept: Results, document: str) -> None:
    """Word for word, in the language of the document."""
    language = LANGUAGE_OF[document]
    said = {verdict.said.to(language) for findings in kept.experiments.values() for verdict in findings.verdicts}
    quoted = [
        re.sub(r"\s*\n> ?", " ", found).strip()
        for found in re.findall(r"^> (.+(?:\n> .+)*)", Path(document).read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert len(quoted) > 1
    assert [sentence for sentence in quoted if sentence not in said] == []
