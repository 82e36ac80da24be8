"""``propylon agora``: the debate's questions, answered on this machine."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from propylon.cli.command import Command, Group, json_option, option
from propylon.cli.output import note, print_json, print_line
from propylon.cli.texts import LANGUAGE, text, wrapped
from propylon.errors import SetupError

if TYPE_CHECKING:
    from propylon.agora.experiment import Experiment
    from propylon.agora.recommendation import Advice
    from propylon.agora.results import Effort, Findings, Results

RESULTS, REPORT, PLOTS = "results.json", "report.html", "plots"
DEFAULT_OUT = "agora"
WIDTH = 96


@click.group("agora", cls=Group, help=text("help.agora"))
def agora() -> None:
    """Group the commands of the agora."""


@agora.command("list", cls=Command, help=text("help.agora_list"))
@json_option
def list_(*, as_json: bool) -> None:
    """List the experiments with the question that each answers."""
    experiments = _all()
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "question": one.question.to(LANGUAGE),
                    "claims": [claim.to(LANGUAGE) for claim in one.claims],
                }
                for one in experiments
            ]
        )
        return
    for one in experiments:
        print_line(f"{click.style(one.name, bold=True)}  {one.question.to(LANGUAGE)}")
        for claim in one.claims:
            for line in wrapped(claim.to(LANGUAGE), WIDTH - 4):
                print_line(f"    {line}")


@agora.command("run", cls=Command, help=text("help.agora_run"))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@option("--quick", help_key="agora_quick", is_flag=True)
@option("--out", help_key="agora_out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@option("--resume", help_key="agora_resume", is_flag=True)
@option("--compare", help_key="agora_compare", type=click.Path(path_type=Path), metavar="FILE")
@json_option
def run(
    names: tuple[str, ...], *, quick: bool, out: Path | None, resume: bool, compare: Path | None, as_json: bool
) -> None:
    """Run experiments and write the report."""
    _refuse_without_packages()
    from propylon.agora import report, results, running  # noqa: PLC0415 - half a second

    chosen, effort = _chosen(names), "quick" if quick else "full"
    older = results.load(compare) if compare is not None else None
    folder = out or Path(DEFAULT_OUT)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULTS
    found = _before(path, effort) if resume and path.exists() else None
    if found is None:
        _keep(path)
    with _progress(chosen, effort) as told:  # type: ignore[arg-type]
        found = found or running.begun(effort)  # type: ignore[arg-type]
        try:
            running.run(chosen, found, path, told)
        except KeyboardInterrupt:
            note(text("agora.interrupted", path=path))
            raise
    (folder / REPORT).write_text(report.page(_all(), found, older), encoding="utf-8")
    if as_json:
        print_json(found)
        return
    _print_verdicts(chosen, found)
    print_line("")
    print_line(text("agora.report", path=folder / REPORT))


@agora.command("report", cls=Command, help=text("help.agora_report"))
@option("--out", help_key="agora_out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@option("--compare", help_key="agora_compare", type=click.Path(path_type=Path), metavar="FILE")
@option("--plots", help_key="agora_plots", multiple=True, metavar="NAME")
def write_report(*, out: Path | None, compare: Path | None, plots: tuple[str, ...]) -> None:
    """Write the report anew from results that are there, and plots as files of their own."""
    _refuse_without_packages()
    from propylon.agora import report, results  # noqa: PLC0415 - half a second

    folder = out or Path(DEFAULT_OUT)
    older = results.load(compare) if compare is not None else None
    found = results.load(folder / RESULTS)
    (folder / REPORT).write_text(report.page(_all(), found, older), encoding="utf-8")
    print_line(text("agora.report", path=folder / REPORT))
    for one in _chosen(plots) if plots else ():
        findings = found.experiments.get(one.name)
        for name, picture in report.pictures(one, findings).items() if findings is not None else ():
            path = folder / PLOTS / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(picture, encoding="utf-8")
            print_line(str(path))


@agora.command("recommend", cls=Command, help=text("help.agora_recommend"))
@click.argument("answers", nargs=-1, metavar="[QUESTION=ANSWER]...")
@option("--out", help_key="agora_out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@json_option
def recommend(answers: tuple[str, ...], *, out: Path | None, as_json: bool) -> None:
    """Recommend a mode and a store for somebody's own situation."""
    from propylon.agora import recommendation, results  # noqa: PLC0415 - half a second

    given = dict(answer.partition("=")[::2] for answer in answers)
    if unknown := recommendation.unknown_answers(given):
        raise SetupError("agora_answer", answer=unknown[0], known=_answers_known())
    path = (out or Path(DEFAULT_OUT)) / RESULTS
    found = results.load(path) if path.exists() else None
    if not given and not as_json:
        given = _asked()
    advice = recommendation.advise(given, found)
    if as_json:
        print_json({"choices": advice.choices, "reasons": [reason.to(LANGUAGE) for reason in advice.reasons]})
        return
    _print_advice(advice)
    if found is None:
        print_line("")
        print_line(text("agora.not_measured"))


