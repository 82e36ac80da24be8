"""Tables of another system's database, SQLite or PostgreSQL: read, never written, never locked for long."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final, Protocol

from propylon.errors import SetupError

CONNECT_TIMEOUT_S: Final = 10.0
QUERY_TIMEOUT_S: Final = 60.0

# What SQLAlchemy calls its databases: the driver is its own affair.
_DRIVER: Final = re.compile(r"^(sqlite|postgresql|postgres)\+[a-z0-9]+:")
_SQLITE: Final = "sqlite:///"

Row = Mapping[str, Any]


class Tables(Protocol):
    """A database, read."""

    async def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns; none where there is no such table."""

    async def rows(self, query: str, *values: object) -> Sequence[Row]:
        """Return the rows of a query whose values are called ``$1``, ``$2``."""


@asynccontextmanager
async def tables_of(url: str) -> AsyncIterator[Tables]:
    """Open the database that a URL names, in Django's, SQLAlchemy's or our spelling.

    Raises:
        SetupError: there is no such kind of database, or it cannot be read.
    """
    plain = _DRIVER.sub(r"\1:", url)
    if plain.startswith(_SQLITE):
        with closing(_opened(Path(plain.removeprefix(_SQLITE)))) as db:
            yield _SqliteTables(db)
    elif plain.startswith(("postgresql://", "postgres://")):
        db = await _connected(plain)
        try:
            yield _PostgresTables(db)
        finally:
            await db.close()
    else:
        raise SetupError("import_url")


def _opened(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise SetupError("import_database", reason=str(error)) from None
    db.row_factory = sqlite3.Row
    return db


async def _connected(url: str) -> Any:
    try:
        import asyncpg  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as missing:
        raise SetupError("driver_missing", kind="PostgreSQL", package=repr(missing.name), extra="postgres") from missing
    try:
        return await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, command_timeout=QUERY_TIMEOUT_S, server_settings=_READ_ONLY
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        # Nothing of the address is repeated: it may hold a password.
        raise SetupError("import_database", reason=type(error).__name__) from None


_READ_ONLY: Final = {"default_transaction_read_only": "on"}


class _SqliteTables:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def columns(self, table: str) -> set[str]:
        return {row["name"] for row in await self.rows("SELECT name FROM pragma_table_info($1)", table)}

    async def rows(self, query: str, *values: object) -> Sequence[Row]:
        try:
            return [dict(row) for row in self._db.execute(query.replace("$", "?"), values)]
        except sqlite3.Error as error:
            raise SetupError("import_database", reason=str(error)) from None


class _PostgresTables:
    def __init__(self, db: Any) -> None:
        self._db = db

    async def columns(self, table: str) -> set[str]:
        found = await self.rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            f'"{table}"',
        )
        return {row["attname"] for row in found}

    async def rows(self, query: str, *values: object) -> Sequence[Row]:
        import asyncpg  # noqa: PLC0415 - an extra, and here it is installed

        try:
            return [dict(row) for row in await self._db.fetch(query, *values)]
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise SetupError("import_database", reason=type(error).__name__) from None
