"""``propylon mode``: how sessions travel, and how far they have come when that changes."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import click
import msgspec

from propylon.cli.command import Command, Group, option, store_options
from propylon.cli.opening import configured, with_store
from propylon.cli.output import print_json, print_line
from propylon.cli.texts import text
from propylon.core.mode import CLIENTS, Clients
from propylon.core.session import MODES, Mode

if TYPE_CHECKING:
    from propylon.flows.mode_change import ModeReport
    from propylon.runtime import Runtime

LOOK_EVERY_S = 1.0
# Of a store with millions of sessions; whoever watches must not slow down whoever signs in.
SHARE_OF_THE_TIME = 10


@click.group("mode", cls=Group, help=text("help.mode"))
def mode() -> None:
    """Group the commands about the mode."""


@mode.command("show", cls=Command, help=text("help.mode_show"))
@option("--watch", help_key="mode_watch", is_flag=True)
@store_options
def show(*, watch: bool, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Show the mode of new sign-ins, and how many sessions have moved to it."""

    async def work(runtime: Runtime) -> ModeReport:
        return await (_watched(runtime, quiet=as_json) if watch else runtime.mode_change.report())

    _print_report(with_store(configured(store, public_url), work), as_json=as_json)


@mode.command("set", cls=Command, help=text("help.mode_set"))
@click.argument("mode", type=click.Choice(MODES), metavar="MODE")
@option("--for", "clients", help_key="mode_for", type=click.Choice(CLIENTS), metavar="CLIENTS")
@store_options
def change(mode: Mode, *, clients: Clients | None, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Let new sign-ins take another mode, on every server at once, and ask sessions to move to it."""

    async def work(runtime: Runtime) -> ModeReport:
        return await runtime.mode_change.turn(mode, CLIENTS if clients is None else (clients,))

    _print_report(with_store(configured(store, public_url), work), as_json=as_json)


@mode.command("pause", cls=Command, help=text("help.mode_pause"))
@store_options
def pause(*, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Ask no session to move for a while."""
    _hold(store, public_url, paused=True, as_json=as_json)


@mode.command("resume", cls=Command, help=text("help.mode_resume"))
@store_options
def resume(*, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Let sessions go on moving."""
    _hold(store, public_url, paused=False, as_json=as_json)


def _hold(store: str | None, public_url: str | None, *, paused: bool, as_json: bool) -> None:
    async def work(runtime: Runtime) -> ModeReport:
        return await runtime.mode_change.pause(paused=paused)

    _print_report(with_store(configured(store, public_url), work), as_json=as_json)


async def _watched(runtime: Runtime, *, quiet: bool) -> ModeReport:
    """Show each step on one line until nobody is left, or is to wait."""
    before = ""
    while True:
        began = time.monotonic()
        report = await runtime.mode_change.report()
        line = text("mode.progress", moved=report.moved, left=report.left, errors=report.errors)
        if not quiet and line != before:
            _show_step(line, before)
        before = line
        if not report.left or report.paused:
            if not quiet and _overwrites():
                click.echo()
            return report
        await asyncio.sleep(max(LOOK_EVERY_S, SHARE_OF_THE_TIME * (time.monotonic() - began)))


def _show_step(line: str, before: str) -> None:
    if _overwrites():
        # A shorter line leaves the end of the longer one standing.
        click.echo("\r" + line + " " * max(0, len(before) - len(line)), nl=False)
    else:
        print_line(line)


def _overwrites() -> bool:
    return sys.stdout.isatty()


def _print_report(report: ModeReport, *, as_json: bool) -> None:
    if as_json:
        print_json(msgspec.to_builtins(report))
        return
    print_line(text("mode.now", mode=report.mode))
    if report.previous is not None:
        print_line(text("mode.before", mode=report.previous))
    if report.apps is not None:
        print_line(text("mode.apps", mode=report.apps.mode, moved=report.apps.moved, left=report.apps.left))
    print_line(text("mode.counts", moved=report.moved, left=report.left))
    if report.errors:
        print_line(text("mode.errors", errors=report.errors))
    if report.paused:
        print_line(text("mode.paused"))
