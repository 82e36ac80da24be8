"""Keeps: one module a backend, chosen by the store's URL and imported only then."""

from __future__ import annotations

from pathlib import Path

from propylon.errors import SetupError
from propylon.ports import Store

__all__ = ["is_shared", "make_store", "sqlite_path"]

MEMORY_URL = "memory://"
SQLITE_PREFIX = "sqlite:///"


def make_store(url: str) -> Store:
    """Return the store that ``url`` names, not opened yet.

    Args:
        url: ``memory://``, ``sqlite:///relative.db`` or ``sqlite:////absolute.db``.

    Raises:
        SetupError: there is no such kind of store, or no file is named.
    """
    path = sqlite_path(url)
    if path is not None:
        from propylon.stores.sqlite import SqliteStore  # noqa: PLC0415 - only the driver that is used

        return SqliteStore(path)
    if url != MEMORY_URL:
        raise SetupError(_unknown(url))
    from propylon.stores.memory import MemoryStore  # noqa: PLC0415 - likewise

    return MemoryStore()


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
    if name in ("", url) or name.startswith((":", "file:")) or "?" in name:
        raise SetupError("An SQLite store is written sqlite:///relative.db or sqlite:////absolute.db, without options.")
    return Path(name)


def _unknown(url: str) -> str:
    # Only the scheme is repeated: what follows may hold a password.
    scheme = url.partition(":")[0][:20]
    return (
        f"There is no store of the kind {scheme!r}; memory://, sqlite:///relative.db and sqlite:////absolute.db exist."
    )
