"""The revocation feed for readers elsewhere: one listener a process, every entry spelled once, a cursor a reader.

A reader costs the same however slow it is: what it has not fetched lies in the frames that all share, and whoever
falls behind them is cut off and starts anew. The wire format is in ``docs/feed.md``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from propylon.core.access import AccessTokens
from propylon.core.revocation import FRESH_FOR_S, FeedEntry
from propylon.core.verifiers import StoredVerifier
from propylon.errors import PropylonError, Unavailable
from propylon.flows.gate import Gate
from propylon.flows.verifiers import Verifiers
from propylon.http.event_stream import HEARTBEAT, Woken, event
from propylon.ports import Clock

logger = logging.getLogger("propylon")

# While anybody reads, the feed is asked so often; asking is nearly free when there is nothing.
LISTEN_EVERY_S = 0.005
# Half of what readers are promised, so that a late timer breaks no promise.
HEARTBEAT_S = 0.5
# About 2 MB. A reader that comes back within so many entries goes on where it was.
KEPT_FRAMES = 10_000
FRAMES_A_CHUNK = 500  # about 64 KiB
MAX_READERS, MAX_READERS_EACH = 1_000, 500
MAX_EVENT_ID_CHARS = 64

RESET = b"event: reset\ndata: {}\n\n"


class Frame(NamedTuple):
    """One entry as it travels."""

    id: str
    text: bytes


class Reader(Woken):
    """One follower of the feed."""

    def __init__(self, feed: Feed, verifier_id: str, cursor: int, snapshot: tuple[bytes, ...] | None) -> None:
        super().__init__()
        self.verifier_id = verifier_id
        self._feed, self._cursor, self._snapshot = feed, cursor, snapshot

    def close(self) -> None:
        """Leave."""
        self._feed.forget(self)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Return what to send, until it is cut off or has fallen behind; empty where there is nothing to say."""
        if self._snapshot is not None:
            yield RESET
            for chunk in self._feed.snapshot(self._snapshot):
                yield chunk
            self._snapshot = None
        told_ready = False
        while not self._over and self._feed.is_whole():
            self._news.clear()
            chunk, cursor = self._feed.since(self._cursor)
            if cursor is None:
                return
            self._cursor = cursor
            if not chunk and not told_ready and self._feed.is_fresh():
                chunk, told_ready = self._feed.ready_event(), True
            if chunk:
                yield chunk
            elif not await self._news_within(HEARTBEAT_S):
                yield HEARTBEAT if self._feed.is_fresh() else b""


