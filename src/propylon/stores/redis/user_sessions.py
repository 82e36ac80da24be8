"""What concerns all sessions of a user: opened within limits, listed, ended together.

The list of a user's sessions and the sessions are read at one moment. The pure functions decide, and a script
replaces what was read if all of it is still the same: otherwise somebody else was first, and it is decided anew.
"""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from propylon.core.limits import LimitReached, admit
from propylon.core.secret import shard_of_user
from propylon.core.session import Ending, Session, ended, refusal
from propylon.ports import AccountChange, Opened, Opening, SignInVoid
from propylon.stores.news import kept_until
from propylon.stores.redis.database import LOOK, decided
from propylon.stores.redis.feed import Announcement, Change, Feed
from propylon.stores.redis.layout import SESSIONS, raw_id, session_key, user_key
from propylon.stores.redis.place import Place
from propylon.stores.redis.records import Held, UserSessions, packed, packed_list, unpacked, unpacked_list

T = TypeVar("T")

DAY_S = 86_400

# Whoever comes back with a session that is over is told why for so long, whatever ``purge`` is told; and by then no
# sign-in is under way any more whose password was checked before a change.
KEEP_OVER_S = 31 * DAY_S


class Crowd:
    """A user's sessions at one moment, and what is to become of them.

    Attributes:
        ids: those that are in the list and are still there.
    """

    def __init__(self, user_id: str, listed: UserSessions, ids: tuple[bytes, ...], held: dict[bytes, Held]) -> None:
        self.user_id, self.listed, self.ids, self.held = user_id, listed, ids, held
        self.told: list[Announcement] = []
        self._changed: dict[bytes, tuple[Held, Session, int]] = {}

    def find(self, session_id: str | None) -> Session | None:
        """Return one of the user's sessions."""
        held = self.held.get(raw_id(session_id) or b"") if session_id is not None else None
        return held.session if held is not None and held.session.user_id == self.user_id else None

    def not_ended(self) -> list[Session]:
        """Return those that have not ended, oldest first, as they are after what was decided until now."""
        gone = {held.session.id for held, _, _ in self._changed.values()}
        sessions = (held.session for held in self.held.values())
        return [one for one in sessions if one.user_id == self.user_id and one.ending is None and one.id not in gone]

    def live(self, now: int) -> list[Session]:
        """Return those that live."""
        return [session for session in self.not_ended() if refusal(session, now) is None]

    def end(self, session: Session, ending: Ending, feed_ttl_s: int) -> Session:
        """End one of them."""
        raw, over = raw_id(session.id) or b"", ended(session, ending)
        self._changed[raw] = (self.held[raw], over, ending.at)
        self.told.append(Announcement("session_ended", session.id, ending.reason, ending.at + feed_ttl_s))
        return over

    def changes(self) -> list[Change]:
        """Return what has to be replaced of the sessions."""
        return [change_of(held, session, now) for held, session, now in self._changed.values()]

    def changed_list(self, *ids: bytes, security_version: int) -> Change:
        """Return the change of the list: these come in, and those that are no more go out."""
        return change_of_list(user_key(self.user_id), self.listed, (*self.ids, *ids), security_version)

    def same_list(self) -> Change:
        """Return the condition that nobody came in meanwhile."""
        return Change(user_key(self.user_id), self.listed.raw, self.listed.raw, 0)


