"""``propylon mode``: how new sessions travel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from propylon.cli.command import Command, Group, store_options
from propylon.cli.opening import configured, with_store
from propylon.cli.output import print_json, print_line
from propylon.cli.texts import text
from propylon.core.session import MODES, Mode

if TYPE_CHECKING:
    from propylon.flows.administration import ModeReport
    from propylon.runtime import Runtime


@click.group("mode", cls=Group, help=text("help.mode"))
def mode() -> None:
    """Group the commands about the mode."""


@mode.command("show", cls=Command, help=text("help.mode_show"))
@store_options
def show(*, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Show the mode of new sign-ins, and how many sessions have moved to it."""

    async def work(runtime: Runtime) -> ModeReport:
        return await runtime.administration.mode_report()

    _print_report(with_store(configured(store, public_url), work), as_json=as_json)


@mode.command("set", cls=Command, help=text("help.mode_set"))
@click.argument("mode", type=click.Choice(MODES), metavar="MODE")
@store_options
def change(mode: Mode, *, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Let new sign-ins take another mode, on every server at once."""

    async def work(runtime: Runtime) -> ModeReport:
        return await runtime.administration.change_mode(mode)

    _print_report(with_store(configured(store, public_url), work), as_json=as_json)


def _print_report(report: ModeReport, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(report))
        return
    print_line(text("mode.now", mode=report.mode))
    if report.previous is not None:
        print_line(text("mode.before", mode=report.previous))
    print_line(text("mode.counts", moved=report.moved, left=report.left))
