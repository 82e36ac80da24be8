"""Accounts on PostgreSQL."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from propylon.core.principal import User
from propylon.core.session import Ending
from propylon.stores.coalescing import Coalescer
from propylon.stores.postgres.aftermath import Aftermath
from propylon.stores.postgres.database import findable
from propylon.stores.postgres.feed import Feed
from propylon.stores.postgres.rows import account_of, account_values, numbered, spelled_name
from propylon.stores.rows import USER_COLUMNS

# ruff: noqa: S608 - only names of columns are put into the queries, never values
_FIND = f"SELECT {USER_COLUMNS} FROM users WHERE id = any($1::text[])"
_FIND_BY_EMAIL = f"SELECT {USER_COLUMNS} FROM users WHERE email_key = $1"
_LIST = f"SELECT {USER_COLUMNS} FROM users WHERE email_key > $1 ORDER BY email_key LIMIT $2"
_ADD = f"INSERT INTO users ({USER_COLUMNS}) VALUES ({numbered(USER_COLUMNS)}) ON CONFLICT DO NOTHING RETURNING 1"
_REHASH = "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3 RETURNING 1"
_RENAME = "UPDATE users SET name = $1 WHERE id = $2 RETURNING security_version"
_NEW_HASH = """
UPDATE users SET password_hash = $1, security_version = security_version + 1
WHERE id = $2 AND security_version = $3 RETURNING security_version
"""
_ENABLE = "UPDATE users SET disabled_at = NULL WHERE id = $1 RETURNING security_version"
_DISABLE = """
UPDATE users SET disabled_at = coalesce(disabled_at, $1), security_version = security_version + 1
WHERE id = $2 RETURNING security_version
"""


class Users(Feed):
    """``propylon.ports.UserReader`` and ``UserWriter``, on PostgreSQL."""

    _aftermath: Aftermath

    def __init__(self, url: str, *, max_silence_s: float, followed: bool) -> None:
        super().__init__(url, max_silence_s=max_silence_s, followed=followed)
        self._users = Coalescer(self._find_users)

    async def find_user(self, user_id: str) -> User | None:
        return await self._users.find(findable(user_id))

    async def find_user_by_email(self, email_key: str) -> User | None:
        row = await self._fetch_one(_FIND_BY_EMAIL, findable(email_key))
        return None if row is None else account_of(row)

    async def list_users(self, after: str, limit: int) -> list[User]:
        return [account_of(row) for row in await self._fetch(_LIST, after, limit)]

    async def add_user(self, user: User) -> bool:
        return await self._change(_ADD, *account_values(user)) != []

    async def rename_user(self, user_id: str, name: str) -> bool:
        return await self._changed(_RENAME, spelled_name(name), user_id)

    async def rehash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        return await self._change(_REHASH, new_hash, user_id, old_hash) != []

    async def replace_password(
        self, user: User, new_hash: str, ending: Ending, *, keep: str | None, feed_ttl_s: int
    ) -> bool:
        # By the version, not by the hash: a stronger hash of the same password may have come in between.
        values = (new_hash, user.id, user.security_version)
        return await self._ended(_NEW_HASH, values, user.id, ending, keep, feed_ttl_s)

    async def enable_user(self, user_id: str, *, disabled: Ending | None, feed_ttl_s: int) -> bool:
        if disabled is None:
            return await self._changed(_ENABLE, user_id)
        return await self._ended(_DISABLE, (disabled.at, user_id), user_id, disabled, None, feed_ttl_s)

    async def _changed(self, statement: str, *values: str) -> bool:
        """Change the account that the last value names; its sessions live on."""

        async def work(db: Any) -> bool:
            version = await db.fetchval(statement, *values)
            if version is not None:
                await self._aftermath.changed(db, values[-1], version)
            return version is not None

        return await self._told(await self._write(work))

    async def _ended(
        self,
        statement: str,
        values: tuple[object, ...],
        user_id: str,
        ending: Ending,
        keep: str | None,
        feed_ttl_s: int,
    ) -> bool:
        """Change the account, which locks it against sign-ins, and end its sessions."""

        async def work(db: Any) -> bool:
            version = await db.fetchval(statement, *values)
            if version is not None:
                # In statements of their own: they see the sessions of sign-ins that held the lock before.
                await self._aftermath.ended(db, user_id, version, ending, keep=keep, feed_ttl_s=feed_ttl_s)
            return version is not None

        return await self._told(await self._write(work))

    async def _find_users(self, user_ids: Sequence[str]) -> Mapping[str, User]:
        return {row[0]: account_of(row) for row in await self._fetch(_FIND, user_ids)}
