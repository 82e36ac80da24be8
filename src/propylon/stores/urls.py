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
    # Only the scheme is repeated: what follows may hold a password.
    raise SetupError("store_url_unknown", scheme=repr(_scheme(url)[:20]))


def account_kind(url: str) -> Kind:
    """Return the kind of store that ``url`` names, for accounts.

    Raises:
        SetupError: there is no such kind, or it is not for accounts.
    """
    if _scheme(url).startswith(("redis", "valkey")) or kind_of(url) == "redis":
        raise SetupError("store_url_redis")
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
        raise SetupError("session_store_kind")
    if kind == "memory":
        raise SetupError("session_store_of_memory")


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
        raise SetupError("store_url_sqlite")
    return Path(name)


def _scheme(url: str) -> str:
    return url.partition(":")[0]
