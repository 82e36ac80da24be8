"""Gathers what ``propylon doctor`` judges. It reads and asks; it makes, changes and repairs nothing."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from propylon import config as settings
from propylon.app import key_path
from propylon.cli.findings import FileMode, KeyState, Seen
from propylon.cli.output import sentence_of
from propylon.config import Config
from propylon.config.bridge import weakened as weakened_bridge
from propylon.core.secret import KeyRing
from propylon.errors import SetupError
from propylon.flows.key_check import belongs
from propylon.outside import key_file
from propylon.outside.clock import SystemClock
from propylon.stores import (
    check_urls,
    inspect,
    is_shared,
    migrations_of,
    servers_of_sessions,
    servers_of_store,
    sqlite_path,
)
from propylon.stores.inspection import Inspection
from propylon.stores.migrations import missing_of
from propylon.stores.server import Server

BESIDE_THE_DATABASE = ("", "-wal", "-shm")


def look(config: Config) -> Seen:
    """Look at everything that the checks are about.

    Raises:
        SetupError: the settings name a kind of store that does not exist, two that do not go together, or a bridge
            that cannot be read.
    """
    check_urls(config.store, config.session_store)
    store = inspect(config.store)
    database = sqlite_path(config.store)
    key, key_trouble = _key(config, store)
    missing, schema_trouble = _schema(config, store)
    of_store, store_trouble = _servers(servers_of_store, config.store)
    elsewhere = config.session_store if config.session_store != config.store else ""
    of_sessions, sessions_trouble = _servers(servers_of_sessions, elsewhere)
    return Seen(
        now=SystemClock().now(),
        weakened=weakened_bridge(config.bridge),
        strangers=tuple(settings.unknown_variables()),
        store_name=str(database) if database is not None else settings.without_password(config.store),
        in_memory=not is_shared(config.store),
        store=store,
        place_writable=database is None or os.access(database.resolve().parent, os.W_OK | os.X_OK),
        missing_migrations=missing,
        schema_trouble=schema_trouble,
        files=tuple(_files(config, database)),
        key_place="PROPYLON_KEY" if config.key else str(key_path(config)),
        key=key,
        key_trouble=key_trouble,
        free_bytes=_free_bytes(database) if database is not None else None,
        newest_at=max((key.created_at for key in store.signing_keys), default=None),
        sessions_name=settings.without_password(elsewhere),
        servers=(*of_store, *of_sessions),
        store_trouble=store_trouble,
        sessions_trouble=sessions_trouble,
    )


def _servers(look_at: Callable[[str], tuple[Server, ...]], url: str) -> tuple[tuple[Server, ...], str | None]:
    try:
        return look_at(url), None
    except SetupError as error:
        return (), sentence_of(error)


def _schema(config: Config, store: Inspection) -> tuple[int, str | None]:
    try:
        return len(missing_of(store.applied, migrations_of(config.store))), None
    except SetupError as error:
        return 0, sentence_of(error)


def _key(config: Config, store: Inspection) -> tuple[KeyState, str]:
    try:
        if config.key:
            ring = KeyRing.parse(config.key)
        elif not key_path(config).exists():
            return "missing", ""
        else:
            ring = key_file.load_or_create(key_path(config), may_create=False)
    except SetupError as error:
        return "unusable", sentence_of(error)
    return "good" if belongs(ring, store.server_keys) else "differs", ""


def _files(config: Config, database: Path | None) -> Iterator[FileMode]:
    if os.name != "posix":  # modes mean nothing there
        return
    paths = [] if config.key else [key_path(config)]
    if database is not None:
        # SQLite follows symbolic links before it names the companions of the file.
        whole = database.resolve()
        paths += [whole.with_name(whole.name + ending) for ending in BESIDE_THE_DATABASE]
    for path in filter(Path.exists, paths):
        yield FileMode(str(path), stat.S_IMODE(path.stat().st_mode))
    for folder in sorted({path.resolve().parent for path in paths if path.exists()}):
        yield FileMode(str(folder), stat.S_IMODE(folder.stat().st_mode), directory=True)


def _free_bytes(database: Path) -> int | None:
    folder = database.resolve().parent
    return shutil.disk_usage(folder).free if folder.is_dir() else None
