"""``propylon user``: accounts, by e-mail address."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from propylon.cli.command import Command, Group, option, store_options
from propylon.cli.opening import configured, refuse_memory, with_store
from propylon.cli.output import print_json, print_line, print_table
from propylon.cli.texts import text
from propylon.config import check_role_name
from propylon.errors import SetupError, Unusable

if TYPE_CHECKING:
    from propylon.core.principal import User
    from propylon.runtime import Runtime

# Four bytes a character is the most that UTF-8 takes; no password may have more characters than 1024.
MAX_PASSWORD_LINE_BYTES = 4 * 1024 + 2


@click.group("user", cls=Group, help=text("help.user"))
def user() -> None:
    """Group the commands about accounts."""


@user.command("add", cls=Command, help=text("help.user_add"))
@click.argument("email")
@option("--name", help_key="name", default="", metavar="NAME")
@option("--role", "roles", help_key="role", multiple=True, metavar="ROLE")
@option("--password-stdin", help_key="password_stdin", is_flag=True)
@store_options
def add(
    email: str,
    *,
    name: str,
    roles: tuple[str, ...],
    password_stdin: bool,
    store: str | None,
    public_url: str | None,
    as_json: bool,
) -> None:
    """Make an account, by the same rules as a sign-up."""
    config = configured(store, public_url)
    refuse_memory(config)  # before anybody has typed a password for nothing
    _check_roles(roles)
    password = read_password(from_stdin=password_stdin or not sys.stdin.isatty())

    async def work(runtime: Runtime) -> User:
        from propylon.flows.account import NewAccount  # noqa: PLC0415 - loaded with the app

        account = NewAccount(email=email, password=password, name=name, roles=tuple(dict.fromkeys(roles)))
        return await runtime.accounts.add(account)

    _print_user(with_store(config, work), "done.user_added", as_json=as_json)


@user.command("list", cls=Command, help=text("help.user_list"))
@store_options
def list_users(*, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Show every account."""

    async def work(runtime: Runtime) -> list[User]:
        return await runtime.administration.users()

    found = [user_fields(user) for user in with_store(configured(store, public_url), work)]
    if as_json:
        print_json(found)
    elif found:
        print_table([text(f"column.{column}") for column in USER_COLUMNS], [_row(user) for user in found])
    else:
        print_line(text("note.no_users"))


@user.command("password", cls=Command, help=text("help.user_password"))
@click.argument("email")
@option("--password-stdin", help_key="password_stdin", is_flag=True)
@store_options
def set_password(email: str, *, password_stdin: bool, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Give an account another password, and end all its sessions."""
    config = configured(store, public_url)
    refuse_memory(config)
    password = read_password(from_stdin=password_stdin or not sys.stdin.isatty())

    async def work(runtime: Runtime) -> User:
        return await runtime.accounts.set_password(email, password)

    _print_user(with_store(config, work), "done.user_password", as_json=as_json)


@user.command("disable", cls=Command, help=text("help.user_disable"))
@click.argument("email")
@store_options
def disable(email: str, *, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Stop an account and end all its sessions."""

    async def work(runtime: Runtime) -> User:
        return await runtime.administration.disable(email)

    _print_user(with_store(configured(store, public_url), work), "done.user_disabled", as_json=as_json)


@user.command("enable", cls=Command, help=text("help.user_enable"))
@click.argument("email")
@store_options
def enable(email: str, *, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Let an account sign in again."""

    async def work(runtime: Runtime) -> User:
        return await runtime.administration.enable(email)

    _print_user(with_store(configured(store, public_url), work), "done.user_enabled", as_json=as_json)


def read_password(*, from_stdin: bool) -> str:
    """Return a password from a hidden prompt, asked twice, or the first line of standard input.

    Never from an argument: everybody on the machine can read those (``ps``), and the shell remembers them.

    Raises:
        SetupError: there is none, or it is no UTF-8 text.
    """
    if not from_stdin:
        password: str = click.prompt(text("prompt.password"), hide_input=True, err=True)
        if click.prompt(text("prompt.again"), hide_input=True, err=True) != password:
            raise SetupError("passwords_differ")
        return password
    line = sys.stdin.buffer.readline(MAX_PASSWORD_LINE_BYTES).rstrip(b"\r\n")
    if not line:
        raise SetupError("no_password")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise SetupError("password_encoding") from None


USER_COLUMNS = ("email", "name", "roles", "disabled", "created_at", "id")


def user_fields(user: User) -> dict[str, Any]:
    """Return an account as ``--json`` shows it."""
    from propylon.problems import rfc3339  # noqa: PLC0415 - not needed for --help

    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "roles": list(user.roles),
        "disabled": user.disabled_at is not None,
        "created_at": rfc3339(user.created_at),
    }


def _row(fields: dict[str, Any]) -> list[str]:
    shown = {
        **fields,
        "roles": " ".join(fields["roles"]),
        "disabled": text("word.yes") if fields["disabled"] else "",
    }
    return [shown[column] for column in USER_COLUMNS]


def _print_user(user: User, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(user_fields(user))
    else:
        print_line(text(sentence, email=user.email, id=user.id))


def _check_roles(roles: tuple[str, ...]) -> None:
    from propylon.core.jose.access_token import MAX_ROLES  # noqa: PLC0415 - cryptography, not needed for --help

    if len(set(roles)) > MAX_ROLES:
        raise SetupError("roles_too_many", limit=MAX_ROLES)
    for role in roles:
        try:
            check_role_name(role)
        except Unusable:  # it repeats the value, which could be a password in the wrong place
            raise SetupError("role_option") from None
