"""Click commands that speak the reader's language, and the options that many of them share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from rich.cells import cell_len

from propylon.cli.spelling import note_spelling
from propylon.cli.texts import text, wrapped

F = TypeVar("F", bound=Callable[..., Any])

MAX_HELP_CELLS = 100
_SESSION_STORE = "propylon.session_store"


class Command(click.Command):
    """One command."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; what it says of a setting then names it as it was given."""
        note_spelling(ctx)
        return super().invoke(ctx)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return ``--help``, in the reader's language."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = text("help.help")
        return option

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return what follows the command's name in its usage."""
        return [piece.replace("[OPTIONS]", f"[{text('word.options')}]") for piece in super().collect_usage_pieces(ctx)]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the page of ``--help``."""
        formatter.write("\n".join(_help_page(self, ctx)) + "\n")


class Group(Command, click.Group):
    """A group of commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise NoSuchCommand(args[0], self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)


class NoSuchCommand(click.UsageError):
    """There is no command of that name."""

    def __init__(self, name: str, known: Iterable[str], ctx: click.Context) -> None:
        super().__init__(name, ctx)
        self.name, self.known = name, list(known)


def _help_page(command: click.Command, ctx: click.Context) -> Iterable[str]:
    width = min(shutil.get_terminal_size().columns, MAX_HELP_CELLS)
    yield f"{text('word.usage')}: {ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}"
    yield ""
    yield from _indented(command.help or "", width)
    if isinstance(command, click.Group):
        commands = [(name, command.commands[name].help or "") for name in command.list_commands(ctx)]
        yield from _section(text("word.commands"), commands, width)
    options = [record for option in options_of(command, ctx) if (record := option.get_help_record(ctx))]
    yield from _section(text("word.options"), options, width)


def options_of(command: click.Command, ctx: click.Context) -> list[click.Option]:
    """Return the options of a command, its arguments left out."""
    return [parameter for parameter in command.get_params(ctx) if isinstance(parameter, click.Option)]


def _indented(paragraph: str, width: int) -> Iterable[str]:
    return (f"  {line}" for line in wrapped(paragraph, width - 2))


def _section(heading: str, rows: list[tuple[str, str]], width: int) -> Iterable[str]:
    yield ""
    yield f"{heading}:"
    column = max(cell_len(name) for name, _ in rows) + 4
    for name, meaning in rows:
        first, *others = wrapped(meaning, max(20, width - column))
        yield f"  {name}{' ' * (column - 2 - cell_len(name))}{first}"
        yield from (" " * column + line for line in others)


def option(*names: str, help_key: str, **attributes: Any) -> Callable[[F], F]:
    """Declare an option; ``help_key`` names its sentence under ``cli.help.option``."""
    return click.option(*names, help=text(f"help.option.{help_key}"), **attributes)


def store_options(command: F) -> F:
    """Declare ``--store``, ``--session-store``, ``--public-url`` and ``--json``."""
    for declare in (json_option, public_url_option, store_option):
        command = declare(command)
    return command


def store_option(command: F) -> F:
    """Declare ``--store`` and ``--session-store``; what the second says is found by `session_store_said`."""
    keep = option(
        "--session-store", help_key="session_store", metavar="URL", expose_value=False, callback=_note_session_store
    )
    return option("--store", help_key="store", metavar="URL")(keep(command))


def session_store_said() -> str | None:
    """Return what ``--session-store`` says to the command that runs, or None."""
    ctx = click.get_current_context(silent=True)
    said: str | None = ctx.meta.get(_SESSION_STORE) if ctx is not None else None
    return said


def _note_session_store(ctx: click.Context, _option: click.Parameter, value: str | None) -> None:
    # Not a parameter of each command: none of them does anything with it but open the stores.
    ctx.meta[_SESSION_STORE] = value


public_url_option = option("--public-url", help_key="public_url", metavar="URL")
json_option = option("--json", "as_json", help_key="json", is_flag=True)
