"""What commands print: one JSON value for programs, tables and sentences for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from propylon.errors import PropylonError, RuleRefused, SetupError


def print_json(value: Any) -> None:
    """Print one JSON value on standard output."""
    formatted = msgspec.json.format(msgspec.json.encode(value).decode(), indent=2)
    # JSON leaves C1 controls and marks of direction as they are; a name must not steer somebody's terminal.
    print_line("".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in formatted))


def print_line(line: str) -> None:
    """Print a line on standard output."""
    click.echo(line)


def note(sentence: str) -> None:
    """Tell a person something that is not the answer itself, on standard error."""
    click.echo(sentence, err=True)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in aligned columns; wide characters count as the two cells that they take."""
    # rich alone takes 30 ms to import, which --help and --json need not pay.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from propylon.cli.texts import printable  # noqa: PLC0415 - the catalogue, which --json need not pay

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True, overflow="ignore")
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    # Cells are never cut short: an id has to survive, in a narrow terminal as in a pipe.
    console = Console(file=sys.stdout, width=MAX_TABLE_CELLS, markup=False, highlight=False, emoji=False)
    console.print(table, crop=False)


MAX_TABLE_CELLS = 1_000


def sentence_of(error: PropylonError) -> str:
    """Return what an error tells a person at a terminal."""
    # Here and not above: this module serves --help too, and only failures need the catalogue.
    from propylon.cli.spelling import as_spelled  # noqa: PLC0415
    from propylon.cli.texts import LANGUAGE, has, text  # noqa: PLC0415

    if isinstance(error, SetupError):
        return as_spelled(error.said(LANGUAGE))
    if isinstance(error, RuleRefused):
        return " ".join(_field_sentence(name, code, facts) for name, code, facts in error.errors)
    if has(f"cli.error.{error.code}"):
        return text(f"error.{error.code}", **error.facts)
    return text("error.other", code=error.code)


def _field_sentence(name: str, code: str, facts: dict[str, Any]) -> str:
    from propylon import language  # noqa: PLC0415 - likewise
    from propylon.cli.texts import LANGUAGE, text  # noqa: PLC0415

    return text("error.field", field=text(f"field.{name}"), reason=language.say(LANGUAGE, f"field.{code}", **facts))
