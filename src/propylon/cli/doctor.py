"""``propylon doctor``: is this set-up fit for production, and what is missing."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from propylon.cli.command import MAX_HELP_CELLS, Command, option, store_options
from propylon.cli.opening import settings_said
from propylon.cli.output import print_json, print_line, sentence_of
from propylon.cli.texts import padded, text, told, wrapped
from propylon.errors import SetupError

if TYPE_CHECKING:
    from propylon.cli.findings import Finding

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
MARK_CELLS, TITLE_CELLS = 6, 20


@click.command("doctor", cls=Command, help=text("help.doctor"))
@store_options
@option("--origin", help_key="origin", metavar="URL")
@click.pass_context
def doctor(ctx: click.Context, *, store: str | None, public_url: str | None, origin: str | None, as_json: bool) -> None:
    """Say what is fit for production, and what is missing."""
    from propylon.cli.checks import fit  # noqa: PLC0415 - drivers, not needed for --help

    findings = diagnose(store, public_url, origin)
    if as_json:
        print_json({"ok": fit(findings), "checks": [as_check(finding) for finding in findings]})
    else:
        _print(findings)
    if not fit(findings):
        ctx.exit(1)


def diagnose(store: str | None, public_url: str | None, origin: str | None = None) -> list[Finding]:
    """Look, and conclude; settings that cannot be read are a finding too.

    Args:
        store: as the command line says it.
        public_url: likewise.
        origin: of a page that the running server is asked for, too.
    """
    from propylon.cli import checks, findings  # noqa: PLC0415 - likewise
    from propylon.cli.page_check import ask_as_page  # noqa: PLC0415 - likewise
    from propylon.cli.seeing import look  # noqa: PLC0415 - likewise

    try:
        config = settings_said(store, public_url)
        found = checks.examine(config, look(config))
        return found if origin is None else [*found, ask_as_page(config, origin)]
    except SetupError as error:
        return [findings.Finding("settings", "fail", "unusable", {"sentence": sentence_of(error)})]


def as_check(finding: Finding) -> dict[str, Any]:
    """Return a finding as ``--json`` shows it: in the reader's words, but for its name and status."""
    key = f"doctor.{finding.name}.{finding.variant}"
    return {
        "name": finding.name,
        "status": finding.status,
        "detail": told(key, finding.facts),
        "fix": None if finding.status == "ok" else told(f"{key}_fix", finding.facts),
    }


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        _print_one(finding)
    count = Counter(finding.status for finding in findings)
    worst = next(status for status in ("fail", "warn", "ok") if count[status] or status == "ok")
    verdict = text(f"doctor.verdict_{worst}", ok=count["ok"], warn=count["warn"], fail=count["fail"])
    print_line("")
    print_line(click.style(verdict, fg=COLOURS[worst], bold=True))


def _print_one(finding: Finding) -> None:
    shown = as_check(finding)
    mark = click.style(padded(text(f"doctor.mark_{finding.status}"), MARK_CELLS), fg=COLOURS[finding.status], bold=True)
    first, *others = _lines(shown["detail"])
    print_line(f"{mark}{padded(text(f'doctor.title.{finding.name}'), TITLE_CELLS)}{first}")
    for line in others:
        _print_below(line)
    for number, line in enumerate(_lines(shown["fix"]) if shown["fix"] else ()):
        _print_below(f"{'  ' if number else '> '}{line}")


def _print_below(line: str) -> None:
    print_line(" " * (MARK_CELLS + TITLE_CELLS) + line)


def _lines(paragraph: str) -> list[str]:
    width = min(shutil.get_terminal_size().columns, MAX_HELP_CELLS) - MARK_CELLS - TITLE_CELLS - 2
    return list(wrapped(paragraph, max(30, width)))
