"""From options to an open store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from propylon import config as settings
from propylon.cli.command import session_store_said
from propylon.cli.output import note
from propylon.cli.texts import text
from propylon.config import Config
from propylon.errors import SetupError

if TYPE_CHECKING:
    from propylon.runtime import Runtime

T = TypeVar("T")


def configured(store: str | None, public_url: str | None) -> Config:
    """Return the settings, those of the command line winning; what nothing reads is told on standard error."""
    config = settings_said(store, public_url)
    for name in settings.unknown_variables():
        note(text("note.unknown_variable", name=name))
    return config


def settings_said(store: str | None, public_url: str | None) -> Config:
    """Return the settings, those of the command line winning."""
    said = {"store": store, "session_store": session_store_said(), "public_url": public_url}
    return settings.load(overrides=said)


def with_store(config: Config, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Open the store, do ``work``, and close it again.

    Raises:
        SetupError: the store cannot be used, or lives in another process' memory.
    """
    refuse_memory(config)
    with announced_if_new(config):
        return asyncio.run(_opened(config, work))


def refuse_memory(config: Config) -> None:
    """Refuse a store that no other process can see into, and stores that do not go together."""
    from propylon.stores import check_urls, is_shared  # noqa: PLC0415 - not needed for --help

    check_urls(config.store, config.session_store)
    if not is_shared(config.store):
        raise SetupError("memory_store")


@contextmanager
def announced_if_new(config: Config) -> Iterator[None]:
    """Say so when a store came to be meanwhile: whoever mistyped its name must not believe an empty list."""
    from propylon.stores import sqlite_path  # noqa: PLC0415 - likewise

    path = sqlite_path(config.store)
    missing = path is not None and not path.exists()
    try:
        yield
    finally:
        if path is not None and missing and path.exists():
            note(text("note.new_store", path=path))


async def _opened(config: Config, work: Callable[[Runtime], Awaitable[T]]) -> T:
    from propylon.app import Propylon  # noqa: PLC0415 - a third of a second

    async with Propylon(config) as propylon:
        return await work(propylon.runtime)
