"""The end of a session, told to its holder as it happens.

A stream costs nothing while nothing happens: one listener a process asks the revocation feed, and an entry wakes
the streams that it is about. What is told is read from the session's own record, never from the entry, so a stream
can say nothing of anybody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

import msgspec

from propylon.core.principal import Principal
from propylon.core.revocation import FeedEntry
from propylon.core.session import refusal
from propylon.errors import CredentialRefused, PropylonError, TooMany, Unavailable
from propylon.flows.gate import Gate
from propylon.flows.refusals import refused
from propylon.flows.session_data import AtHome
from propylon.http.event_stream import HEARTBEAT, Woken, event
from propylon.ports import Clock, SessionReader

logger = logging.getLogger("propylon")

# While anybody holds a stream, the feed is asked so often; asking is nearly free when there is nothing.
LISTEN_EVERY_S = 0.05
# Proxies give up on a silent connection after 60 seconds, phones on some networks sooner.
HEARTBEAT_S = 15.0
# What the store could not say is asked again.
ASK_AGAIN_S = 1
# A browser needs one, and one for each tab where it has no Web Locks. A stream is a connection and about 20 KB.
MAX_STREAMS, MAX_STREAMS_EACH = 5_000, 20

Spell = Callable[[PropylonError], bytes]


class SessionStream(Woken):
    """One holder of a session who wants to know when it ends."""

    def __init__(self, streams: SessionStreams, principal: Principal, spell: Spell) -> None:
        super().__init__()
        self.session_id, self.user_id = principal.session_id, principal.user_id
        self._streams, self._spell = streams, spell
        self.wake()  # it may have ended between the check of its credential and now

    def close(self) -> None:
        """Leave."""
        self._streams.forget(self)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Return whose session it is, heartbeats, and at its end why."""
        yield event("session", msgspec.json.encode({"id": self.session_id, "user": self.user_id}).decode())
        look_again_at = 0
        while not self._over:
            if self._news.is_set() or self._streams.now() >= look_again_at:
                self._news.clear()
                ending, look_again_at = await self._streams.look(self)
                if ending is not None:
                    name, refused_as = ending
                    yield event(name, self._spell(refused_as).decode())
                    return
            if not await self._news_within(min(HEARTBEAT_S, max(ASK_AGAIN_S, look_again_at - self._streams.now()))):
                yield HEARTBEAT


Ending = tuple[str, CredentialRefused]


class SessionStreams:
    """The streams of this process, by whom they are about."""

    def __init__(self, gate: Gate, sessions: SessionReader, home: AtHome, clock: Clock) -> None:
        self._gate, self._sessions, self._home, self._clock = gate, sessions, home, clock
        self._all: set[SessionStream] = set()
        self._about: defaultdict[str, set[SessionStream]] = defaultdict(set)  # by id of session, and of user
        self._listening: asyncio.Task[None] | None = None
        self._closed = False
        gate.tell(self._note)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._all)

    def now(self) -> int:
        """Return the time, epoch seconds."""
        return self._clock.now()

    def open(self, principal: Principal, spell: Spell) -> SessionStream:
        """Return a stream for somebody who was recognised just now.

        Raises:
            TooMany: ``too_many_streams``, of this session.
            Unavailable: there are too many altogether, or this process stops.
        """
        if self._closed or len(self._all) >= MAX_STREAMS:
            raise Unavailable(retry_after_s=5)
        if len(self._about.get(principal.session_id, ())) >= MAX_STREAMS_EACH:
            raise TooMany(30, "too_many_streams")
        stream = SessionStream(self, principal, spell)
        self._all.add(stream)
        for id_ in (stream.session_id, stream.user_id):
            self._about[id_].add(stream)
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen())
        return stream

    def forget(self, stream: SessionStream) -> None:
        """Let a stream go."""
        self._all.discard(stream)
        for id_ in (stream.session_id, stream.user_id):
            self._about[id_].discard(stream)
            if not self._about[id_]:
                del self._about[id_]

    def stop(self) -> None:
        """End every stream and begin none."""
        self._closed = True
        for stream in self._all:
            stream.cut_off()

    async def aclose(self) -> None:
        """Stop, and let go of the store."""
        self.stop()
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def look(self, stream: SessionStream) -> tuple[Ending | None, int]:
        """Return what the session has come to, None while it lives, and when to look again without being woken.

        A session that ran out has no entry in the feed, and its use elsewhere moves the moment; so the record is
        read when it is due. A stream is no use of it: nobody stays signed in by an open tab.
        """
        try:
            session = await self._sessions.find_session(stream.session_id)
            if session is None:
                return ("ended", CredentialRefused("session_expired")), 0
            if (code := refusal(session, self.now())) is not None:
                left_by_itself = session.ending is not None and session.ending.reason == "signed_out"
                return ("signed-out" if left_by_itself else "ended", refused(session, code)), 0
            user = await self._home.read_user(stream.user_id)
        except CredentialRefused as gone:
            return ("ended", gone), 0
        except PropylonError as error:
            logger.debug("a stream cannot tell what became of its session: %s", error)
            return None, self.now() + ASK_AGAIN_S
        if user.disabled_at is not None:
            return ("ended", CredentialRefused("user_disabled")), 0
        return None, session.deadline

    def _note(self, entry: FeedEntry) -> None:
        # Without an id, entries were dropped unread: it may have been any.
        if not entry.id and entry.subject not in ("keys_changed", "mode_changed"):
            concerned = self._all
        elif entry.subject in ("session_ended", "user_changed"):
            concerned = self._about.get(entry.id, set())
        else:
            return
        for stream in concerned:
            stream.wake()

    async def _listen(self) -> None:
        """Ask the feed while there is any stream."""
        while self._all:
            try:
                await self._gate.listen()
            except PropylonError as error:
                logger.debug("the feed is silent: %s", error)
            except Exception:
                logger.exception("following the feed failed")
            await asyncio.sleep(LISTEN_EVERY_S)
