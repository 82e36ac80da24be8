"""The schema of a database: brought up to date by ``propylon migrate``, or only looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from propylon.errors import SetupError
from propylon.ports import StoredKey
from propylon.stores.inspection import Inspection
from propylon.stores.migrations import HISTORY, Migration, missing_of, released
from propylon.stores.postgres.place import FAILURES, OLDEST_SERVER, SCHEMA, cannot_be_used, connect, shown

# Two numbers that nobody else's advisory locks in this database are likely to have; the second one's
# neighbour guards the order of the feed.
_LOCK = "SELECT pg_advisory_xact_lock(1886547824, 1)"

# Whoever comes second waits until the first has migrated.
_MIGRATION_TIMEOUT_S = 600.0
_PATIENT = "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0"

_SERVER = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"
_KEYS = "SELECT kid, alg, created_at, retired_at FROM signing_keys ORDER BY seq"


def bring_up_to_date(url: str) -> list[Migration]:
    """Apply what is missing, in one transaction; return what was applied. Not to be called on an event loop.

    Raises:
        SetupError: the database cannot be used, or is of a newer Propylon.
    """
    return asyncio.run(_migrated(url))


def inspect(url: str) -> Inspection:
    """Look at a database without changing anything in it. Not to be called on an event loop."""
    return asyncio.run(_inspected(url))


async def check(db: Any, url: str) -> None:
    """Raise ``SetupError`` where the server is too old, or the schema is not the one of this Propylon."""
    version, encoding = await db.fetchrow(_SERVER)
    if version < OLDEST_SERVER * 10_000 or encoding != "UTF8":
        raise SetupError(
            "postgres_server",
            store=shown(url),
            version=version // 10_000,
            encoding=encoding,
            oldest=OLDEST_SERVER,
        )
    missing = missing_of(await _history(db), released("postgres"))
    if missing:
        raise SetupError("store_behind", store=shown(url), missing=len(missing))


async def _migrated(url: str) -> list[Migration]:
    async with _connected(url) as db, db.transaction():
        await db.execute(_PATIENT)
        await db.execute(_LOCK)
        # Creating it needs a right that is not needed where an administrator has created it.
        if await db.fetchval("SELECT to_regnamespace($1) IS NULL", SCHEMA):
            await db.execute(f"CREATE SCHEMA {SCHEMA}")
        await db.execute(HISTORY)
        missing = missing_of(await _history(db), released("postgres"))
        for migration in missing:
            await _apply(db, migration)
        return missing


async def _apply(db: Any, migration: Migration) -> None:
    await db.execute(migration.text)
    await db.execute(
        "INSERT INTO migrations VALUES ($1, $2, $3, $4)",
        migration.version,
        migration.name,
        migration.checksum,
        int(time.time()),
    )


async def _history(db: Any) -> dict[int, str]:
    """Return the version and checksum of every migration that was applied."""
    if await db.fetchval("SELECT to_regclass($1) IS NULL", f"{SCHEMA}.migrations"):
        return {}
    return dict(await db.fetch("SELECT version, checksum FROM migrations"))


async def _inspected(url: str) -> Inspection:
    try:
        async with _connected(url) as db:
            return await _seen(db)
    except SetupError as error:
        return Inspection(exists=True, unreadable=error)


async def _seen(db: Any) -> Inspection:
    applied = await _history(db)
    if 1 not in applied:
        return Inspection(exists=bool(applied), applied=applied)
    settings = dict(await db.fetch("SELECT name, value FROM settings WHERE name IN ('server_keys', 'mode')"))
    return Inspection(
        exists=True,
        applied=applied,
        server_keys=settings.get("server_keys"),
        mode=settings.get("mode"),
        # Whoever only looks has no use for the sealed private part.
        signing_keys=tuple(
            StoredKey(kid=kid, alg=alg, sealed=b"", sealed_with="", created_at=created_at, retired_at=retired_at)
            for kid, alg, created_at, retired_at in await db.fetch(_KEYS)
        ),
    )


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    try:
        db = await connect(url, command_timeout=_MIGRATION_TIMEOUT_S)
        try:
            yield db
        finally:
            db.terminate()
    except (*FAILURES, ValueError) as error:
        raise cannot_be_used(url, error) from error
