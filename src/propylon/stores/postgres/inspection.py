"""A look at the server from outside: what it would take to write is undone, and nothing stays."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from propylon.stores.postgres.place import FAILURES, SCHEMA, cannot_be_used, connect, never_lose_a_commit
from propylon.stores.server import PostgresSettings, Server, is_local

HEAR_WITHIN_S = 2.0

_SETTINGS = """
SELECT current_setting('server_version') AS version, current_setting('fsync') = 'on' AS fsync,
    current_setting('full_page_writes') = 'on' AS full_page_writes,
    current_setting('synchronous_commit') <> 'off' AS synchronous_commit,
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted
"""
_COMMITS = "SELECT current_setting('synchronous_commit') <> 'off'"
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"


def inspect(url: str) -> Server:
    """Look at the server, and see that it can be written to. Not to be called on an event loop.

    Raises:
        SetupError: the database cannot be used.
    """
    return asyncio.run(_inspected(url))


async def _inspected(url: str) -> Server:
    try:
        db = await connect(url)
        try:
            return await _seen(db)
        finally:
            db.terminate()
    except (*FAILURES, ValueError) as error:
        raise cannot_be_used(url, error) from error


async def _seen(db: Any) -> Server:
    told = await db.fetchrow(_SETTINGS)
    await never_lose_a_commit(db)
    await _see_that_it_writes(db)
    host, port = _address(db)
    return Server(
        place=f"{host}:{port}" if port else host,
        local=is_local(host),
        encrypted=told["encrypted"],
        guarded=True,  # its own pg_hba.conf says how, and nobody can ask
        version=told["version"],
        ahead_s=await _ahead_s(db),
        heard_after_ms=await _heard_after_ms(db),
        postgres=PostgresSettings(
            fsync=told["fsync"],
            full_page_writes=told["full_page_writes"],
            synchronous_commit=told["synchronous_commit"],
            kept_on=await db.fetchval(_COMMITS),
        ),
    )


async def _see_that_it_writes(db: Any) -> None:
    if await db.fetchval("SELECT to_regclass($1) IS NULL", f"{SCHEMA}.heartbeat"):
        return
    transaction = db.transaction()
    await transaction.start()
    try:
        await db.execute("UPDATE heartbeat SET beats = beats + 1")
    finally:
        await transaction.rollback()


async def _ahead_s(db: Any) -> float:
    asked_at = time.time()
    theirs = await db.fetchval(_CLOCK)
    return float(theirs - (asked_at + time.time()) / 2)


async def _heard_after_ms(db: Any) -> float:
    """Notify a channel that nobody else knows, and return when that was heard."""
    channel = f"propylon_doctor_{secrets.token_hex(8)}"
    heard = asyncio.Event()
    await db.add_listener(channel, lambda *_: heard.set())
    started = time.perf_counter()
    await db.execute(f"NOTIFY {channel}")
    async with asyncio.timeout(HEAR_WITHIN_S):
        await heard.wait()
    return (time.perf_counter() - started) * 1000


def _address(db: Any) -> tuple[str, int]:
    address = db._addr  # noqa: SLF001 - of several hosts in the URL, the one that was reached; nothing else tells
    return (address, 0) if isinstance(address, str) else (address[0], address[1])
