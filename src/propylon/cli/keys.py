"""``propylon keys``: the keys that sign access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from propylon.cli.command import Command, Group, store_options
from propylon.cli.opening import configured, with_store
from propylon.cli.output import print_json, print_line, print_table
from propylon.cli.texts import text

if TYPE_CHECKING:
    from propylon.ports import StoredKey
    from propylon.runtime import Runtime


@click.group("keys", cls=Group, help=text("help.keys"))
def keys() -> None:
    """Group the commands about signing keys."""


@keys.command("list", cls=Command, help=text("help.keys_list"))
@store_options
def list_keys(*, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Show the signing keys, oldest first."""

    async def work(runtime: Runtime) -> tuple[StoredKey, ...]:
        return runtime.keys.stored

    found = [_fields(key) for key in with_store(configured(store, public_url), work)]
    if as_json:
        print_json(found)
        return
    columns = ("kid", "alg", "created_at", "retired_at", "signing")
    print_table([text(f"column.{column}") for column in columns], [_row(key) for key in found])


@keys.command("rotate", cls=Command, help=text("help.keys_rotate"))
@store_options
def rotate(*, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Make a new signing key; tokens of the old one stay good until they expire."""

    async def work(runtime: Runtime) -> StoredKey:
        await runtime.keys.rotate()
        return runtime.keys.stored[-1]

    key = with_store(configured(store, public_url), work)
    if as_json:
        print_json(_fields(key))
    else:
        print_line(text("done.key_rotated", kid=key.kid))


def _fields(key: StoredKey) -> dict[str, Any]:
    from propylon.problems import rfc3339  # noqa: PLC0415 - not needed for --help

    return {
        "kid": key.kid,
        "alg": key.alg,
        "created_at": rfc3339(key.created_at),
        "retired_at": rfc3339(key.retired_at) if key.retired_at is not None else None,
        "signing": key.retired_at is None,
    }


def _row(key: dict[str, Any]) -> list[str]:
    signing = text("word.yes") if key["signing"] else ""
    return [key["kid"], key["alg"], key["created_at"], key["retired_at"] or "", signing]
