"""What all nodes agree on, on PostgreSQL: signing keys and settings."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

from typing import Any

from propylon.ports import StoredKey
from propylon.stores.postgres.aftermath import Aftermath
from propylon.stores.postgres.feed import Feed

_KEYS = "SELECT kid, alg, sealed, sealed_with, created_at, retired_at FROM signing_keys ORDER BY seq"
# Readers go on; of those that change keys one at a time does.
_LOCK_KEYS = "LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE"
_ADD_KEY = """
INSERT INTO signing_keys (kid, alg, sealed, sealed_with, created_at, retired_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
_RETIRE = "UPDATE signing_keys SET retired_at = $1 WHERE retired_at IS NULL"
_DROP = "DELETE FROM signing_keys WHERE retired_at < $1 RETURNING 1"
_FIRST = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1"
_NEXT = "UPDATE settings SET value = $2 WHERE name = $1 AND value = $3 RETURNING 1"


class SigningKeyTable(Feed):
    """``propylon.ports.SigningKeyStore``, on PostgreSQL."""

    _aftermath: Aftermath

    async def signing_keys(self) -> list[StoredKey]:
        return [_key_of(*row) for row in await self._fetch(_KEYS)]

    async def publish_key(self, key: StoredKey, *, replaces: str | None) -> bool:
        return await self._told(await self._write(_publish, self._aftermath, key, replaces))

    async def drop_keys(self, retired_before: int) -> int:
        return await self._told(await self._write(_drop, self._aftermath, retired_before))


class Settings(Feed):
    """``propylon.ports.SettingStore``, on PostgreSQL."""

    _aftermath: Aftermath

    async def read_setting(self, name: str) -> str | None:
        row = await self._fetch_one("SELECT value FROM settings WHERE name = $1", name)
        return None if row is None else str(row[0])

    async def write_setting(self, name: str, value: str, *, expected: str | None) -> bool:
        return await self._told(await self._write(_write_setting, self._aftermath, name, value, expected))


def _key_of(kid: str, alg: str, sealed: bytes, sealed_with: str, created_at: int, retired_at: int | None) -> StoredKey:
    return StoredKey(
        kid=kid, alg=alg, sealed=sealed, sealed_with=sealed_with, created_at=created_at, retired_at=retired_at
    )


async def _publish(db: Any, aftermath: Aftermath, key: StoredKey, replaces: str | None) -> bool:
    await db.execute(_LOCK_KEYS)
    known: dict[str, int | None] = dict(await db.fetch("SELECT kid, retired_at FROM signing_keys"))
    signing = next((kid for kid, retired_at in known.items() if retired_at is None), None)
    if signing != replaces or key.kid in known:
        return False
    await db.execute(_RETIRE, key.created_at)
    await db.execute(_ADD_KEY, key.kid, key.alg, key.sealed, key.sealed_with, key.created_at, key.retired_at)
    await aftermath.agreed(db, "keys_changed")
    return True


async def _drop(db: Any, aftermath: Aftermath, retired_before: int) -> int:
    dropped = await db.fetch(_DROP, retired_before)
    if dropped:
        await aftermath.agreed(db, "keys_changed")
    return len(dropped)


async def _write_setting(db: Any, aftermath: Aftermath, name: str, value: str, expected: str | None) -> bool:
    written = await (db.fetch(_FIRST, name, value) if expected is None else db.fetch(_NEXT, name, value, expected))
    if not written:
        return False
    await aftermath.agreed(db, "mode_changed")
    return True
