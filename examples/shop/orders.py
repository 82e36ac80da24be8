"""Orders, in the shop's own SQLite file."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    lines TEXT NOT NULL,
    total_krw INTEGER NOT NULL,
    placed_at INTEGER NOT NULL DEFAULT (unixepoch()),
    UNIQUE (user_id, idempotency_key)
) STRICT
"""


@dataclass(frozen=True, slots=True)
class Order:
    """One order. ``placed_at`` is in epoch seconds."""

    number: int
    lines: dict[str, int]
    total_krw: int
    placed_at: int


class Orders:
    """Everybody's orders; each method sees one user's alone. Blocking: call it from a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._connect()) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(_SCHEMA)

    def place(self, user_id: str, key: str, lines: dict[str, int], total_krw: int) -> Order:
        """Place an order, or return the one that this key has placed already."""
        with closing(self._connect()) as database:
            database.execute(
                "INSERT INTO orders (user_id, idempotency_key, lines, total_krw) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (user_id, key, json.dumps(lines), total_krw),
            )
        return self._select("user_id = ? AND idempotency_key = ?", user_id, key)[0]

    def find(self, user_id: str, key: str) -> Order | None:
        """Return the user's order of this key, if there is one."""
        return next(iter(self._select("user_id = ? AND idempotency_key = ?", user_id, key)), None)

    def of(self, user_id: str) -> list[Order]:
        """Return the user's orders, newest first."""
        return self._select("user_id = ? ORDER BY number DESC", user_id)

    def _select(self, condition: str, *values: str) -> list[Order]:
        query = f"SELECT number, lines, total_krw, placed_at FROM orders WHERE {condition}"  # noqa: S608 - our own text
        with closing(self._connect()) as database:
            rows = database.execute(query, values).fetchall()
        return [Order(number, json.loads(lines), total_krw, placed_at) for number, lines, total_krw, placed_at in rows]

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=5, isolation_level=None)
