"""The report: one file, both languages, and nothing that it would have to fetch."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib import resources
from itertools import product
from xml.etree import ElementTree as ET

import pytest
from tests.agora.planting import found, results

from propylon.agora import recommendation, report
from propylon.agora.comparison import changes
from propylon.agora.experiment import judged
from propylon.agora.experiments import ALL, expiry, load
from propylon.agora.figures import spelled
from propylon.agora.plots import Bar, Bars, Cell, Line, Lines, Matrix, picture, svg
from propylon.agora.results import Results, Verdict
from propylon.agora.said import Said

HOSTILE = "</script><img src=x onerror=alert(1)>"


def a_run(*, cookie: float = 60.0) -> Results:
    """Return results of one experiment with figures."""
    quantities = ("per_second", "p99_ms", "processor_us")
    planted = {name: dict.fromkeys(quantities, 50.0) for name in ("open", "lazy", "token", "token_and_user")}
    findings = found("load", {**planted, "cookie": dict.fromkeys(quantities, cookie)})
    findings.verdicts = judged(load.EXPERIMENT, findings, 0.03)
    return results(findings)


class Reader(HTMLParser):
    """Collects what a page would fetch, and its texts by language."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note addresses."""
        self.fetched += [
            f"{tag} {value}" for name, value in attrs if name in ("src", "href") and value and value[0] != "#"
        ]


def test_the_report_fetches_nothing() -> None:
    """It opens on a train."""
    reader = Reader()
    page = report.page(ALL, a_run())
    reader.feed(page)
    assert reader.fetched == []
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []  # only what stands in the same picture


def test_every_sentence_is_there_in_both_languages() -> None:
    """Question, claims, method and verdicts."""
    page = report.page(ALL, a_run())
    said = [load.EXPERIMENT.question, *load.EXPERIMENT.claims, load.EXPERIMENT.method]
    said += [verdict.said for verdict in a_run().experiments["load"].verdicts]
    for one in said:
        assert str(report.both(one)) in page


def test_what_a_component_said_is_shown_and_not_run() -> None:
    """The last words of a program that died are text, in tables and in what the page's script reads."""
    held = a_run()
    held.experiments["load"].reason = Said(HOSTILE, HOSTILE)
    held.experiments["load"].variants["cookie"].label = Said(HOSTILE, HOSTILE)
    held.experiments["load"].verdicts = [Verdict(0, "open", Said(HOSTILE, HOSTILE))]
    page = report.page(ALL, held)
    assert HOSTILE not in page
    assert page.count("</script>") == 2


def test_a_comparison_shows_what_changed_and_only_that() -> None:
    """What is within the noise of the two runs is no change."""
    told = changes(ALL, a_run(cookie=90), a_run(cookie=60))
    assert {(one.variant.en, one.better) for one in told if one.quantity.en.startswith("processor")} == {
        ("cookie", False)
    }
    assert {one.variant.en for one in told} == {"cookie"}
    assert changes(ALL, a_run(cookie=61), a_run(cookie=60)) == []
    assert "90" in report.page(ALL, a_run(cookie=90), a_run(cookie=60))


def test_a_plot_speaks_both_languages_and_takes_the_colours_of_the_page() -> None:
    """Labels stand in both; an amp in one of them does no harm; no colour is fixed."""
    label, axis = Said("cookie & more", "쿠키 & 더"), Said("us", "마이크로초")
    for plot in (
        Bars(Said("t", "t"), axis, (Bar(label, 2, 1, 3), Bar(Said("b", "나"), 200, 150, 300)), baseline=100),
        Lines(
            Said("t", "t"), axis, axis, (Line(label, (1, 2), (3, 4), (2, 3), (4, 5)),), baseline=3, logarithmic_y=True
        ),
    ):
        drawn = svg(plot)
        assert '<tspan lang="ko">쿠키 &amp; 더</tspan>' in drawn
        assert '<tspan lang="en">us</tspan>' in drawn
        assert "var(--ink)" in drawn
        assert not re.search(r"#0[1-8]0[1-8]0[1-8]", drawn)


