"""The embedded default: everything in one SQLite file, shared by the processes of one machine."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from propylon.stores.sqlite.aftermath import Elsewhere, Here
from propylon.stores.sqlite.agreed import Settings, SigningKeyTable
from propylon.stores.sqlite.feed import Feed, drop_old_entries
from propylon.stores.sqlite.outbox import OutboxTable
from propylon.stores.sqlite.session_data import SessionDataTable
from propylon.stores.sqlite.sessions import Sessions, drop_useless_sessions
from propylon.stores.sqlite.tallies import Tallies, drop_forgotten
from propylon.stores.sqlite.users import Users

# So many rows of a table go in one step: other writes wait for a step, never for the whole upkeep.
PURGE_ROWS = 200


class SqliteStore(Sessions, SessionDataTable, Users, SigningKeyTable, Settings, Tallies, OutboxTable, Feed):
    """A ``propylon.ports.Store`` in one file. One object serves one event loop.

    With ``sessions_elsewhere`` it is a ``propylon.ports.AccountStore``: what a change of an account means for
    sessions is written into the outbox.
    """

    def __init__(self, path: Path, *, sessions_elsewhere: bool = False) -> None:
        super().__init__(path)
        self._aftermath = Elsewhere() if sessions_elsewhere else Here()

    async def purge(self, now: int, *, keep_ended_s: int) -> int:
        """Remove what has no use any more, a few rows a step."""
        removed = 0
        while True:
            sessions, others = await self._write(_purge_some, now, now - keep_ended_s)
            removed += sessions
            if sessions < PURGE_ROWS and others < PURGE_ROWS:
                return removed


def _purge_some(db: sqlite3.Connection, now: int, over_before: int) -> tuple[int, int]:
    sessions = drop_useless_sessions(db, over_before, PURGE_ROWS)
    return sessions, max(drop_old_entries(db, now, PURGE_ROWS), drop_forgotten(db, now, PURGE_ROWS))