def _all() -> Sequence[Experiment]:
    try:
        from propylon.agora.experiments import ALL  # noqa: PLC0415 - half a second
    except ModuleNotFoundError as missing:
        raise SetupError("agora_not_installed", package=repr(missing.name)) from missing
    return ALL


def _refuse_without_packages() -> None:
    """Refuse before anything is measured: that a report cannot be drawn would be found out when all of it is."""
    _all()
    if find_spec("matplotlib") is None:
        raise SetupError("agora_not_installed", package="'matplotlib'")


def _chosen(names: Sequence[str]) -> Sequence[Experiment]:
    known = {one.name: one for one in _all()}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = " " + text("error.did_you_mean", name=near[0]) if near else ""
            raise click.UsageError(text("agora.unknown", name=name, known=", ".join(known)) + hint)
    return [known[name] for name in names] or list(known.values())


def _before(path: Path, effort: str) -> Results:
    from propylon.agora import results  # noqa: PLC0415 - half a second

    found = results.load(path)
    if found.effort != effort:
        raise SetupError("agora_effort", path=str(path), found=found.effort, asked=effort)
    return found


def _keep(path: Path) -> None:
    """Put earlier results aside: they took a quarter of an hour, and may be what the new ones are compared with."""
    if path.exists():
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        kept = path.rename(path.with_name(f"{path.stem}-{written:%Y%m%dT%H%M%S%fZ}{path.suffix}"))
        note(text("agora.kept", path=kept))


@contextmanager
def _progress(experiments: Sequence[Experiment], effort: Effort) -> Iterator[Any]:
    """Show what runs, how far it is, and the time that is left."""
    from rich.console import Console  # noqa: PLC0415 - 30 ms
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - likewise

    total_s = sum(one.takes_s[effort] for one in experiments)
    before_s = {
        one.name: sum(earlier.takes_s[effort] for earlier in experiments[:number])
        for number, one in enumerate(experiments)
    }
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(text("agora.noise"), total=total_s)

        def told(experiment: Experiment, share: float) -> None:
            done_s = before_s[experiment.name] + share * experiment.takes_s[effort]
            progress.update(task, completed=done_s, description=experiment.name)

        yield told


def _print_verdicts(experiments: Sequence[Experiment], found: Results) -> None:
    from propylon.agora.report import OUTCOMES, STATUSES  # noqa: PLC0415 - half a second

    for one in experiments:
        findings: Findings = found.experiments[one.name]
        print_line("")
        print_line(click.style(f"{one.name}: {one.question.to(LANGUAGE)}", bold=True))
        for verdict in findings.verdicts:
            _print_indented(f"[{OUTCOMES[verdict.outcome].to(LANGUAGE)}] {verdict.said.to(LANGUAGE)}")
        for variant in findings.variants.values():
            if variant.reason is not None:
                status = STATUSES[variant.status].to(LANGUAGE)
                _print_indented(f"{variant.label.to(LANGUAGE)}: {status}. {variant.reason.to(LANGUAGE)}")
        if findings.reason is not None:
            _print_indented(findings.reason.to(LANGUAGE))


def _print_indented(sentence: str) -> None:
    for line in wrapped(sentence, WIDTH - 2):
        print_line(f"  {line}")


def _asked() -> dict[str, str]:
    """Ask every question at the terminal."""
    from propylon.agora.recommendation import QUESTIONS  # noqa: PLC0415 - half a second

    answers = {}
    for question in QUESTIONS:
        print_line(click.style(question.said.to(LANGUAGE), bold=True))
        for number, one in enumerate(question.options, 1):
            print_line(f"  {number}  {one.said.to(LANGUAGE)}")
        chosen = click.prompt(text("agora.choose"), type=click.IntRange(1, len(question.options)), default=1)
        answers[question.name] = question.options[chosen - 1].name
    return answers


def _print_advice(advice: Advice) -> None:
    from propylon.agora.recommendation import CHOICES  # noqa: PLC0415 - half a second

    for choice in advice.choices:
        print_line(click.style(CHOICES[choice].to(LANGUAGE), fg="green", bold=True))
    for reason in advice.reasons:
        _print_indented(f"- {reason.to(LANGUAGE)}")
    if advice.besides:
        print_line(text("agora.besides"))
    for reason in advice.besides:
        _print_indented(f"- {reason.to(LANGUAGE)}")


def _answers_known() -> str:
    from propylon.agora.recommendation import QUESTIONS  # noqa: PLC0415 - half a second

    return "; ".join(f"{one.name}={'|'.join(option.name for option in one.options)}" for one in QUESTIONS)
