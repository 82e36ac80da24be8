"""Which kind of store a URL names, and which kinds go together. No driver is loaded for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from propylon.errors import SetupError

MEMORY_URL = "memory://"
SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIXES = ("postgresql://", "postgres://")
# redis+sentinel://, redis+cluster:// and the like are told apart by the driver's module.
REDIS_SCHEMES = ("redis", "rediss", "unix")

Kind = Literal["memory", "sqlite", "postgres", "redis"]

_SESSION_STORES = "redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"


def kind_of(url: str) -> Kind:
    """Return the kind of store that ``url`` names.

    Raises:
        SetupError: there is no such kind; the sentence repeats nothing that may be a password.
    """
    if url == MEMORY_URL:
        return "memory"
    if url.startswith("sqlite:"):
        return "sqlite"
    if is_postgres(url):
        return "postgres"
    if _scheme(url).partition("+")[0] in REDIS_SCHEMES:
        return "redis"
    raise SetupError(_unknown(url))


def account_kind(url: str) -> Kind:
    """Return the kind of store that ``url`` names, for accounts.

    Raises:
        SetupError: there is no such kind, or it is not for accounts.
    """
    if _scheme(url).startswith(("redis", "valkey")) or kind_of(url) == "redis":
        raise SetupError(
            "Accounts are never kept in Redis: give PROPYLON_STORE an SQLite file such as sqlite:///propylon.db or a"
            " PostgreSQL database, and name Redis in PROPYLON_SESSION_STORE, for sessions alone."
        )
    return kind_of(url)


def check_urls(store: str, session_store: str) -> None:
    """See that sessions may be kept where ``session_store`` says, beside accounts in ``store``.

    Raises:
        SetupError: one sentence that says what to change.
    """
    kind = account_kind(store)
    if session_store in ("", store):
        return
    if _scheme(session_store).partition("+")[0] not in REDIS_SCHEMES:
        raise SetupError(
            f"PROPYLON_SESSION_STORE takes sessions to Redis or Valkey: give it {_SESSION_STORES}, or leave it out to"
            " keep sessions in PROPYLON_STORE."
        )
    if kind == "memory":
        raise SetupError(
            "PROPYLON_STORE=memory:// forgets the accounts whose sessions PROPYLON_SESSION_STORE would keep: give it an"
            " SQLite file such as sqlite:///propylon.db, or a PostgreSQL database."
        )


def is_postgres(url: str) -> bool:
    """Return whether the URL names a PostgreSQL database, in either of the spellings that its own tools know."""
    return url.startswith(POSTGRES_PREFIXES)


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


def _scheme(url: str) -> str:
    return url.partition(":")[0]


def _unknown(url: str) -> str:
    # Only the scheme is repeated: what follows may hold a password.
    return (
        f"PROPYLON_STORE names a kind of store that does not exist, {_scheme(url)[:20]!r}: give memory://,"
        " sqlite:///relative.db, sqlite:////absolute.db or postgresql://user:password@host:5432/database."
    )
