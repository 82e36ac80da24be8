"""What follows from a change of an account: here, or in another store that keeps the sessions.

Either way it is written in the transaction of the change itself.
"""

# ruff: noqa: D102 - Aftermath says what each method means
from __future__ import annotations

import sqlite3
from typing import Literal, Protocol

from propylon.core.session import Ending
from propylon.ports import AccountChange
from propylon.stores.outbox import spelled
from propylon.stores.sqlite.feed import announce
from propylon.stores.sqlite.sessions import end_all

_VERSION = "SELECT security_version FROM users WHERE id = ?"
_ADD = "INSERT INTO outbox (change) VALUES (?)"


class Aftermath(Protocol):
    """What follows from a change."""

    def agreed(self, db: sqlite3.Connection, subject: Literal["keys_changed", "mode_changed"]) -> None:
        """Tell everybody that what all nodes agree on has changed."""

    def changed(self, db: sqlite3.Connection, user_id: str) -> None:
        """Tell everybody that an account is another now; its sessions live on."""

    def ended(self, db: sqlite3.Connection, user_id: str, ending: Ending, *, keep: str | None, feed_ttl_s: int) -> None:
        """Tell everybody, and end all sessions of the account but ``keep``."""


class Here:
    """The sessions are in the same file: they end now."""

    def agreed(self, db: sqlite3.Connection, subject: Literal["keys_changed", "mode_changed"]) -> None:
        announce(db, subject)

    def changed(self, db: sqlite3.Connection, user_id: str) -> None:
        announce(db, "user_changed", user_id)

    def ended(self, db: sqlite3.Connection, user_id: str, ending: Ending, *, keep: str | None, feed_ttl_s: int) -> None:
        announce(db, "user_changed", user_id)
        end_all(db, user_id, ending, keep, feed_ttl_s)


class Elsewhere:
    """The sessions are in another store: it is told through the outbox."""

    def agreed(self, db: sqlite3.Connection, subject: Literal["keys_changed", "mode_changed"]) -> None:
        _put(db, AccountChange(position=0, subject=subject))

    def changed(self, db: sqlite3.Connection, user_id: str) -> None:
        version = _version(db, user_id)
        _put(db, AccountChange(position=0, subject="user_changed", user_id=user_id, security_version=version))

    def ended(self, db: sqlite3.Connection, user_id: str, ending: Ending, *, keep: str | None, feed_ttl_s: int) -> None:
        change = AccountChange(
            position=0,
            subject="user_changed",
            user_id=user_id,
            security_version=_version(db, user_id),
            ending=ending,
            keep=keep,
            feed_ttl_s=feed_ttl_s,
        )
        _put(db, change)


def _version(db: sqlite3.Connection, user_id: str) -> int:
    row = db.execute(_VERSION, (user_id,)).fetchone()
    return int(row[0])


def _put(db: sqlite3.Connection, change: AccountChange) -> None:
    db.execute(_ADD, (spelled(change),))
