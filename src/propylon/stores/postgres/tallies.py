"""Failures on PostgreSQL, counted for all nodes together."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from propylon.core import throttle
from propylon.core.throttle import Pace, Tally
from propylon.stores.postgres.database import Database

_FIND = "SELECT key, failures, last_at FROM tallies WHERE key = any($1::text[])"
# Makes the missing ones and locks all, in the order of their keys: two callers with the same keys take turns, and
# nobody's upkeep removes a row between the look and the write.
_LOCK = """
INSERT INTO tallies AS held (key, failures, last_at, expires_at)
SELECT key, 0, 0, 0 FROM unnest($1::text[]) AS key ORDER BY key COLLATE "C"
ON CONFLICT (key) DO UPDATE SET key = held.key
RETURNING key, failures, last_at
"""
_WRITE = "UPDATE tallies SET failures = $2, last_at = $3, expires_at = $4 WHERE key = $1"
DROP_FORGOTTEN = """
DELETE FROM tallies WHERE key IN (
    SELECT key FROM tallies WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING 1
"""


class Tallies(Database):
    """``propylon.ports.Throttle``, on PostgreSQL."""

    async def wait_s(self, keys: Sequence[tuple[str, Pace]], now: int) -> int:
        found = await self._fetch(_FIND, [key for key, _ in keys])
        tallies = {key: Tally(failures, last_at) for key, failures, last_at in found}
        return max((throttle.wait_s(tallies.get(key, Tally()), pace, now) for key, pace in keys), default=0)

    async def add_failure(self, keys: Sequence[tuple[str, Pace]], now: int) -> None:
        await self._write(_add, dict(keys), now)

    async def forget_failures(self, key: str) -> None:
        await self._change("DELETE FROM tallies WHERE key = $1", key)


async def _add(db: Any, paces: dict[str, Pace], now: int) -> None:
    for key, failures, last_at in await db.fetch(_LOCK, list(paces)):
        tally = throttle.failed(Tally(failures, last_at), paces[key], now)
        await db.execute(_WRITE, key, tally.failures, tally.last_at, throttle.forgotten_at(tally, paces[key]))
