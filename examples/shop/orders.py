"""Orders, in the shop's own SQLite file.

One key places one order, and one cart is ordered once. Both are rules of the table, so neither a double click, nor a
repeat after a lost answer, nor two tabs, nor a crash between the order and the emptying of the cart can break them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from propylon.errors import RuleRefused, StoreUnavailable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    cart TEXT NOT NULL UNIQUE,
    lines TEXT NOT NULL,
    total_krw INTEGER NOT NULL,
    placed_at INTEGER NOT NULL DEFAULT (unixepoch()),
    UNIQUE (user_id, idempotency_key)
) STRICT
"""
_COLUMNS = "number, cart, lines, total_krw, placed_at"
BUSY_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Order:
    """One order, and the cart that it was made of. ``placed_at`` is in epoch seconds."""

    number: int
    cart: str
    lines: dict[str, int]
    total_krw: int
    placed_at: int


class Orders:
    """Everybody's orders; each method sees one user's alone. Blocking: call it from a thread.

    Raises:
        StoreUnavailable: the file is locked, full or read-only; nothing was placed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._database() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(_SCHEMA)

    def of(self, user_id: str) -> list[Order]:
        """Return the user's orders, newest first."""
        return self._select("user_id = ? ORDER BY number DESC", user_id)

    def place(self, user_id: str, key: str, cart: str, lines: dict[str, int], total_krw: int) -> tuple[Order, bool]:
        """Place an order, or return the one that this key, or else this cart, placed before; and whether it is new.

        Raises:
            RuleRefused: there is nothing to order.
        """
        is_new = bool(lines) and self._insert(user_id, key, cart, json.dumps(lines), total_krw)
        placed = self._select("user_id = ? AND idempotency_key = ?", user_id, key) or self._select("cart = ?", cart)
        if not placed:
            raise RuleRefused(errors=(("cart", "required", {}),))
        return placed[0], is_new

    def _insert(self, *values: str | int) -> bool:
        statement = (
            "INSERT INTO orders (user_id, idempotency_key, cart, lines, total_krw) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING"
        )
        with self._database() as database:
            return database.execute(statement, values).rowcount == 1

    def _select(self, condition: str, *values: str) -> list[Order]:
        query = f"SELECT {_COLUMNS} FROM orders WHERE {condition}"  # noqa: S608 - our own text
        with self._database() as database:
            rows = database.execute(query, values).fetchall()
        return [Order(number, cart, json.loads(lines), *rest) for number, cart, lines, *rest in rows]

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as database:
                yield database
        except sqlite3.OperationalError as error:
            raise StoreUnavailable from error
