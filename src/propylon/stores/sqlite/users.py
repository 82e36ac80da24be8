"""Accounts on SQLite."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import sqlite3

from propylon.core.principal import User
from propylon.core.session import Ending
from propylon.stores.sqlite.aftermath import Aftermath, Here
from propylon.stores.sqlite.database import Database
from propylon.stores.sqlite.rows import USER_COLUMNS, user_of, user_values

# ruff: noqa: S608 - only names of columns are put into the queries, never values
_FIND = f"SELECT {USER_COLUMNS} FROM users WHERE id = ?"
_FIND_BY_EMAIL = f"SELECT {USER_COLUMNS} FROM users WHERE email_key = ?"
_LIST = f"SELECT {USER_COLUMNS} FROM users WHERE email_key > ? ORDER BY email_key LIMIT ?"
_ADD = f"""
INSERT INTO users ({USER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_REHASH = "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?"
_NEW_HASH = """
UPDATE users SET password_hash = ?, security_version = security_version + 1
WHERE id = ? AND security_version = ?
"""
_ENABLE = "UPDATE users SET disabled_at = NULL WHERE id = ?"
_DISABLE = """
UPDATE users SET disabled_at = coalesce(disabled_at, ?), security_version = security_version + 1 WHERE id = ?
"""


class Users(Database):
    """``propylon.ports.UserReader`` and ``UserWriter``, on SQLite."""

    _aftermath: Aftermath = Here()

    async def find_user(self, user_id: str) -> User | None:
        row = self._read_one(_FIND, (user_id,))
        return None if row is None else user_of(row)

    async def find_user_by_email(self, email_key: str) -> User | None:
        row = self._read_one(_FIND_BY_EMAIL, (email_key,))
        return None if row is None else user_of(row)

    async def list_users(self, after: str, limit: int) -> list[User]:
        return [user_of(row) for row in self._read_all(_LIST, (after, limit))]

    async def add_user(self, user: User) -> bool:
        return await self._write(_changed, _ADD, user_values(user))

    async def rename_user(self, user_id: str, name: str) -> bool:
        return await self._write(_rename, self._aftermath, user_id, name)

    async def rehash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        return await self._write(_changed, _REHASH, (new_hash, user_id, old_hash))

    async def replace_password(
        self, user: User, new_hash: str, ending: Ending, *, keep: str | None, feed_ttl_s: int
    ) -> bool:
        return await self._write(_replace_password, self._aftermath, user, new_hash, ending, keep, feed_ttl_s)

    async def enable_user(self, user_id: str, *, disabled: Ending | None, feed_ttl_s: int) -> bool:
        if disabled is None:
            return await self._write(_enable, self._aftermath, user_id)
        return await self._write(_disable, self._aftermath, user_id, disabled, feed_ttl_s)


def _changed(db: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> bool:
    return db.execute(statement, values).rowcount == 1


def _rename(db: sqlite3.Connection, aftermath: Aftermath, user_id: str, name: str) -> bool:
    if not _changed(db, "UPDATE users SET name = ? WHERE id = ?", (name, user_id)):
        return False
    aftermath.changed(db, user_id)
    return True


def _replace_password(
    db: sqlite3.Connection,
    aftermath: Aftermath,
    user: User,
    new_hash: str,
    ending: Ending,
    keep: str | None,
    feed_ttl_s: int,
) -> bool:
    # By the version, not by the hash: a stronger hash of the same password may have come in between.
    if not _changed(db, _NEW_HASH, (new_hash, user.id, user.security_version)):
        return False
    aftermath.ended(db, user.id, ending, keep=keep, feed_ttl_s=feed_ttl_s)
    return True


def _enable(db: sqlite3.Connection, aftermath: Aftermath, user_id: str) -> bool:
    if not _changed(db, _ENABLE, (user_id,)):
        return False
    aftermath.changed(db, user_id)
    return True


def _disable(db: sqlite3.Connection, aftermath: Aftermath, user_id: str, ending: Ending, feed_ttl_s: int) -> bool:
    if not _changed(db, _DISABLE, (ending.at, user_id)):
        return False
    aftermath.ended(db, user_id, ending, keep=None, feed_ttl_s=feed_ttl_s)
    return True
