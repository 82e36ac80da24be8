"""The report: one HTML file that opens offline, prints well, and speaks English and Korean, by day and by night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from propylon.agora import plots, recommendation
from propylon.agora.comparison import Change, changes
from propylon.agora.experiment import Experiment
from propylon.agora.figures import spelled
from propylon.agora.plots import Matrix, Plot
from propylon.agora.results import Findings, Outcome, Results, Verdict
from propylon.agora.said import Said
from propylon.language import LANGUAGES

OUTCOMES: Mapping[Outcome, Said] = {
    "holds": Said("holds", "맞음"),
    "partly": Said("holds in part", "일부 맞음"),
    "does_not_hold": Said("does not hold", "맞지 않음"),
    "no_difference": Said("no difference seen", "차이 없음"),
    "open": Said("open", "판단 보류"),
}
STATUSES = {
    "failed": Said("failed", "실패"),
    "not_run": Said("not run", "실행하지 않음"),
    "partly": Said("partly", "일부"),
    "done": Said("done", "완료"),
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A plot, ready to stand in the page: an SVG, or a matrix as a table."""

    title: Said
    svg: Markup | None = None
    matrix: Matrix | None = None


@dataclass(frozen=True, slots=True)
class Chapter:
    """One experiment as the page shows it.

    Attributes:
        answered: each claim with what became of it.
        found: verdicts on what nobody had claimed.
    """

    experiment: Experiment
    findings: Findings
    answered: tuple[tuple[Said, Verdict | None], ...]
    found: tuple[Verdict, ...]
    drawings: tuple[Drawing, ...]


def page(experiments: Sequence[Experiment], results: Results, older: Results | None = None) -> str:
    """Return the report of a run; with ``older`` results it also shows what has changed since."""
    chapters = [_chapter(one, results.experiments[one.name]) for one in experiments if one.name in results.experiments]
    environment = Environment(
        loader=PackageLoader("propylon.agora"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(both=both, spelled=spelled)
    told: Sequence[Change] = changes(experiments, results, older) if older is not None else ()
    return environment.get_template("report.html.j2").render(
        results=results,
        older=older,
        changes=told,
        chapters=chapters,
        outcomes=OUTCOMES,
        statuses=STATUSES,
        recommend=recommendation.for_page(results),
    )


def pictures(experiment: Experiment, findings: Findings) -> dict[str, str]:
    """Return the plots of an experiment as SVG files, by name: ``load-1.en.svg`` and so on, in each language."""
    drawn = [plot for plot in _plots(experiment, findings) if not isinstance(plot, Matrix)]
    return {
        f"{experiment.name}-{number}.{language}.svg": plots.picture(plot, language)
        for number, plot in enumerate(drawn, 1)
        for language in LANGUAGES
    }


def both(said: Said | None) -> Markup:
    """Return a sentence in both languages, of which the page shows one."""
    if said is None:
        return Markup()
    return Markup('<span lang="en">{}</span><span lang="ko">{}</span>').format(escape(said.en), escape(said.ko))


def _chapter(experiment: Experiment, findings: Findings) -> Chapter:
    of_claim: dict[int | None, Verdict] = {verdict.claim: verdict for verdict in findings.verdicts}
    return Chapter(
        experiment,
        findings,
        tuple((claim, of_claim.get(number)) for number, claim in enumerate(experiment.claims)),
        tuple(verdict for verdict in findings.verdicts if verdict.claim is None),
        tuple(_drawing(plot) for plot in _plots(experiment, findings)),
    )


def _plots(experiment: Experiment, findings: Findings) -> Sequence[Plot]:
    return experiment.plots(findings) if findings.measured() else ()


def _drawing(plot: Plot) -> Drawing:
    if isinstance(plot, Matrix):
        return Drawing(plot.title, matrix=plot)
    # Of our own making, from figures and labels that it escapes.
    return Drawing(plot.title, svg=Markup(plots.svg(plot)))  # noqa: S704


def table(experiment: Experiment, findings: Findings) -> list[dict[str, Any]]:
    """Return the rows of the table of figures."""
    return [
        {"label": variant.label, "figures": [variant.figures.get(name) for name in experiment.quantities]}
        for variant in findings.variants.values()
    ]
