"""``propylon migrate``: the store's schema, brought up to date on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from propylon.cli.command import Command, json_option, store_option
from propylon.cli.opening import announced_if_new, configured, refuse_memory
from propylon.cli.output import print_json, print_line
from propylon.cli.texts import text

if TYPE_CHECKING:
    from propylon.stores.migrations import Migration


@click.command("migrate", cls=Command, help=text("help.migrate"))
@store_option
@json_option
def migrate(*, store: str | None, as_json: bool) -> None:
    """Apply the numbered migrations that the store still lacks."""
    from propylon.stores import bring_up_to_date  # noqa: PLC0415 - drivers, not needed for --help

    config = configured(store, None)
    refuse_memory(config)
    with announced_if_new(config):
        applied = bring_up_to_date(config.store)
    if as_json:
        print_json({"applied": [{"version": migration.version, "name": migration.name} for migration in applied]})
        return
    for migration in applied:
        print_line(text("migrate.applied", migration=_called(migration)))
    if not applied:
        print_line(text("migrate.nothing"))


def _called(migration: Migration) -> str:
    return f"{migration.version:04} {migration.name}"