class Feed:
    """The readers of this process, and what they are sent."""

    def __init__(self, gate: Gate, verifiers: Verifiers, clock: Clock, *, kept: int = KEPT_FRAMES) -> None:
        self._gate, self._verifiers, self._clock, self._kept = gate, verifiers, clock, kept
        self._frames: list[Frame] = []
        self._dropped = 0  # frames before the first one that is kept
        self._readers: set[Reader] = set()
        self._known: tuple[StoredVerifier, ...] = ()
        self._heard_at = float("-inf")
        self._listening: asyncio.Task[None] | None = None
        self._closed = False
        self._salt = b"" if gate.history.one_order else secrets.token_bytes(16)
        gate.tell(self._note)

    def __len__(self) -> int:
        """Return how many readers there are."""
        return len(self._readers)

    def open(self, verifier: StoredVerifier, last_event_id: str | None) -> Reader:
        """Return a reader for a verifier that was recognised just now.

        Args:
            verifier: who reads.
            last_event_id: where it was; without, or where that is not known here, it is sent all that is kept.

        Raises:
            Unavailable: there are too many readers, this process stops, or the feed may lack what ended before it was
                lost: who reads it would take it for all there is.
        """
        if not self.is_whole():
            raise Unavailable(retry_after_s=5)
        own = sum(reader.verifier_id == verifier.id for reader in self._readers)
        if self._closed or len(self._readers) >= MAX_READERS or own >= MAX_READERS_EACH:
            raise Unavailable(retry_after_s=5)
        at = self._index_after(last_event_id)
        snapshot = self._tokens.ended() if at is None else None
        reader = Reader(self, verifier.id, self._dropped + len(self._frames) if at is None else at, snapshot)
        self._readers.add(reader)
        self._heard_at = self._clock.monotonic()
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        return reader

    def forget(self, reader: Reader) -> None:
        """Let a reader go."""
        self._readers.discard(reader)

    def stop(self) -> None:
        """End every stream and begin none."""
        self._closed = True
        for reader in self._readers:
            reader.cut_off()

    async def aclose(self) -> None:
        """Stop, and let go of the store."""
        self.stop()
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    def since(self, cursor: int) -> tuple[bytes, int | None]:
        """Return a chunk of what came after ``cursor`` and the cursor behind it, or None for one that is too old."""
        if cursor < self._dropped:
            return b"", None
        start = cursor - self._dropped
        frames = self._frames[start : start + FRAMES_A_CHUNK]
        return b"".join(frame.text for frame in frames), cursor + len(frames)

    def snapshot(self, session_ids: tuple[bytes, ...]) -> Iterator[bytes]:
        """Return chunks about those of these sessions that are still held; none is spelled before it is sent."""
        for start in range(0, len(session_ids), FRAMES_A_CHUNK):
            now, monotonic = self._clock.now(), self._clock.monotonic()
            parts = []
            for session_id in session_ids[start : start + FRAMES_A_CHUNK]:
                if (ending := self._tokens.ending(session_id)) is not None:
                    reason, held_until = ending
                    until = now + math.ceil(held_until - monotonic)
                    parts.append(event("revoked", _revoked(session_id.decode(), reason, until)))
            yield b"".join(parts)

    def ready_event(self) -> bytes:
        """Return the event that says: this is all until now."""
        return event("ready", "{}", self._frames[-1].id if self._frames else "")

    def is_whole(self) -> bool:
        """Return whether the feed tells of everything that has ended."""
        return self._gate.history.is_whole()

    def is_fresh(self) -> bool:
        """Return whether this process has itself heard from the store just now."""
        return self.is_whole() and self._clock.monotonic() - self._heard_at <= FRESH_FOR_S

    @property
    def _tokens(self) -> AccessTokens:
        return self._gate.tokens

    def _note(self, entry: FeedEntry) -> None:
        frame = _frame(entry, self._salt)
        if frame is None:
            return
        self._frames.append(frame)
        if len(self._frames) >= 2 * self._kept:
            del self._frames[: self._kept]
            self._dropped += self._kept
        for reader in self._readers:
            reader.wake()

    def _index_after(self, event_id: str | None) -> int | None:
        if not event_id or len(event_id) > MAX_EVENT_ID_CHARS:
            return None
        for index in range(len(self._frames) - 1, -1, -1):  # who was cut off lately is found at once
            if self._frames[index].id == event_id:
                return self._dropped + index + 1
        return None

    async def _listen(self) -> None:
        """Ask the feed while anybody reads. One that fails keeps quiet, and readers notice the silence."""
        while self._readers:
            try:
                await self._gate.listen()
                await self._cut_off_removed()
                self._heard_at = self._clock.monotonic()
            except PropylonError as error:
                logger.debug("the feed is silent: %s", error)
            except Exception:
                logger.exception("following the feed failed")
                await asyncio.sleep(FRESH_FOR_S)
            await asyncio.sleep(LISTEN_EVERY_S)

    async def _cut_off_removed(self) -> None:
        known = await self._verifiers.current()
        if known is not self._known:
            self._known = known
            ids = {verifier.id for verifier in known}
            for reader in self._readers:
                if reader.verifier_id not in ids:
                    reader.cut_off()


class _Revoked(msgspec.Struct):
    sid: str
    reason: str
    until: int


def _frame(entry: FeedEntry, salt: bytes) -> Frame | None:
    """Spell an entry; None for one that means nothing to who verifies tokens alone."""
    if entry.subject == "session_ended":
        name, data = "revoked", _revoked(entry.id, entry.reason, entry.expires_at)
    elif entry.subject == "keys_changed":
        name, data = "keys", "{}"
    else:
        return None
    id_ = _event_id(entry, salt)
    return Frame(id_, event(name, data, id_))


def _revoked(session_id: str, reason: str, until: int) -> str:
    return msgspec.json.encode(_Revoked(session_id, reason, until)).decode()


def _event_id(entry: FeedEntry, salt: bytes = b"") -> str:
    """Name an entry so that no other store's, and none of this one before it was restored, is taken for it.

    The position alone would be: a reader that was at 1,000 of a file that was then restored from 900 would miss
    the next hundred. Where entries come to each process in an order of its own, ``salt`` is the process' own too: a
    reader that comes from another one, which had heard of this entry sooner or later than of others, is sent
    everything.
    """
    identity = msgspec.json.encode((entry.position, entry.subject, entry.id, entry.reason, entry.expires_at))
    return f"{entry.position}-{hashlib.sha256(salt + identity).hexdigest()[:16]}"
