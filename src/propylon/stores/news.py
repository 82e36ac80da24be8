"""What the stores agree on about the feed."""

from __future__ import annotations

import time

from propylon.core.revocation import FeedEntry, FeedSubject

# An entry that kills no token is kept for so long, and every entry so much longer than it expires: a process
# that asks at least this often reads each one.
FEED_KEEP_S = 600

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
    """Return when an entry written now was announced, epoch milliseconds: the lag is measured by it."""
    return time.time_ns() // 1_000_000


def missed(position: int) -> list[FeedEntry]:
    """Return entries in place of those before ``position`` that were dropped unread: forget everything.

    The tokens that the dropped ones could have killed have expired by then.
    """
    return [FeedEntry(position, subject, "", "", 0) for subject in _DROP_EVERYTHING]