@pytest.mark.parametrize(("language", "said", "unsaid"), [("en", "cookie", "쿠키"), ("ko", "쿠키", "cookie")])
def test_a_plot_stands_alone_in_one_language(language: str, said: str, unsaid: str) -> None:
    """With its colours for day and night; nothing is fetched for it."""
    label = Said("cookie", "쿠키")
    drawn = picture(Bars(Said("t", "제목"), Said("us", "us"), (Bar(label, 2, 1, 3),)), language)
    root = ET.fromstring(drawn)  # noqa: S314 - our own
    words = "".join(root.itertext())
    assert said in words
    assert unsaid not in words
    assert "prefers-color-scheme: dark" in words
    assert "--plot-1:" in words
    assert not re.search(r"(href|src|url\()\W+https?:", drawn)


def test_a_matrix_is_a_table() -> None:
    """Good and bad are told by words too, not by colour alone."""
    cell = Cell(Said("yes", "예"), good=True)
    matrix = Matrix(Said("t", "제목"), Said("c", "c"), (Said("col", "열"),), ((Said("row", "행"), (cell,)),))
    drawn = report._drawing(matrix)
    assert (drawn.matrix, drawn.svg) == (matrix, None)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1234567, "1,234,567"), (99.94, "99.9"), (0.5, "0.5"), (0.00001234, "1.2e-05")]
)
def test_figures_are_spelled_for_people(value: float, text: str) -> None:
    """Three digits that count."""
    assert spelled(value) == text


def test_the_page_recommends_what_the_command_recommends() -> None:
    """The script weighs by the same arithmetic, for every set of answers there is."""
    node = shutil.which("node")
    assert node is not None, "this needs node: install the package nodejs"
    names = [question.name for question in recommendation.QUESTIONS]
    every = [
        dict(zip(names, chosen, strict=True))
        for chosen in product(*([option.name for option in question.options] for question in recommendation.QUESTIONS))
    ]
    held = a_run()
    data = json.loads(recommendation.for_page(held)["data"])
    script = (resources.files("propylon.agora") / "templates/report.js").read_text()
    advise = script[script.index("const advise") : script.index("const both")]
    program = f"""
      const {{ groups, choices, rules }} = {json.dumps(data)}
      {advise}
      const told = {json.dumps(every)}.map((answers) => {{
        const {{ chosen, reasons, besides }} = advise(answers)
        return [chosen, reasons.map((rule) => rule.why.en), besides.map((rule) => rule.why.en)]
      }})
      console.log(JSON.stringify(told))
    """
    done = subprocess.run([node, "-e", program], check=True, capture_output=True, text=True)
    advised = [recommendation.advise(answers, held) for answers in every]
    ours = [[list(one.choices), [r.en for r in one.reasons], [r.en for r in one.besides]] for one in advised]
    assert json.loads(done.stdout) == ours
    assert {tuple(one.choices) for one in advised} > {("cookie", "sqlite"), ("bearer", "redis"), ("hybrid", "postgres")}


def test_a_reason_names_its_figures_only_where_they_were_measured() -> None:
    """Without results, or without that experiment, the reason stands alone."""
    with_figures = recommendation.advise({}, a_run()).reasons[0].en
    assert "60" in with_figures
    for nothing in (None, results()):
        alone = recommendation.advise({}, nothing).reasons[0].en
        assert with_figures.startswith(alone)
        assert "{" not in alone


def test_ten_thousand_shoppers_are_the_same_everywhere() -> None:
    """Seeded: whoever doubts a figure gets the same one."""
    assert expiry.visits(50) == expiry.visits(50)
    assert expiry.visits(50) != expiry.visits(50, seed=1)


def test_an_order_that_is_sent_with_an_expired_token_is_broken_once() -> None:
    """One shopper, by hand: signs in at 0, looks at 100, begins an order at 290 and sends it at 310."""
    visit = [expiry.Visit((100.0,), (290.0, 310.0))]
    without = expiry.shop(visit, 300, "none")
    assert (without.orders, without.broken, without.sign_ins) == (1, 1, 1)
    renewed = expiry.shop(visit, 300, "silent")
    assert (renewed.broken, renewed.sign_ins, renewed.refreshes) == (0, 0, 1)
    at_order = expiry.shop(visit, 300, "at_order")
    assert (at_order.broken, at_order.refreshes) == (0, 1)
    on_refusal = expiry.shop(visit, 300, "on_refusal")
    assert (on_refusal.broken, on_refusal.refreshes) == (0, 1)
