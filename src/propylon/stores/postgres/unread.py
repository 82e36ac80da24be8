"""What was heard of a feed across a network and not read yet, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from propylon.core.revocation import FeedEntry
from propylon.stores.news import Lags, missed
from propylon.stores.rows import Row

# Entries held for a process that does not ask for them. Beyond it they stay in the store until it does.
MAX_UNREAD = 100_000


class Place(NamedTuple):
    """How far a feed was heard: a position, and what tells that entry from another history's."""

    position: int
    tag: int


START = Place(0, 0)


class Unread:
    """The entries between what was taken and what was heard.

    Answers may arrive in any order: each is complete up to its own end, since positions become visible in their
    order, so what is added is what lies beyond the place reached by then.

    Attributes:
        place: how far was heard.
        heard_at: when the newest answer was asked for, monotonic: what it did not hold came later.
        waits: entries were let go to stay within bounds; the next who asks reads them again.
        times_taken: how often there was something to take.
    """

    def __init__(self, lags: Lags) -> None:
        self._lags = lags
        self.place = self._taken = START
        self.heard_at = -math.inf
        self.waits = False
        self.times_taken = 0
        self._entries: list[FeedEntry] = []

    def take(self) -> Sequence[FeedEntry]:
        """Return the entries, in order, and hold them no longer."""
        if not self._entries:
            return ()
        self.times_taken += 1  # first: a thread that looks in between sees another bookmark
        entries, self._entries = self._entries, []
        self._taken = self.place
        return entries

    def bookmark(self) -> int | None:
        """Return how often entries were taken; None while some wait."""
        return None if self._entries or self.waits else self.times_taken

    def add(self, since: Place, rows: Sequence[Row], asked_at: float, *, whatever_it_takes: bool = False) -> bool:
        """Add an answer that begins with the entry at ``since``; return False where it must be asked for again.

        Where that entry is not there, it was removed unread (this process slept for longer than entries are kept), or
        the store has another history than the one that was heard: it was restored from a copy, or a standby took
        over that had not received everything. Then everything remembered is to be forgotten, and all is read anew.
        """
        if since.position > self.place.position:  # asked before it was known that the history is another one
            return False
        if since != START and (not rows or Place(rows[0][0], rows[0][-1]) != since):
            self._begin_anew()
            return False
        fresh = [row for row in rows if row[0] > self.place.position]
        self._append(fresh)
        self.heard_at = max(self.heard_at, asked_at)
        self.waits = self.waits and not whatever_it_takes
        if fresh and len(self._entries) > MAX_UNREAD and not whatever_it_takes:
            self._let_go()
        return True

    def _append(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        first, last = rows[0][0], rows[-1][0]
        # Numbered without gaps but for a commit that failed at its very end: what is missing was removed unread.
        if self.place != START and last - self.place.position != len(rows):
            self._entries += missed(first - 1)
        entries = [FeedEntry(*row[:-1]) for row in rows]
        for entry in entries:
            self._lags.note(entry.announced_ms)
        self._entries += entries
        self.place = Place(last, rows[-1][-1])

    def _begin_anew(self) -> None:
        self._entries += missed(self.place.position)
        self.place = START

    def _let_go(self) -> None:
        self._entries, self.place, self.waits = [], self._taken, True
