"""What follows from a change of an account: here, or in another store that keeps the sessions.

Either way it is written in the transaction of the change itself, which holds the lock of the account.
"""

# ruff: noqa: D102 - Aftermath says what each method means
from __future__ import annotations

from typing import Any, Literal, Protocol

from propylon.core.session import Ending
from propylon.ports import AccountChange
from propylon.stores.outbox import spelled
from propylon.stores.postgres.endings import announce, end_all

_ADD = "INSERT INTO outbox (change) VALUES ($1)"


class Aftermath(Protocol):
    """What follows from a change."""

    async def agreed(self, db: Any, subject: Literal["keys_changed", "mode_changed"]) -> None:
        """Tell everybody that what all nodes agree on has changed."""

    async def changed(self, db: Any, user_id: str, version: int) -> None:
        """Tell everybody that an account is another now; its sessions live on."""

    async def ended(
        self, db: Any, user_id: str, version: int, ending: Ending, *, keep: str | None, feed_ttl_s: int
    ) -> None:
        """Tell everybody, and end all sessions of the account but ``keep``."""


class Here:
    """The sessions are in the same database: they end now."""

    async def agreed(self, db: Any, subject: Literal["keys_changed", "mode_changed"]) -> None:
        await announce(db, subject)

    async def changed(self, db: Any, user_id: str, version: int) -> None:  # noqa: ARG002 - for the outbox
        await announce(db, "user_changed", user_id)

    async def ended(
        self,
        db: Any,
        user_id: str,
        version: int,  # noqa: ARG002 - likewise
        ending: Ending,
        *,
        keep: str | None,
        feed_ttl_s: int,
    ) -> None:
        await announce(db, "user_changed", user_id)
        await end_all(db, user_id, ending, keep, feed_ttl_s)


class Elsewhere:
    """The sessions are in another store: it is told through the outbox."""

    async def agreed(self, db: Any, subject: Literal["keys_changed", "mode_changed"]) -> None:
        await _put(db, AccountChange(position=0, subject=subject))

    async def changed(self, db: Any, user_id: str, version: int) -> None:
        await _put(db, AccountChange(position=0, subject="user_changed", user_id=user_id, security_version=version))

    async def ended(
        self, db: Any, user_id: str, version: int, ending: Ending, *, keep: str | None, feed_ttl_s: int
    ) -> None:
        change = AccountChange(
            position=0,
            subject="user_changed",
            user_id=user_id,
            security_version=version,
            ending=ending,
            keep=keep,
            feed_ttl_s=feed_ttl_s,
        )
        await _put(db, change)


async def _put(db: Any, change: AccountChange) -> None:
    await db.execute(_ADD, spelled(change))
