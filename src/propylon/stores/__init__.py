"""Keeps: one module a backend, chosen by the store's URL and imported only then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from propylon.errors import SetupError
from propylon.ports import Store

if TYPE_CHECKING:
    from propylon.stores.inspection import Inspection
    from propylon.stores.migrations import Migration

__all__ = ["bring_up_to_date", "inspect", "is_shared", "make_store", "sqlite_path"]

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
        raise _unknown(url)
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
    if name == url or not Path(name).name or name.startswith((":", "file:")) or "?" in name:
        raise SetupError("store_url_sqlite")
    return Path(name)


def bring_up_to_date(url: str) -> list[Migration]:
    """Apply the migrations that the store still lacks, making it first where there is none; return them.

    Raises:
        SetupError: there is no such kind of store, it cannot be used, or it is of a newer Propylon.
    """
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
    path = sqlite_path(url)
    if path is None:
        make_store(url)
        from propylon.stores.inspection import Inspection  # noqa: PLC0415 - as for the drivers

        return Inspection(exists=False)
    from propylon.stores.sqlite import schema  # noqa: PLC0415 - only the driver that is used

    return schema.inspect(path)


def _unknown(url: str) -> SetupError:
    # Only the scheme is repeated: what follows may hold a password.
    scheme = url.partition(":")[0][:20]
    if scheme in ("redis", "rediss", "valkey"):
        return SetupError("store_url_redis")
    return SetupError("store_url_unknown", scheme=repr(scheme))
