"""What has changed since a verifier last looked, and the set of sessions whose tokens are dead.

An access token is checked without a store, so a verifier must know which sessions ended while tokens of
theirs are still alive. The order comes from the store's positions, never from comparing clocks.
"""

from __future__ import annotations

import math
from itertools import islice, takewhile
from typing import Literal, NamedTuple

import msgspec

# A verifier elsewhere refuses everything when it has heard nothing for so long, unless it is told otherwise.
MAX_SILENCE_S = 5

# The server's heartbeats to it say "heard until now". They stop when the server has itself heard nothing for so long.
FRESH_FOR_S = 1

# A dict of fewer entries is not worth making anew.
SHRINK_ABOVE = 10_000

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


class _Held(NamedTuple):
    """Why sessions ended, and until which monotonic second that is held: one value for all of the same second."""

    reason: str
    until: int


class RevokedSessions:
    """The sessions that ended lately. One look-up in a dict answers; memory is bounded by token life.

    An ending is held from when it was heard for as long as any access token may live, by the monotonic clock: a
    wall clock that runs ahead for a while and is set back revives nothing. Millions may be held after "sign
    everybody out", so an entry is an id in bytes and a reference, about 110 bytes.
    """

    def __init__(self, keep_s: int) -> None:
        self._keep_s = keep_s
        self._held: dict[bytes, _Held] = {}
        self._newest: dict[str, _Held] = {}  # of each reason, to be shared
        self._most = 0  # held at once since the dict was made

    def __len__(self) -> int:
        """Return how many sessions are held."""
        return len(self._held)

    def add(self, entry: FeedEntry, monotonic: float) -> None:
        """Hold the session of a ``session_ended`` entry until its last token has expired."""
        # Rounded up, so that all endings of one second share one value; nothing is held for too short.
        until = math.ceil(monotonic) + self._keep_s
        held = self._newest.get(entry.reason)
        if held is None or held.until != until:
            held = self._newest[entry.reason] = _Held(entry.reason, until)
        self._held.setdefault(_key(entry.id), held)

    def reason(self, session_id: str) -> str | None:
        """Return why the session ended, or None when it is not known to have ended."""
        held = self._held.get(_key(session_id))
        return held.reason if held is not None else None

    def ids(self) -> tuple[bytes, ...]:
        """Return the ids of all that are held now, in UTF-8: 8 bytes each, since the values are shared."""
        return tuple(self._held)

    def find(self, key: bytes) -> tuple[str, float] | None:
        """Return why the session of one of the ``ids`` ended and until which monotonic second it is held, or None."""
        return self._held.get(key)

    def forget_expired(self, monotonic: float, at_most: int = 20_000) -> int:
        """Drop what no living token can belong to any more, in steps; return how many in this one."""
        self._most = max(self._most, len(self._held))
        # All are held for the same time, so they expire in the order in which they came.
        expired = takewhile(lambda key: self._held[key].until <= monotonic, self._held)
        stale = list(islice(expired, at_most))
        for key in stale:
            del self._held[key]
        if self._most > SHRINK_ABOVE and len(self._held) < self._most // 4:
            # A dict never gets smaller by itself: what "sign everybody out" took is given back here.
            self._held, self._most = dict(self._held), len(self._held)
        return len(stale)


def _key(session_id: str) -> bytes:
    # An id of 22 characters takes 64 bytes so, and 80 as text.
    return session_id.encode("utf-8", "surrogatepass")
