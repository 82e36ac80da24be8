"""The apps' data of a session, on SQLite: a JSON object and its version, written by compare-and-swap."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from propylon.core.principal import SessionData
from propylon.stores.sqlite.database import Database

_VERSION = """
SELECT coalesce(version, 0) FROM sessions LEFT JOIN session_data ON session_id = id
WHERE id = ? AND ended_at IS NULL
"""
_WRITE = "INSERT OR REPLACE INTO session_data (session_id, value, version) VALUES (?, ?, ?)"


class SessionDataTable(Database):
    """``propylon.ports.SessionDataStore``, on SQLite."""

    async def read_data(self, session_id: str) -> SessionData:
        row = self._read_one("SELECT value, version FROM session_data WHERE session_id = ?", (session_id,))
        return SessionData({}, 0) if row is None else SessionData(msgspec.json.decode(row[0]), row[1])

    async def replace_data(self, session_id: str, value: dict[str, Any], expected: int | None) -> int | None:
        return await self._write(_replace, session_id, msgspec.json.encode(value), expected)


def _replace(db: sqlite3.Connection, session_id: str, value: bytes, expected: int | None) -> int | None:
    row = db.execute(_VERSION, (session_id,)).fetchone()
    if row is None or expected not in (None, row[0]):
        return None
    version: int = row[0] + 1
    db.execute(_WRITE, (session_id, value, version))
    return version
