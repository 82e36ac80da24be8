"""What has changed since a verifier last looked, and the set of sessions whose tokens are dead.

An access token is checked without a store, so a verifier must know which sessions ended while tokens of
theirs are still alive. The order comes from the store's positions, never from comparing clocks.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Literal

import msgspec

FeedSubject = Literal["session_ended", "session_changed", "user_changed", "keys_changed", "mode_changed"]


class FeedEntry(msgspec.Struct, frozen=True):
    """One line of the feed, written in the transaction of what it announces.

    Attributes:
        position: the store's order; strictly rising.
        subject: what changed. ``session_ended`` kills tokens; the others drop what was remembered.
        id: of the session or user; empty where there is only one such thing, and where entries were dropped
            before this process read them: it may have been any.
        reason: why a session ended (``core.session.EndReason``), otherwise empty.
        expires_at: epoch seconds after which no token exists that this entry could kill.
        announced_ms: epoch milliseconds by the clock of the store, or of who wrote it; 0 where that is not known.
            The lag is measured by it, within what two clocks differ; the order never is.
    """

    position: int
    subject: FeedSubject
    id: str
    reason: str
    expires_at: int
    announced_ms: int = 0


class RevokedSessions:
    """The sessions that ended lately. One look-up in a dict answers; memory is bounded by token life.

    An ending is held from when it was heard for as long as any access token may live, by the monotonic clock: a
    wall clock that runs ahead for a while and is set back revives nothing.
    """

    def __init__(self, keep_s: int) -> None:
        self._keep_s = keep_s
        self._reasons: dict[str, tuple[str, float]] = {}

    def __len__(self) -> int:
        """Return how many sessions are held."""
        return len(self._reasons)

    def add(self, entry: FeedEntry, monotonic: float) -> None:
        """Hold the session of a ``session_ended`` entry until its last token has expired."""
        self._reasons.setdefault(entry.id, (entry.reason, monotonic + self._keep_s))

    def reason(self, session_id: str) -> str | None:
        """Return why the session ended, or None when it is not known to have ended."""
        held = self._reasons.get(session_id)
        return held[0] if held is not None else None

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all that are held now: 8 bytes each, since the strings are shared."""
        return tuple(self._reasons)

    def find(self, session_id: str) -> tuple[str, float] | None:
        """Return why a session ended and until which monotonic second it is held, or None."""
        return self._reasons.get(session_id)

    def forget_expired(self, monotonic: float) -> int:
        """Drop what no living token can belong to any more; return how many."""
        # All are held for the same time, so they expire in the order in which they came.
        stale = list(takewhile(lambda session_id: self._reasons[session_id][1] <= monotonic, self._reasons))
        for session_id in stale:
            del self._reasons[session_id]
        return len(stale)
