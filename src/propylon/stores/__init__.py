"""Keeps: one module a backend, chosen by the store's URL and imported only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from propylon.errors import SetupError
from propylon.ports import AccountStore, SessionStore, Store
from propylon.stores.urls import MEMORY_URL, account_kind, check_urls, is_postgres, is_shared, kind_of, sqlite_path

if TYPE_CHECKING:
    from propylon.stores.inspection import Inspection
    from propylon.stores.migrations import Migration
    from propylon.stores.postgres import PostgresStore
    from propylon.stores.server import Server

__all__ = [
    "MEMORY_URL",
    "account_store",
    "bring_up_to_date",
    "check_urls",
    "inspect",
    "is_postgres",
    "is_shared",
    "kind_of",
    "make_store",
    "migrations_of",
    "postgres_store",
    "servers_of_sessions",
    "servers_of_store",
    "session_store",
    "sqlite_path",
]

# The feed's heartbeat comes twice a second; a process that heard nothing for this long asks before it believes.
MAX_SILENCE_S = 5.0


def make_store(url: str, session_url: str = "", *, max_silence_s: float = MAX_SILENCE_S) -> Store:
    """Return the store that ``url`` names, or the two that keep accounts and sessions as one; not opened yet.

    Args:
        url: ``memory://``, ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or
            ``postgresql://user:password@host:5432/database``.
        session_url: where sessions, feed and failures are kept; empty, or the same again: with the accounts.
        max_silence_s: how long the feed of a store across a network may be silent before it refuses to answer.

    Raises:
        SetupError: there is no such kind of store, no file is named, or the two do not go together.
    """
    check_urls(url, session_url)
    if session_url not in ("", url):
        from propylon.stores.split import SplitStore  # noqa: PLC0415 - only what is used, here and below

        return SplitStore(account_store(url), session_store(session_url, max_silence_s=max_silence_s))
    if account_kind(url) == "postgres":
        return postgres_store(url, max_silence_s=max_silence_s)
    path = sqlite_path(url)
    if path is not None:
        from propylon.stores.sqlite import SqliteStore  # noqa: PLC0415

        return SqliteStore(path)
    from propylon.stores.memory import MemoryStore  # noqa: PLC0415

    return MemoryStore()


def account_store(url: str) -> AccountStore:
    """Return the store that ``url`` names, for accounts whose sessions are kept elsewhere; not opened yet.

    Raises:
        SetupError: there is no such kind of store for accounts, or no file is named.
    """
    path = sqlite_path(url)
    if path is None:
        return postgres_store(url, sessions_elsewhere=True)
    from propylon.stores.sqlite import SqliteStore  # noqa: PLC0415

    return SqliteStore(path, sessions_elsewhere=True)


def session_store(url: str, *, max_silence_s: float = MAX_SILENCE_S) -> SessionStore:
    """Return the Redis or Valkey that ``url`` names, for sessions alone; not opened yet.

    Raises:
        SetupError: the URL names none, or the driver is not installed.
    """
    with _driver("Redis", "redis"):
        from propylon.stores.redis import RedisStore  # noqa: PLC0415

    return RedisStore(url, max_silence_s=max_silence_s)


def postgres_store(
    url: str, *, sessions_elsewhere: bool = False, max_silence_s: float = MAX_SILENCE_S
) -> PostgresStore:
    """Return the PostgreSQL store that ``url`` names, not opened yet; see ``stores.postgres.PostgresStore``.

    Raises:
        SetupError: the URL names no database, or the driver is not installed.
    """
    with _driver("PostgreSQL", "postgres"):
        from propylon.stores.postgres import PostgresStore  # noqa: PLC0415

    return PostgresStore(url, sessions_elsewhere=sessions_elsewhere, max_silence_s=max_silence_s)


def migrations_of(url: str) -> tuple[Migration, ...]:
    """Return the migrations of this version of Propylon for the kind of store that ``url`` names."""
    from propylon.stores.migrations import released  # noqa: PLC0415 - not needed to serve

    return released("postgres" if is_postgres(url) else "sqlite")


def bring_up_to_date(url: str) -> list[Migration]:
    """Apply the migrations that the store still lacks, making it first where there is none; return them.

    Raises:
        SetupError: there is no such kind of store, it cannot be used, or it is of a newer Propylon.
    """
    if account_kind(url) == "postgres":
        with _driver("PostgreSQL", "postgres"):
            from propylon.stores.postgres import schema as of_postgres  # noqa: PLC0415

        return of_postgres.bring_up_to_date(url)
    path = sqlite_path(url)
    if path is None:
        return []  # one in memory has no schema
    from propylon.stores.sqlite import schema  # noqa: PLC0415

    return schema.bring_up_to_date(path)


def inspect(url: str) -> Inspection:
    """Look at a store without creating or changing it; one in memory is never there to be seen.

    Raises:
        SetupError: there is no such kind of store.
    """
    if account_kind(url) == "postgres":
        with _driver("PostgreSQL", "postgres"):
            from propylon.stores.postgres import schema as of_postgres  # noqa: PLC0415

        return of_postgres.inspect(url)
    path = sqlite_path(url)
    if path is None:
        from propylon.stores.inspection import Inspection  # noqa: PLC0415

        return Inspection(exists=False)
    from propylon.stores.sqlite import schema  # noqa: PLC0415

    return schema.inspect(path)


def servers_of_store(url: str) -> tuple[Server, ...]:
    """Look at the server of a store, and see that it can be written to; a file has none.

    Raises:
        SetupError: there is no such kind of store, or it cannot be used.
    """
    if account_kind(url) != "postgres":
        return ()
    with _driver("PostgreSQL", "postgres"):
        from propylon.stores.postgres import inspection as of_postgres  # noqa: PLC0415

    return (of_postgres.inspect(url),)


def servers_of_sessions(url: str) -> tuple[Server, ...]:
    """Look at the servers that keep sessions alone, and see that they can be written to; an empty ``url`` is none.

    Raises:
        SetupError: they cannot be used.
    """
    if not url:
        return ()
    with _driver("Redis", "redis"):
        from propylon.stores.redis import inspection as of_redis  # noqa: PLC0415

    return of_redis.inspect(url)


@contextmanager
def _driver(kind: str, extra: str) -> Iterator[None]:
    """Say which extra is missing, where the driver is."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise SetupError("driver_missing", kind=kind, package=repr(missing.name), extra=extra) from missing
