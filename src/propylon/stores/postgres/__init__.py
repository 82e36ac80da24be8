"""Many nodes on one PostgreSQL database."""

from __future__ import annotations

from propylon.stores.news import FEED_KEEP_S
from propylon.stores.postgres.aftermath import Elsewhere, Here
from propylon.stores.postgres.agreed import Settings, SigningKeyTable
from propylon.stores.postgres.feed import DROP_OLD
from propylon.stores.postgres.outbox import OutboxTable
from propylon.stores.postgres.session_data import SessionDataTable
from propylon.stores.postgres.sessions import DROP_USELESS, Sessions
from propylon.stores.postgres.tallies import DROP_FORGOTTEN, Tallies
from propylon.stores.postgres.users import Users

# So many rows of a table go in one step: nobody waits long for a lock of the upkeep.
PURGE_ROWS = 200


class PostgresStore(Sessions, SessionDataTable, Users, SigningKeyTable, Settings, Tallies, OutboxTable):
    """A ``propylon.ports.Store`` in one database. One object serves one event loop.

    With ``sessions_elsewhere`` it is a ``propylon.ports.AccountStore``: what a change of an account means for
    sessions is written into the outbox, and there is no feed to follow.
    """

    def __init__(self, url: str, *, sessions_elsewhere: bool = False, max_silence_s: float) -> None:
        """Prepare; nothing is connected yet.

        Args:
            url: ``postgresql://user:password@host:5432/database``.
            sessions_elsewhere: only accounts are kept here.
            max_silence_s: ``news`` raises ``FeedSilent`` when it has heard nothing for longer.
        """
        super().__init__(url, max_silence_s=max_silence_s, followed=not sessions_elsewhere)
        self._aftermath = Elsewhere() if sessions_elsewhere else Here()

    async def purge(self, now: int, *, keep_ended_s: int) -> int:
        """Remove what has no use any more, a few rows a step."""
        removed = 0
        for statement in DROP_USELESS:
            removed += await self._drop(statement, now - keep_ended_s)
        await self._drop(DROP_OLD, now - FEED_KEEP_S)
        await self._drop(DROP_FORGOTTEN, now)
        return removed

    async def _drop(self, statement: str, before: int) -> int:
        """Remove rows until a step finds fewer than it may take; another node may be at it too."""
        removed = 0
        while True:
            step = len(await self._change(statement, before, PURGE_ROWS))
            removed += step
            if step < PURGE_ROWS:
                return removed
