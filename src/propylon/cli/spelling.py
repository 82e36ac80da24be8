"""What a setting is called by who gave it: by its option at the command line, by its variable otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType

import click
from click.core import ParameterSource

from propylon.config import PREFIX

# Of all options these alone are settings; ``explain --mode`` asks about a mode and gives none.
OF_SETTINGS = ("store", "session_store", "public_url", "host", "port", "workers")

_spelled: ContextVar[Mapping[str, str]] = ContextVar("spelled", default=MappingProxyType({}))


def note_spelling(ctx: click.Context) -> None:
    """Note how the options of the command that runs were given."""
    _spelled.set(dict(_spellings(ctx)))


def as_spelled(sentence: str) -> str:
    """Name each setting as it was given: nobody finds a variable, or an option, that they did not write."""
    for name, spelling in _spelled.get().items():
        sentence = re.sub(rf"(?<![\w-]){name}(?![\w-])", spelling, sentence, flags=re.ASCII)
    return sentence


def called(parameter: click.Parameter, ctx: click.Context) -> str:
    """Return what a parameter is called by who gave it."""
    if not isinstance(parameter, click.Option):
        return parameter.make_metavar(ctx)
    if ctx.get_parameter_source(str(parameter.name)) is ParameterSource.ENVIRONMENT:
        return str(parameter.envvar)
    return parameter.opts[0]


def _spellings(ctx: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in ctx.command.params:
        if parameter.name not in OF_SETTINGS:
            continue
        variable, option = PREFIX + parameter.name.upper(), parameter.opts[0]
        source = ctx.get_parameter_source(parameter.name)
        if source is ParameterSource.COMMANDLINE:
            yield variable, option
        elif source is ParameterSource.ENVIRONMENT:
            yield option, variable
