"""``propylon --help-all``: every command as Markdown, made from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

from propylon.cli.command import options_of
from propylon.cli.texts import text


def reference(program: click.Group) -> str:
    """Return the page: a chapter for every command, in the language of the terminal."""
    root = click.Context(program, info_name=program.name)
    lines = [f"# {text('reference.title')}", "", text("reference.origin"), ""]
    return "\n".join([*lines, *_chapter(program, root, level=2)]).rstrip() + "\n"


def _chapter(command: click.Command, ctx: click.Context, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{ctx.command_path}`"
    yield ""
    yield command.help or ""
    yield ""
    if not isinstance(command, click.Group):
        yield f"    {ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}"
        yield ""
    yield from _options(command, ctx)
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            inner = command.commands[name]
            yield from _chapter(inner, click.Context(inner, info_name=name, parent=ctx), level=level + 1)


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    # Every command has --help; naming it each time would hide the options that matter.
    records = [option.get_help_record(ctx) for option in options_of(command, ctx) if "--help" not in option.opts]
    for name, meaning in filter(None, records):
        yield f"- `{name}`: {meaning}"
    if records:
        yield ""
