"""Keeps: one module a backend, chosen by the store's URL and imported only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from propylon.errors import SetupError
from propylon.ports import Store

if TYPE_CHECKING:
    from propylon.stores.inspection import Inspection
    from propylon.stores.migrations import Migration
    from propylon.stores.postgres import PostgresStore

__all__ = [
    "bring_up_to_date",
    "inspect",
    "is_postgres",
    "is_shared",
    "make_store",
    "migrations_of",
    "postgres_store",
    "sqlite_path",
]

MEMORY_URL = "memory://"
SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIXES = ("postgresql://", "postgres://")
# The feed's heartbeat comes twice a second; a process that heard nothing for this long asks before it believes.
MAX_SILENCE_S = 5.0


def make_store(url: str) -> Store:
    """Return the store that ``url`` names, not opened yet.

    Args:
        url: ``memory://``, ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or
            ``postgresql://user:password@host:5432/database``.

    Raises:
        SetupError: there is no such kind of store, or no file is named.
    """
    path = sqlite_path(url)
    if path is not None:
        from propylon.stores.sqlite import SqliteStore  # noqa: PLC0415 - only the driver that is used

        return SqliteStore(path)
    if is_postgres(url):
        return postgres_store(url)
    if url != MEMORY_URL:
        raise SetupError(_unknown(url))
    from propylon.stores.memory import MemoryStore  # noqa: PLC0415 - likewise

    return MemoryStore()


def is_postgres(url: str) -> bool:
    """Return whether the URL names a PostgreSQL database, in either of the spellings that its own tools know."""
    return url.startswith(POSTGRES_PREFIXES)


def postgres_store(
    url: str, *, sessions_elsewhere: bool = False, max_silence_s: float = MAX_SILENCE_S
) -> PostgresStore:
    """Return the PostgreSQL store that ``url`` names, not opened yet; see ``stores.postgres.PostgresStore``.

    Raises:
        SetupError: the URL names no database, or the driver is not installed.
    """
    with _postgres_driver():
        from propylon.stores.postgres import PostgresStore  # noqa: PLC0415 - only the driver that is used

    return PostgresStore(url, sessions_elsewhere=sessions_elsewhere, max_silence_s=max_silence_s)


def migrations_of(url: str) -> tuple[Migration, ...]:
    """Return the migrations of this version of Propylon for the kind of store that ``url`` names."""
    from propylon.stores.migrations import released  # noqa: PLC0415 - not needed to serve

    return released("postgres" if is_postgres(url) else "sqlite")


def is_shared(url: str) -> bool:
    """Return whether several processes may keep their sessions in this store together."""
    return url != MEMORY_URL


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite store, or None when ``url`` names another kind.

    Raises:
        SetupError: it is SQLite's, and names no file.
    """
    if not url.startswith("sqlite:"):
        return None
    name = url.removeprefix(SQLITE_PREFIX)
    if name == url or not Path(name).name or name.startswith((":", "file:")) or "?" in name:
        raise SetupError("An SQLite store is written sqlite:///relative.db or sqlite:////absolute.db, without options.")
    return Path(name)


def bring_up_to_date(url: str) -> list[Migration]:
    """Apply the migrations that the store still lacks, making it first where there is none; return them.

    Raises:
        SetupError: there is no such kind of store, it cannot be used, or it is of a newer Propylon.
    """
    if is_postgres(url):
        with _postgres_driver():
            from propylon.stores.postgres import schema as of_postgres  # noqa: PLC0415 - only the driver that is used

        return of_postgres.bring_up_to_date(url)
    path = sqlite_path(url)
    if path is None:
        make_store(url)  # raises for an unknown kind; one in memory has no schema
        return []
    from propylon.stores.sqlite import schema  # noqa: PLC0415 - only the driver that is used

    return schema.bring_up_to_date(path)


def inspect(url: str) -> Inspection:
    """Look at a store without creating or changing it; one in memory is never there to be seen.

    Raises:
        SetupError: there is no such kind of store.
    """
    if is_postgres(url):
        with _postgres_driver():
            from propylon.stores.postgres import schema as of_postgres  # noqa: PLC0415 - only the driver that is used

        return of_postgres.inspect(url)
    path = sqlite_path(url)
    if path is None:
        make_store(url)
        from propylon.stores.inspection import Inspection  # noqa: PLC0415 - as for the drivers

        return Inspection(exists=False)
    from propylon.stores.sqlite import schema  # noqa: PLC0415 - only the driver that is used

    return schema.inspect(path)


@contextmanager
def _postgres_driver() -> Iterator[None]:
    """Say which extra is missing, where the driver is."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise SetupError(
            f"A PostgreSQL store needs the package {missing.name!r}: install propylon[postgres]."
        ) from missing


def _unknown(url: str) -> str:
    # Only the scheme is repeated: what follows may hold a password.
    scheme = url.partition(":")[0][:20]
    if scheme in ("redis", "rediss", "valkey"):
        return (
            "Accounts are never kept in Redis: give PROPYLON_STORE an SQLite file such as sqlite:///propylon.db, and"
            " leave PROPYLON_SESSION_STORE out, since this version keeps sessions there too."
        )
    return (
        f"PROPYLON_STORE names a kind of store that does not exist, {scheme!r}: give memory://,"
        " sqlite:///relative.db, sqlite:////absolute.db or postgresql://user:password@host:5432/database."
    )
