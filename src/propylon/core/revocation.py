"""What has changed since a verifier last looked, and the set of sessions whose tokens are dead.

An access token is checked without a store, so a verifier must know which sessions ended while tokens of
theirs are still alive. The order comes from the store's positions, never from comparing clocks.
"""

from __future__ import annotations

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
    """

    position: int
    subject: FeedSubject
    id: str
    reason: str
    expires_at: int


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

    def forget_expired(self, monotonic: float) -> int:
        """Drop what no living token can belong to any more; return how many."""
        stale = [session_id for session_id, (_, until) in self._reasons.items() if until <= monotonic]
        for session_id in stale:
            del self._reasons[session_id]
        return len(stale)