class SessionsOfUsers(Feed):
    """What ``propylon.ports`` says of all sessions of a user, on Redis."""

    def __init__(self, place: Place, *, max_silence_s: float) -> None:
        super().__init__(place, max_silence_s=max_silence_s)
        self._doors: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def live_sessions(self, user_id: str, now: int) -> list[Session]:
        return (await self._look(user_id)).live(now)

    async def open_session(self, opening: Opening, now: int) -> Opened | LimitReached | SignInVoid:
        newcomer = opening.session
        raw = raw_id(newcomer.id)
        if raw is None or raw[0] >> 4 != shard_of_user(newcomer.user_id):
            raise ValueError("a session id is made by core.secret.new_session_id for its user")
        opened_us = time.time_ns() // 1000

        async def step() -> Opened | LimitReached | SignInVoid:
            crowd = await (self._look if _is_limited(opening) else self._look_at_list)(newcomer.user_id)
            return await self._open(crowd, opening, raw, opened_us, now)

        return await self._one_by_one(newcomer.user_id, step)

    async def end_sessions(self, user_id: str, ending: Ending, *, keep: str | None, feed_ttl_s: int) -> tuple[str, ...]:
        async def step() -> tuple[str, ...]:
            crowd = await self._look(user_id)
            going = [session for session in crowd.not_ended() if session.id != keep]
            if going:
                await self._end(crowd, going, ending, feed_ttl_s, crowd.same_list())
            return tuple(session.id for session in going if refusal(session, ending.at) is None)

        return await self._one_by_one(user_id, step)

    async def apply_change(self, change: AccountChange) -> None:
        if not change.user_id or change.ending is None:
            told = Announcement(change.subject, change.user_id, "", kept_until())
            await self._swap(shard_of_user(change.user_id) if change.user_id else 0, (), [told])
            return
        await self._one_by_one(change.user_id, lambda: self._apply(change))

    async def _apply(self, change: AccountChange) -> None:
        assert change.ending is not None  # noqa: S101 - for the type checker; see above
        crowd = await self._look(change.user_id)
        crowd.told.append(Announcement(change.subject, change.user_id, "", kept_until()))
        if change.security_version <= crowd.listed.security_version:
            await self._swap(shard_of_user(change.user_id), (), crowd.told)
            return
        # Who signed in after the change, on a node that knew of it before this store did, is not who it ends.
        going = [session for session in crowd.not_ended() if self._before(crowd, session, change)]
        listed = crowd.changed_list(security_version=change.security_version)
        await self._end(crowd, going, change.ending, change.feed_ttl_s, listed)

    def _before(self, crowd: Crowd, session: Session, change: AccountChange) -> bool:
        held = crowd.held[raw_id(session.id) or b""]
        return session.id != change.keep and held.security_version < change.security_version

    async def _open(
        self, crowd: Crowd, opening: Opening, raw: bytes, opened_us: int, now: int
    ) -> Opened | LimitReached | SignInVoid:
        newcomer, shard = opening.session, raw[0] >> 4
        if opening.security_version < crowd.listed.security_version:
            return SignInVoid()
        if raw in crowd.ids and (value := await self.find(session_key(raw))) is not None:
            # The same one: it came in, and the answer was lost on the way.
            return Opened(newcomer, ()) if unpacked(raw, value).session.salt == newcomer.salt else SignInVoid()
        chosen, made_room = crowd.find(opening.end), None
        if chosen is not None and refusal(chosen, now) is None:
            made_room = crowd.end(chosen, Ending("ended_by_user", now, newcomer.device), opening.feed_ttl_s)
        admission = admit(opening.limits, crowd.live(now), newcomer, opening.roles)
        if isinstance(admission, LimitReached):
            if crowd.told:
                await self._swap(shard, [crowd.same_list(), *crowd.changes()], crowd.told)
            return admission
        ending = Ending("evicted", now, newcomer.device)
        evicted = tuple(crowd.end(session, ending, opening.feed_ttl_s) for session in admission.evicted)
        kept = Change(
            session_key(raw),
            b"",
            packed(newcomer, opened_us, opening.security_version),
            over_at(newcomer) - now + KEEP_OVER_S,
        )
        listed = crowd.changed_list(raw, security_version=crowd.listed.security_version)
        await self._swap(shard, [listed, kept, *crowd.changes()], crowd.told)
        return Opened(newcomer, evicted, made_room)

    async def _end(self, crowd: Crowd, going: list[Session], ending: Ending, feed_ttl_s: int, listed: Change) -> None:
        for session in going:
            crowd.end(session, ending, feed_ttl_s)
        await self._swap(shard_of_user(crowd.user_id), [listed, *crowd.changes()], crowd.told)

    async def _look(self, user_id: str) -> Crowd:
        shard = shard_of_user(user_id)
        raw, sessions = await self.run(LOOK, [user_key(user_id)], SESSIONS[shard])
        listed = unpacked_list(raw)
        pairs = zip(listed.ids, sessions, strict=True)
        held = {id_: unpacked(id_, value) for id_, value in pairs if value is not None}
        return Crowd(user_id, listed, tuple(held), held)

    async def _look_at_list(self, user_id: str) -> Crowd:
        """Look at the list alone, where nobody has to go: it may be long."""
        listed = unpacked_list(await self.find(user_key(user_id)) or b"")
        return Crowd(user_id, listed, listed.ids, {})

    async def _one_by_one(self, user_id: str, step: Callable[[], Awaitable[T]]) -> T:
        """Decide, after those of this process who came before: they would only overtake each other."""
        door = self._doors.get(user_id)
        if door is None:
            door = self._doors[user_id] = asyncio.Lock()
        async with door:
            return await decided(step)


def _is_limited(opening: Opening) -> bool:
    return bool(opening.limits.per_kind) or opening.limits.of(opening.roles) is not None or opening.end is not None


def over_at(session: Session) -> int:
    """Return when a session was over, or will be."""
    return session.ending.at if session.ending is not None else session.deadline


def change_of(held: Held, session: Session, now: int) -> Change:
    """Return the change of one session into what was decided."""
    raw = raw_id(session.id) or b""
    value = packed(session, held.opened_us, held.security_version)
    return Change(session_key(raw), held.raw, value, max(0, over_at(session) - now) + KEEP_OVER_S)


def change_of_list(key: bytes, listed: UserSessions, ids: tuple[bytes, ...], security_version: int) -> Change:
    """Return the change of a user's list.

    The server keeps one with sessions in it until upkeep takes them out, since a time to live costs 45 bytes a user;
    one without is kept for as long as a sign-in or a change from before may still be under way.
    """
    if not ids and not security_version:
        return Change(key, listed.raw, b"", 0)
    return Change(key, listed.raw, packed_list(security_version, ids), 0 if ids else KEEP_OVER_S)
