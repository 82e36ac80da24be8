"""What the stores agree on about the feed."""

from __future__ import annotations

import time

from propylon.core.revocation import FeedEntry, FeedSubject
from propylon.ports import History

# An entry that kills no token is kept for so long, and every entry so much longer than it expires: a process
# that asks at least this often reads each one.
FEED_KEEP_S = 600

# Lags held for metrics that nobody asks for.
MAX_LAGS = 10_000

BESIDE_ACCOUNTS = History()
"""The history of a feed that lies in one store with the accounts, in the order of its positions."""

_DROP_EVERYTHING: tuple[FeedSubject, ...] = (
    "session_changed",
    "user_changed",
    "keys_changed",
    "mode_changed",
)


def kept_until() -> int:
    """Return when an entry written now, that kills no token, has done its work.

    The machine's clock will do: this bounds how long a row is kept and decides nothing.
    """
    return int(time.time()) + FEED_KEEP_S


def announced_now_ms() -> int:
    """Return this machine's time as entries hold it, epoch milliseconds: the lag is measured by it."""
    return time.time_ns() // 1_000_000


class Lags:
    """How long entries were under way, from their announcement until this process had heard them.

    By two clocks, the store's and this machine's, and therefore right within what these differ.
    """

    def __init__(self) -> None:
        self._held: list[float] = []
        self._measuring = False

    def begin(self) -> None:
        """Measure from now on: what is heard at the opening of a store is old."""
        self._measuring = True

    def note(self, announced_ms: int) -> None:
        """Measure one entry that was heard just now."""
        if self._measuring and announced_ms and len(self._held) < MAX_LAGS:
            self._held.append(max(0, announced_now_ms() - announced_ms) / 1000)

    def take(self) -> list[float]:
        """Return the lags in seconds since the last call, and hold them no longer."""
        taken, self._held = self._held, []
        return taken


def missed(position: int) -> list[FeedEntry]:
    """Return entries in place of those before ``position`` that were dropped unread: forget everything.

    The tokens that the dropped ones could have killed have expired by then.
    """
    return [FeedEntry(position, subject, "", "", 0) for subject in _DROP_EVERYTHING]
