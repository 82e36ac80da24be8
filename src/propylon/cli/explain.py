"""``propylon explain``: the settings in plain words."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from propylon.cli.command import MAX_HELP_CELLS, Command, option, store_options
from propylon.cli.opening import configured
from propylon.cli.output import print_json, print_line
from propylon.cli.sentences import Section, Sentence
from propylon.cli.texts import text, told, wrapped
from propylon.core.mode import read_plan
from propylon.core.session import MODES, Mode

if TYPE_CHECKING:
    from propylon.config import Config


@click.command("explain", cls=Command, help=text("help.explain"))
@option("--mode", help_key="explain_mode", type=click.Choice(MODES), metavar="MODE")
@option("--out", help_key="explain_out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@store_options
def explain(*, mode: Mode | None, out: Path | None, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Say what the settings mean for a user."""
    from propylon.cli import explanation, measured  # noqa: PLC0415 - argon2 and more, not needed for --help

    config = configured(store, public_url)
    mode = mode or _mode_in_force(config)
    figures = measured.look(config, mode, out)
    sections = explanation.explain(config, mode)
    sections.append(Section("costs", tuple(measured.costs(figures, config.algorithm))))
    if as_json:
        sentences = [line for part in sections for line in _said(part)]
        facts = explanation.facts(config, mode)
        print_json({**facts, "measured": measured.facts(figures), "sentences": sentences})
        return
    for number, section in enumerate(sections):
        if number:
            print_line("")
        _print(section)


def _mode_in_force(config: Config) -> Mode:
    """Return what ``propylon mode set`` said, where there is a store that can tell, else the setting."""
    from propylon.stores import inspect  # noqa: PLC0415 - drivers, not needed for --help

    return read_plan(inspect(config.store).mode, config.mode).browsers.mode


def _said(section: Section) -> list[str]:
    return [_told(sentence) for sentence in section.sentences]


def _told(sentence: Sentence) -> str:
    return told(f"explain.{sentence.key}", {name: _plain(fact) for name, fact in sentence.facts.items()})


def _plain(fact: object) -> object:
    """Return a fact that is itself a sentence in words."""
    return _told(fact) if isinstance(fact, Sentence) else fact


def _print(section: Section) -> None:
    width = min(shutil.get_terminal_size().columns, MAX_HELP_CELLS)
    print_line(click.style(text(f"explain.title.{section.name}"), bold=True))
    for said in _said(section):
        for line in wrapped(said, width - 2):
            print_line(f"  {line}")
