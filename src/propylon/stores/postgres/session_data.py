"""The apps' data of a session, on PostgreSQL: a JSON object and its version, written by compare-and-swap."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

from typing import Any

import msgspec

from propylon.core.principal import SessionData
from propylon.stores.postgres.database import Database, findable

_READ = "SELECT value, version FROM session_data WHERE session_id = $1"

# One statement compares and writes: whoever waited for the row compares with what it has become.
_REPLACE = """
INSERT INTO session_data AS held (session_id, value, version)
SELECT id, $2, 1 FROM sessions
WHERE id = $1 AND ended_at IS NULL
AND ($3::bigint IS NULL OR $3 = 0 OR EXISTS (SELECT 1 FROM session_data WHERE session_id = $1))
ON CONFLICT (session_id) DO UPDATE SET value = excluded.value, version = held.version + 1
WHERE $3 IS NULL OR held.version = $3
RETURNING version
"""


class SessionDataTable(Database):
    """``propylon.ports.SessionDataStore``, on PostgreSQL."""

    async def read_data(self, session_id: str) -> SessionData:
        row = await self._fetch_one(_READ, findable(session_id))
        return SessionData({}, 0) if row is None else SessionData(msgspec.json.decode(row[0]), row[1])

    async def replace_data(self, session_id: str, value: dict[str, Any], expected: int | None) -> int | None:
        rows = await self._change(_REPLACE, findable(session_id), msgspec.json.encode(value), expected)
        return rows[0][0] if rows else None
