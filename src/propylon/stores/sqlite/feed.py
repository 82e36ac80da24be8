"""The feed: rows written in the transaction of what they announce, read by position."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from propylon.core.revocation import FeedEntry, FeedSubject
from propylon.core.session import Ending
from propylon.ports import History, Pulse
from propylon.stores.news import BESIDE_ACCOUNTS, FEED_KEEP_S, announced_now_ms, kept_until, missed
from propylon.stores.sqlite.database import Database

_SINCE = """
SELECT position, subject, id, reason, expires_at, announced_ms FROM feed WHERE position > ? ORDER BY position
"""
_APPEND = "INSERT INTO feed (subject, id, reason, expires_at, announced_ms) VALUES (?, ?, ?, ?, ?)"

# So long a process may go on following a file that was replaced under its name, which others do not open.
LOOK_EVERY_S = 1.0

# The newest row stays: by its position a reader that slept for long sees that it has missed some.
_DROP_OLD = """
DELETE FROM feed WHERE position IN (
    SELECT position FROM feed WHERE expires_at <= ? AND position < (SELECT max(position) FROM feed) LIMIT ?
)
"""


class Feed(Database):
    """``propylon.ports.RevocationFeed``, on SQLite."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._heard: int | None = None
        self._seen = b""
        self._look_again_at = 0.0

    async def open(self) -> None:
        """Connect; the first ``news`` will be everything that is kept."""
        await super().open()
        self._heard, self._seen, self._look_again_at = None, b"", 0.0

    def news(self) -> Sequence[FeedEntry]:
        """Return what came since the last call; a comparison of 48 bytes when nothing was committed."""
        if (now := time.monotonic()) >= self._look_again_at:
            self._check_place()
            self._look_again_at = now + LOOK_EVERY_S
        if self._mark is None:
            return self._since_heard()
        # Taken before the rows are read: a commit in between shows as a difference next time.
        mark = self._mark.header[:]
        if mark == self._seen:
            return ()
        entries = self._since_heard()
        self._seen = mark
        return entries

    def bookmark(self) -> bytes | None:
        """Return the mark of the last commit, if ``news`` has seen it and the file is known to be the right one."""
        mark = self._mark
        if mark is None or time.monotonic() >= self._look_again_at:
            return None
        try:
            header = mark.header[:]
        except ValueError:  # the store was closed this moment, by its own thread
            return None
        return header if header == self._seen else None

    async def catch_up(self) -> None:
        """``news`` asks the file itself, always."""

    def history(self) -> History:
        """Return that nothing loses the feed without the accounts."""
        return BESIDE_ACCOUNTS

    def pulse(self) -> Pulse:
        """It is asked at every request, and never silent."""
        return Pulse()

    def _since_heard(self) -> list[FeedEntry]:
        before = self._heard or 0
        entries = [FeedEntry(*row) for row in self._read_all(_SINCE, (before,))]
        newly, self._heard = self._heard is None, entries[-1].position if entries else before
        # One writer at a time numbers them without gaps, so a gap is what was dropped before we read it. It may lie
        # between entries too: a change is kept for a shorter time than an ending.
        gap = entries and not newly and entries[-1].position - before != len(entries)
        return missed(entries[0].position - 1) + entries if gap else entries


def announce(db: sqlite3.Connection, subject: FeedSubject, id_: str = "") -> None:
    """Tell all processes to drop what they remember of something."""
    _append(db, subject, id_, "", kept_until())


def announce_ending(db: sqlite3.Connection, session_id: str, ending: Ending, feed_ttl_s: int) -> None:
    """Tell all processes that a session's tokens are dead."""
    _append(db, "session_ended", session_id, ending.reason, ending.at + feed_ttl_s)


def drop_old_entries(db: sqlite3.Connection, now: int, limit: int) -> int:
    """Remove entries that every process has read by now; return how many, at most ``limit``."""
    return db.execute(_DROP_OLD, (now - FEED_KEEP_S, limit)).rowcount


def _append(db: sqlite3.Connection, subject: FeedSubject, id_: str, reason: str, expires_at: int) -> None:
    db.execute(_APPEND, (subject, id_, reason, expires_at, announced_now_ms()))
