"""Sessions on SQLite. Verbs are functions of a connection, run by the writer as one atomic step."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

import sqlite3
from functools import partial

from propylon.core import refresh
from propylon.core.device import Kind
from propylon.core.limits import LimitReached, admit
from propylon.core.moving import Moved, MoveOutcome, move
from propylon.core.session import Ending, Mode, Session, confirmed, ended, refusal, touched
from propylon.ports import Opened, Opening, SignInVoid
from propylon.stores.sqlite.database import Database
from propylon.stores.sqlite.feed import announce, announce_ending
from propylon.stores.sqlite.rows import (
    DEADLINE,
    INSERT_SESSION,
    SESSION_COLUMNS,
    UPDATE_SESSION,
    changing_values,
    fixed_values,
    session_of,
)

# ruff: noqa: S608 - only names of columns are put into the queries, never values
_FIND = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE id = ?"
_LIVE = f"ended_at IS NULL AND {DEADLINE} > ?"
_NOT_ENDED_OF_USER = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE user_id = ? AND ended_at IS NULL ORDER BY seq"
_LIVE_OF_USER = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE user_id = ? AND {_LIVE} ORDER BY seq"
_ALL_LIVE = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE {_LIVE} ORDER BY seq DESC LIMIT ?"
_COUNT_BY_MODE = f"SELECT mode, device_kind, count(*) FROM sessions WHERE {_LIVE} GROUP BY 1, 2"
_VERSION = "SELECT security_version FROM users WHERE id = ? AND disabled_at IS NULL"
_DROP_ENDED = "DELETE FROM sessions WHERE seq IN (SELECT seq FROM sessions WHERE ended_at <= ? LIMIT ?)"
_DROP_EXPIRED = f"""
DELETE FROM sessions WHERE seq IN (
    SELECT seq FROM sessions WHERE ended_at IS NULL AND {DEADLINE} <= ? LIMIT ?
)
"""


class Sessions(Database):
    """``propylon.ports.SessionReader``, ``SessionWriter`` and ``SessionEnder``, on SQLite."""

    async def find_session(self, session_id: str) -> Session | None:
        row = self._read_one(_FIND, (session_id,))
        return None if row is None else session_of(row)

    async def live_sessions(self, user_id: str, now: int) -> list[Session]:
        return [session_of(row) for row in self._read_all(_LIVE_OF_USER, (user_id, now))]

    async def all_live_sessions(self, now: int, limit: int) -> list[Session]:
        return [session_of(row) for row in await self._survey(_ALL_LIVE, (now, limit))]

    async def count_by_mode(self, now: int) -> dict[tuple[Mode, Kind], int]:
        return {(mode, kind): count for mode, kind, count in await self._survey(_COUNT_BY_MODE, (now,))}

    async def open_session(self, opening: Opening, now: int) -> Opened | LimitReached | SignInVoid:
        return await self._write(_open, opening, now)

    async def rotate(
        self,
        session_id: str,
        presented: int,
        *,
        now: int,
        grace_s: int,
        origin: str,
        ip: str,
        feed_ttl_s: int,
    ) -> refresh.RefreshOutcome:
        def work(db: sqlite3.Connection) -> refresh.RefreshOutcome:
            held = _find(db, session_id)
            outcome = refresh.rotate(held, presented, now=now, grace_s=grace_s, origin=origin, ip=ip)
            _keep_outcome(db, held, outcome, feed_ttl_s)
            return outcome

        return await self._write(work)

    async def touch(self, session_id: str, *, now: int, ip: str) -> None:
        await self._write(_touch, session_id, now, ip)

    async def confirm(self, session_id: str, *, now: int, origin: str, grace: bool) -> Session | None:
        return await self._write(partial(_confirm, grace=grace), session_id, now, origin)

    async def move_session(
        self, session_id: str, to: Mode, *, cookie: int | None, now: int, grace_s: int, origin: str
    ) -> MoveOutcome:
        def work(db: sqlite3.Connection) -> MoveOutcome:
            outcome = move(_find(db, session_id), to, cookie=cookie, now=now, grace_s=grace_s, origin=origin)
            if isinstance(outcome, Moved):
                _save(db, outcome.session)
                announce(db, "session_changed", session_id)
            return outcome

        return await self._write(work)

    async def end_session(self, session_id: str, ending: Ending, *, user_id: str | None, feed_ttl_s: int) -> bool:
        return await self._write(_end_one, session_id, ending, user_id, feed_ttl_s)

    async def end_sessions(self, user_id: str, ending: Ending, *, keep: str | None, feed_ttl_s: int) -> tuple[str, ...]:
        return await self._write(end_all, user_id, ending, keep, feed_ttl_s)


def end_all(db: sqlite3.Connection, user_id: str, ending: Ending, keep: str | None, feed_ttl_s: int) -> tuple[str, ...]:
    """End all sessions of a user but ``keep``; return the ids of those that lived.

    Expired ones are ended with them: a node whose clock is behind may still think that they live.
    """
    going = [session_of(row) for row in db.execute(_NOT_ENDED_OF_USER, (user_id,)) if row[0] != keep]
    for session in going:
        _end(db, session, ending, feed_ttl_s)
    return tuple(session.id for session in going if refusal(session, ending.at) is None)


def drop_useless_sessions(db: sqlite3.Connection, over_before: int, limit: int) -> int:
    """Remove sessions that ended or expired by then, their data with them; at most ``limit`` of each."""
    return sum(db.execute(query, (over_before, limit)).rowcount for query in (_DROP_ENDED, _DROP_EXPIRED))


def _find(db: sqlite3.Connection, session_id: str) -> Session | None:
    row = db.execute(_FIND, (session_id,)).fetchone()
    return None if row is None else session_of(row)


def _save(db: sqlite3.Connection, session: Session) -> None:
    db.execute(UPDATE_SESSION, (*changing_values(session), session.id))


def _end(db: sqlite3.Connection, session: Session, ending: Ending, feed_ttl_s: int) -> Session:
    over = ended(session, ending)
    _save(db, over)
    announce_ending(db, session.id, ending, feed_ttl_s)
    return over


def _open(db: sqlite3.Connection, opening: Opening, now: int) -> Opened | LimitReached | SignInVoid:
    newcomer = opening.session
    if db.execute(_VERSION, (newcomer.user_id,)).fetchone() != (opening.security_version,):
        return SignInVoid()
    if _find(db, newcomer.id) is not None:
        return SignInVoid()
    made_room = _make_room(db, opening, now)
    admission = admit(opening.limits, _crowd(db, opening, now), newcomer, opening.roles)
    if isinstance(admission, LimitReached):
        return admission
    ending = Ending("evicted", now, newcomer.device)
    evicted = tuple(_end(db, session, ending, opening.feed_ttl_s) for session in admission.evicted)
    db.execute(INSERT_SESSION, (*fixed_values(newcomer), *changing_values(newcomer)))
    return Opened(newcomer, evicted, made_room)


def _crowd(db: sqlite3.Connection, opening: Opening, now: int) -> list[Session]:
    """Return the live sessions that the limits count; none are read where nothing is limited."""
    limits = opening.limits
    if not limits.per_kind and limits.of(opening.roles) is None:
        return []
    return [session_of(row) for row in db.execute(_LIVE_OF_USER, (opening.session.user_id, now))]


def _make_room(db: sqlite3.Connection, opening: Opening, now: int) -> Session | None:
    """End the session that the user chose and return it, also when the newcomer will not fit all the same."""
    chosen = _find(db, opening.end) if opening.end is not None else None
    if chosen is None or chosen.user_id != opening.session.user_id or refusal(chosen, now) is not None:
        return None
    return _end(db, chosen, Ending("ended_by_user", now, opening.session.device), opening.feed_ttl_s)


def _keep_outcome(
    db: sqlite3.Connection, held: Session | None, outcome: refresh.RefreshOutcome, feed_ttl_s: int
) -> None:
    session = outcome.session
    if session is None or session is held:
        return
    _save(db, session)
    if isinstance(outcome, refresh.Reused) and session.ending is not None:
        announce_ending(db, session.id, session.ending, feed_ttl_s)


def _touch(db: sqlite3.Connection, session_id: str, now: int, ip: str) -> None:
    session = _find(db, session_id)
    if session is not None and refusal(session, now) is None:
        _save(db, touched(session, now=now, ip=ip))


def _confirm(db: sqlite3.Connection, session_id: str, now: int, origin: str, *, grace: bool) -> Session | None:
    session = _find(db, session_id)
    if session is None or refusal(session, now) is not None:
        return None
    session = confirmed(session, now=now, origin=origin, grace=grace)
    _save(db, session)
    announce(db, "session_changed", session_id)
    return session


def _end_one(db: sqlite3.Connection, session_id: str, ending: Ending, user_id: str | None, feed_ttl_s: int) -> bool:
    session = _find(db, session_id)
    if session is None or session.ending is not None or user_id not in (None, session.user_id):
        return False
    _end(db, session, ending, feed_ttl_s)
    return refusal(session, ending.at) is None
