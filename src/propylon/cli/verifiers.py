"""``propylon verifiers``: services elsewhere that check tokens themselves and follow the revocation feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from propylon.cli.command import Command, Group, store_options
from propylon.cli.opening import configured, with_store
from propylon.cli.output import note, print_json, print_line, print_table
from propylon.cli.texts import text

if TYPE_CHECKING:
    from propylon.core.verifiers import NewVerifier, StoredVerifier
    from propylon.runtime import Runtime


@click.group("verifiers", cls=Group, help=text("help.verifiers"))
def verifiers() -> None:
    """Group the commands about verifiers."""


@verifiers.command("add", cls=Command, help=text("help.verifiers_add"))
@click.argument("name")
@store_options
def add(name: str, *, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Make a verifier and show its secret, this once."""

    async def work(runtime: Runtime) -> NewVerifier:
        return await runtime.verifiers.add(name)

    new = with_store(configured(store, public_url), work)
    if as_json:
        print_json({"id": new.id, "name": new.name, "secret": new.secret})
    else:
        note(text("done.verifier_added", name=new.name))
        print_line(new.secret)


@verifiers.command("list", cls=Command, help=text("help.verifiers_list"))
@store_options
def list_verifiers(*, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Show the verifiers, oldest first."""

    async def work(runtime: Runtime) -> tuple[StoredVerifier, ...]:
        return await runtime.verifiers.all()

    found = [_fields(verifier) for verifier in with_store(configured(store, public_url), work)]
    if as_json:
        print_json(found)
    elif found:
        columns = ("name", "id", "created_at")
        print_table(
            [text(f"column.{column}") for column in columns], [[row[name] for name in columns] for row in found]
        )
    else:
        print_line(text("note.no_verifiers"))


@verifiers.command("remove", cls=Command, help=text("help.verifiers_remove"))
@click.argument("name")
@store_options
def remove(name: str, *, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Remove a verifier by its name or id."""

    async def work(runtime: Runtime) -> StoredVerifier:
        return await runtime.verifiers.remove(name)

    gone = with_store(configured(store, public_url), work)
    if as_json:
        print_json(_fields(gone))
    else:
        print_line(text("done.verifier_removed", name=gone.name))


def _fields(verifier: StoredVerifier) -> dict[str, Any]:
    from propylon.problems import rfc3339  # noqa: PLC0415 - not needed for --help

    return {"id": verifier.id, "name": verifier.name, "created_at": rfc3339(verifier.created_at)}
