"""The program: its commands, and what becomes of every error."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

import click

from propylon.cli.agora import agora
from propylon.cli.command import Group, NoSuchCommand
from propylon.cli.doctor import doctor
from propylon.cli.explain import explain
from propylon.cli.importing import import_accounts
from propylon.cli.keys import keys
from propylon.cli.migrate import migrate
from propylon.cli.mode import mode
from propylon.cli.output import note, sentence_of
from propylon.cli.serve import serve
from propylon.cli.sessions import sessions
from propylon.cli.spelling import called
from propylon.cli.texts import text
from propylon.cli.users import user
from propylon.cli.verifiers import verifiers
from propylon.errors import PropylonError

FAILED, USAGE, UNEXPECTED, INTERRUPTED = 1, 2, 70, 130


@click.group("propylon", cls=Group, help=text("help.propylon"), invoke_without_command=True)
@click.option("--version", is_flag=True, help=text("help.version"))
@click.option("--help-all", is_flag=True, help=text("help.help_all"))
@click.pass_context
def propylon(ctx: click.Context, *, version: bool, help_all: bool) -> None:
    """Do what the options of the program itself say."""
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415 - 20 ms

        click.echo(f"propylon {installed('propylon')}")
    elif help_all:
        from propylon.cli.reference import reference  # noqa: PLC0415 - only here

        click.echo(reference(propylon), nl=False)
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (serve, user, sessions, verifiers, keys, mode, import_accounts, migrate, doctor, explain, agora):
    propylon.add_command(_command)


def run(arguments: Sequence[str] | None) -> int:
    """Run the program and return its exit status: 0 only when what was asked for is done."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            # A terminal that cannot show a character gets a question mark, not a traceback.
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        status = propylon.main(
            list(arguments) if arguments is not None else None,
            "propylon",
            standalone_mode=False,
            color=False if os.environ.get("NO_COLOR") else None,  # https://no-color.org
        )
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.message)
        return USAGE
    except click.UsageError as error:
        note(_usage_sentence(error))
        return USAGE
    except PropylonError as error:
        note(text("word.error", sentence=sentence_of(error)))
        return FAILED
    except (click.Abort, KeyboardInterrupt):
        note(text("error.interrupted"))
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not complain at its end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        note(text("word.error", sentence=text("error.system", reason=error.strerror or type(error).__name__)))
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort
        return _unexpected(error)
    return status if isinstance(status, int) else 0


def _unexpected(error: Exception) -> int:
    if os.environ.get("PROPYLON_LOG_LEVEL") == "debug":
        traceback.print_exc()
    note(text("error.unexpected", kind=type(error).__name__))
    return UNEXPECTED


def _usage_sentence(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx is not None else "propylon"
    return text("word.error", sentence=_what_is_wrong(error)) + "\n" + text("error.see_help", path=path)


def _what_is_wrong(error: click.UsageError) -> str:
    """Say it without repeating a value: it could be a password in the wrong place."""
    name = getattr(getattr(error, "param", None), "human_readable_name", "")
    if isinstance(error, NoSuchCommand):
        return text("error.no_command", name=error.name) + _did_you_mean(error.name, error.known)
    if isinstance(error, click.NoSuchOption):
        if error.option_name.startswith("--pass"):
            return text("error.password_option")
        return text("error.no_option", name=error.option_name) + _did_you_mean(error.option_name, _options(error.ctx))
    if isinstance(error, click.MissingParameter):
        return text("error.missing", name=_called(error) or name)
    if isinstance(error, click.BadParameter):
        return text("error.bad_value", name=_called(error) or name, reason=_reason(error.param))
    if isinstance(error, click.BadOptionUsage):
        return text("error.option_usage", name=error.option_name)
    if "extra argument" in error.message:
        return text("error.extra_argument")
    return error.message


def _reason(parameter: click.Parameter | None) -> str:
    kind = parameter.type if parameter is not None else None
    if isinstance(kind, click.IntRange):
        return text("error.range", least=kind.min, most=kind.max)
    if isinstance(kind, click.Choice):
        return text("error.choice", choices=", ".join(kind.choices))
    return text("error.unreadable")


def _called(error: click.MissingParameter | click.BadParameter) -> str:
    if error.param is None:
        return ""
    return called(error.param, error.ctx or click.Context(propylon))


def _options(ctx: click.Context | None) -> list[str]:
    parameters = ctx.command.get_params(ctx) if ctx is not None else []
    return [name for parameter in parameters if isinstance(parameter, click.Option) for name in parameter.opts]


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    # The dashes of an option say nothing of what was meant.
    bare = {one.lstrip("-"): one for one in known}
    word = name.lstrip("-")
    # Of one letter everything is as near as anything else.
    close = difflib.get_close_matches(word, bare, n=1, cutoff=0.5) if len(word) > 1 else []
    return " " + text("error.did_you_mean", name=bare[close[0]]) if close else ""
