"""Failures on SQLite, counted for all processes together."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from propylon.core import throttle
from propylon.core.throttle import Pace, Tally
from propylon.stores.sqlite.database import Database

_FIND = "SELECT failures, last_at FROM tallies WHERE key = ?"
_WRITE = "INSERT OR REPLACE INTO tallies (key, failures, last_at, expires_at) VALUES (?, ?, ?, ?)"
_DROP_FORGOTTEN = "DELETE FROM tallies WHERE key IN (SELECT key FROM tallies WHERE expires_at <= ? LIMIT ?)"


class Tallies(Database):
    """``propylon.ports.Throttle``, on SQLite."""

    async def wait_s(self, keys: Sequence[tuple[str, Pace]], now: int) -> int:
        waits = (throttle.wait_s(self._tally(key), pace, now) for key, pace in keys)
        return max(waits, default=0)

    async def add_failure(self, keys: Sequence[tuple[str, Pace]], now: int) -> None:
        await self._write(_add, tuple(keys), now)

    async def forget_failures(self, key: str) -> None:
        # Nearly every sign-in follows no failure, and then nothing has to be written.
        if self._read_one(_FIND, (key,)) is not None:
            await self._write(_forget, key)

    def _tally(self, key: str) -> Tally:
        row = self._read_one(_FIND, (key,))
        return Tally() if row is None else Tally(*row)


def drop_forgotten(db: sqlite3.Connection, now: int, limit: int) -> int:
    """Remove tallies of which nothing counts any more; return how many, at most ``limit``."""
    return db.execute(_DROP_FORGOTTEN, (now, limit)).rowcount


def _add(db: sqlite3.Connection, keys: tuple[tuple[str, Pace], ...], now: int) -> None:
    for key, pace in keys:
        row = db.execute(_FIND, (key,)).fetchone()
        tally = throttle.failed(Tally() if row is None else Tally(*row), pace, now)
        db.execute(_WRITE, (key, tally.failures, tally.last_at, throttle.forgotten_at(tally, pace)))


def _forget(db: sqlite3.Connection, key: str) -> None:
    db.execute("DELETE FROM tallies WHERE key = ?", (key,))
