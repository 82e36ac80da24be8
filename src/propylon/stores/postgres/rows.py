"""Statements over all columns, in PostgreSQL's words, and what differs in its rows."""

from __future__ import annotations

import msgspec

from propylon.core.principal import User
from propylon.stores.rows import CHANGING, SESSION_COLUMNS, Row, user_of, user_values


def numbered(columns: str) -> str:
    """Return a placeholder for each of the columns."""
    return ", ".join(f"${number}" for number, _ in enumerate(columns.split(", "), start=1))


# ruff: noqa: S608 - only names of columns are put into the queries, never values
INSERT_SESSION = f"INSERT INTO sessions ({SESSION_COLUMNS}) VALUES ({numbered(SESSION_COLUMNS)})"
UPDATE_SESSION = (
    f"UPDATE sessions SET ({CHANGING}) = ({numbered(CHANGING)}) WHERE id = ${len(CHANGING.split(', ')) + 1}"
)

#: Of a session that has not ended: until when it lives. Written exactly as in the index.
DEADLINE = "least(expires_at, last_seen_at + idle_ttl_s)"

# The fourth column is the name, which may hold a NUL: text in PostgreSQL cannot, JSON spells it out.
_NAME = 3


def account_of(row: Row) -> User:
    """Return the account of a row of ``USER_COLUMNS``."""
    values = list(row)
    values[_NAME] = msgspec.json.decode(values[_NAME])
    return user_of(values)


def account_values(user: User) -> list[object]:
    """Return an account in the order of the columns."""
    values = list(user_values(user))
    values[_NAME] = spelled_name(user.name)
    return values


def spelled_name(name: str) -> str:
    """Return a name as it is kept."""
    return msgspec.json.encode(name).decode()
