"""Statements over all columns of a session, in SQLite's words."""

from __future__ import annotations

from propylon.stores.rows import (
    CHANGING,
    SESSION_COLUMNS,
    USER_COLUMNS,
    changing_values,
    fixed_values,
    session_of,
    user_of,
    user_values,
)

__all__ = [
    "DEADLINE",
    "INSERT_SESSION",
    "SESSION_COLUMNS",
    "UPDATE_SESSION",
    "USER_COLUMNS",
    "changing_values",
    "fixed_values",
    "session_of",
    "user_of",
    "user_values",
]

# ruff: noqa: S608 - only names of columns are put into the queries, never values
INSERT_SESSION = (
    f"INSERT INTO sessions ({SESSION_COLUMNS}) VALUES ({', '.join('?' * len(SESSION_COLUMNS.split(', ')))})"
)
UPDATE_SESSION = f"UPDATE sessions SET ({CHANGING}) = ({', '.join('?' * len(CHANGING.split(', ')))}) WHERE id = ?"

#: Of a session that has not ended: until when it lives. Written exactly as in the index.
DEADLINE = "min(expires_at, last_seen_at + idle_ttl_s)"
