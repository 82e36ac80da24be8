"""What all nodes agree on, on SQLite: signing keys and settings."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import sqlite3

from propylon.ports import StoredKey
from propylon.stores.sqlite.aftermath import Aftermath, Here
from propylon.stores.sqlite.database import Database

_KEYS = "SELECT kid, alg, sealed, sealed_with, created_at, retired_at FROM signing_keys ORDER BY seq"
_ADD_KEY = """
INSERT INTO signing_keys (kid, alg, sealed, sealed_with, created_at, retired_at) VALUES (?, ?, ?, ?, ?, ?)
"""
_WRITE = "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)"


class SigningKeyTable(Database):
    """``propylon.ports.SigningKeyStore``, on SQLite."""

    _aftermath: Aftermath = Here()

    async def signing_keys(self) -> list[StoredKey]:
        return [_key_of(*row) for row in self._read_all(_KEYS, ())]

    async def publish_key(self, key: StoredKey, *, replaces: str | None) -> bool:
        return await self._write(_publish, self._aftermath, key, replaces)

    async def drop_keys(self, retired_before: int) -> int:
        return await self._write(_drop, self._aftermath, retired_before)


class Settings(Database):
    """``propylon.ports.SettingStore``, on SQLite."""

    _aftermath: Aftermath = Here()

    async def read_setting(self, name: str) -> str | None:
        row = self._read_one("SELECT value FROM settings WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    async def write_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        return await self._write(_write_setting, self._aftermath, name, value, expected)


def _key_of(kid: str, alg: str, sealed: bytes, sealed_with: str, created_at: int, retired_at: int | None) -> StoredKey:
    return StoredKey(
        kid=kid, alg=alg, sealed=sealed, sealed_with=sealed_with, created_at=created_at, retired_at=retired_at
    )


def _publish(db: sqlite3.Connection, aftermath: Aftermath, key: StoredKey, replaces: str | None) -> bool:
    known: dict[str, int | None] = dict(db.execute("SELECT kid, retired_at FROM signing_keys"))
    signing = next((kid for kid, retired_at in known.items() if retired_at is None), None)
    if signing != replaces or key.kid in known:
        return False
    db.execute("UPDATE signing_keys SET retired_at = ? WHERE retired_at IS NULL", (key.created_at,))
    db.execute(_ADD_KEY, (key.kid, key.alg, key.sealed, key.sealed_with, key.created_at, key.retired_at))
    aftermath.agreed(db, "keys_changed")
    return True


def _drop(db: sqlite3.Connection, aftermath: Aftermath, retired_before: int) -> int:
    dropped = db.execute("DELETE FROM signing_keys WHERE retired_at < ?", (retired_before,)).rowcount
    if dropped:
        aftermath.agreed(db, "keys_changed")
    return dropped


def _write_setting(db: sqlite3.Connection, aftermath: Aftermath, name: str, value: str, expected: str | None) -> bool:
    row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    if (None if row is None else row[0]) != expected:
        return False
    db.execute(_WRITE, (name, value))
    aftermath.agreed(db, "mode_changed")
    return True
