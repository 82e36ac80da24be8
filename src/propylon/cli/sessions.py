"""``propylon sessions``: who is signed in, and ending it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from propylon import language
from propylon.cli.command import Command, Group, option, store_options
from propylon.cli.opening import configured, with_store
from propylon.cli.output import note, print_json, print_line, print_table
from propylon.cli.texts import LANGUAGE, text

if TYPE_CHECKING:
    from propylon.core.principal import User
    from propylon.core.session import Session
    from propylon.runtime import Runtime

DEFAULT_LIMIT, MAX_LIMIT = 100, 10_000

# 16 bytes in base64url. No option is as long without a character that stands in no id.
SESSION_ID = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")

Owned = tuple["Session", "User | None"]


@click.group("sessions", cls=Group, help=text("help.sessions"))
def sessions() -> None:
    """Group the commands about sessions."""


@sessions.command("list", cls=Command, help=text("help.sessions_list"))
@option("--user", "email", help_key="user", metavar="EMAIL")
@option(
    "--limit",
    help_key="limit",
    type=click.IntRange(1, MAX_LIMIT),
    default=DEFAULT_LIMIT,
    metavar="N",
)
@store_options
def list_sessions(*, email: str | None, limit: int, store: str | None, public_url: str | None, as_json: bool) -> None:
    """Show live sessions, newest first."""

    async def work(runtime: Runtime) -> tuple[Sequence[Owned], int]:
        return await runtime.administration.sessions(email, limit), runtime.clock.now()

    found, now = with_store(configured(store, public_url), work)
    if as_json:
        print_json([_fields(*owned) for owned in found])
    elif found:
        columns = ("id", "user", "device", "mode", "last_seen_at", "created_at", "ip")
        print_table([text(f"column.{column}") for column in columns], [_row(*owned, now) for owned in found])
    else:
        print_line(text("note.no_sessions"))


class EndCommand(Command):
    """A command that takes a session id for one, also when it looks like an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; one id in 64 begins with a dash, and people paste it as they see it."""
        ids = [argument for argument in args if argument.startswith("-") and SESSION_ID.fullmatch(argument)]
        if ids:
            args = [*(argument for argument in args if argument not in ids), "--", *ids]
        return super().parse_args(ctx, args)


@sessions.command("end", cls=EndCommand, help=text("help.sessions_end"))
@click.argument("session_id", required=False)
@option("--user", "email", help_key="end_user", metavar="EMAIL")
@option("--everyone", help_key="end_everyone", is_flag=True)
@option("--yes", help_key="yes", is_flag=True)
@store_options
@click.pass_context
def end(
    ctx: click.Context,
    session_id: str | None,
    *,
    email: str | None,
    everyone: bool,
    yes: bool,
    store: str | None,
    public_url: str | None,
    as_json: bool,
) -> None:
    """End one session, all of a user, or all; every server refuses them from the next request on."""
    if [session_id is not None, email is not None, everyone].count(True) != 1:
        raise click.UsageError(text("error.end_which"), ctx)
    if everyone and not yes:
        _confirm_everyone(ctx)

    async def work(runtime: Runtime) -> int:
        if everyone:
            return await runtime.administration.end_everyone()
        if email is not None:
            return await runtime.administration.end_sessions((await runtime.administration.user(email)).id)
        await runtime.administration.end_session(session_id or "")
        return 1

    ended = with_store(configured(store, public_url), work)
    if as_json:
        print_json({"ended": ended})
    else:
        print_line(text("done.session_ended" if ended == 1 else "done.sessions_ended", n=ended))


def _confirm_everyone(ctx: click.Context) -> None:
    """Ask whoever sits there; a script says so beforehand."""
    if not sys.stdin.isatty():
        raise click.UsageError(text("error.everyone_yes"), ctx)
    if not click.confirm(text("prompt.everyone"), err=True):
        note(text("error.everyone_no"))
        ctx.exit(1)


def _fields(session: Session, owner: User | None) -> dict[str, Any]:
    """Return a session as ``GET /v1/sessions`` shows it, and whose it is."""
    from propylon.http.schemas import session_out  # noqa: PLC0415 - loaded with the app

    shown: dict[str, Any] = msgspec.to_builtins(session_out(session, None))
    shown["user"] = {"id": session.user_id, "email": owner.email if owner is not None else None}
    return shown


def _row(session: Session, owner: User | None, now: int) -> list[str]:
    device = session.device
    return [
        session.id,
        owner.email if owner is not None else session.user_id,
        language.say(LANGUAGE, "device.title", browser=device.browser or "?", os=device.os or "?"),
        session.mode,
        language.ago(LANGUAGE, session.last_seen_at, now),
        language.ago(LANGUAGE, session.created_at, now),
        session.ip,
    ]
