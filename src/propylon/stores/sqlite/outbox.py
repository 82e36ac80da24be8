"""The outbox on SQLite: changes of accounts until the store of sessions has applied them."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from propylon.ports import AccountChange
from propylon.stores.outbox import change_of
from propylon.stores.sqlite.database import Database

_PENDING = "SELECT position, change FROM outbox ORDER BY position LIMIT ?"
_FORGET = "DELETE FROM outbox WHERE position = ?"


class OutboxTable(Database):
    """``propylon.ports.Outbox``, on SQLite."""

    async def pending_changes(self, limit: int) -> list[AccountChange]:
        return [change_of(*row) for row in self._read_all(_PENDING, (limit,))]

    async def forget_changes(self, positions: Sequence[int]) -> None:
        await self._write(_forget, tuple(positions))


def _forget(db: sqlite3.Connection, positions: tuple[int, ...]) -> None:
    db.executemany(_FORGET, [(position,) for position in positions])
