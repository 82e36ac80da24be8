"""Sessions on PostgreSQL. A verb that decides locks what it decides about, and runs the pure function."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from propylon.core import refresh
from propylon.core.device import Kind
from propylon.core.limits import LimitReached, admit
from propylon.core.moving import Moved, MoveOutcome, move
from propylon.core.session import Ending, Mode, Session, confirmed, ended, refusal
from propylon.ports import Opened, Opening, SignInVoid
from propylon.stores.coalescing import Coalescer
from propylon.stores.postgres.database import findable
from propylon.stores.postgres.endings import END_ALL, END_ONE, END_SOME, announce, announce_ending, how_to_end, lived
from propylon.stores.postgres.feed import Feed
from propylon.stores.postgres.rows import DEADLINE, INSERT_SESSION, UPDATE_SESSION
from propylon.stores.rows import SESSION_COLUMNS, changing_values, fixed_values, session_of

# ruff: noqa: S608 - only names of columns are put into the queries, never values
_FIND = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE id = any($1::text[])"
_LOCK = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE id = $1 FOR UPDATE"
_LIVE = f"ended_at IS NULL AND {DEADLINE} > $1"
_LIVE_OF_USER = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE {_LIVE} AND user_id = $2 ORDER BY seq"
_ALL_LIVE = f"SELECT {SESSION_COLUMNS} FROM sessions WHERE {_LIVE} ORDER BY seq DESC LIMIT $2"
_COUNT_BY_MODE = f"SELECT mode, device_kind, count(*) FROM sessions WHERE {_LIVE} GROUP BY 1, 2"
_TOUCH = f"UPDATE sessions SET last_seen_at = greatest(last_seen_at, $1), ip = $2 WHERE {_LIVE} AND id = $3"
# Whoever changes the version or disables the account waits for this lock, or is waited for.
_LOCK_VERSION = "SELECT security_version FROM users WHERE id = $1 AND disabled_at IS NULL FOR NO KEY UPDATE"
_DROP_ENDED = """
DELETE FROM sessions WHERE seq IN (
    SELECT seq FROM sessions WHERE ended_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING 1
"""
_DROP_EXPIRED = f"""
DELETE FROM sessions WHERE seq IN (
    SELECT seq FROM sessions WHERE ended_at IS NULL AND {DEADLINE} <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING 1
"""
DROP_USELESS = (_DROP_ENDED, _DROP_EXPIRED)


class Sessions(Feed):
    """``propylon.ports.SessionReader``, ``SessionWriter`` and ``SessionEnder``, on PostgreSQL."""

    def __init__(self, url: str, *, max_silence_s: float, followed: bool) -> None:
        super().__init__(url, max_silence_s=max_silence_s, followed=followed)
        self._sessions = Coalescer(self._find_sessions)

    async def find_session(self, session_id: str) -> Session | None:
        return await self._sessions.find(findable(session_id))

    async def live_sessions(self, user_id: str, now: int) -> list[Session]:
        return [session_of(row) for row in await self._fetch(_LIVE_OF_USER, now, findable(user_id))]

    async def all_live_sessions(self, now: int, limit: int) -> list[Session]:
        return [session_of(row) for row in await self._fetch(_ALL_LIVE, now, limit)]

    async def count_by_mode(self, now: int) -> dict[tuple[Mode, Kind], int]:
        return {(mode, kind): count for mode, kind, count in await self._fetch(_COUNT_BY_MODE, now)}

    async def open_session(self, opening: Opening, now: int) -> Opened | LimitReached | SignInVoid:
        outcome = await self._write(_open, opening, now)
        if opening.end is not None or (isinstance(outcome, Opened) and outcome.evicted):
            await self._announced()
        return outcome

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
        async def work(db: Any) -> refresh.RefreshOutcome:
            held = await _locked(db, session_id)
            outcome = refresh.rotate(held, presented, now=now, grace_s=grace_s, origin=origin, ip=ip)
            await _keep_outcome(db, held, outcome, feed_ttl_s)
            return outcome

        outcome = await self._write(work)
        if isinstance(outcome, refresh.Reused):
            await self._announced()
        return outcome

    async def touch(self, session_id: str, *, now: int, ip: str) -> None:
        await self._change(_TOUCH, now, ip, findable(session_id))

    async def confirm(self, session_id: str, *, now: int, origin: str, grace: bool) -> Session | None:
        session = await self._write(partial(_confirm, grace=grace), session_id, now, origin)
        if session is not None:
            await self._announced()
        return session

    async def move_session(
        self, session_id: str, to: Mode, *, cookie: int | None, now: int, grace_s: int, origin: str
    ) -> MoveOutcome:
        async def work(db: Any) -> MoveOutcome:
            held = await _locked(db, session_id)
            outcome = move(held, to, cookie=cookie, now=now, grace_s=grace_s, origin=origin)
            if isinstance(outcome, Moved):
                await _save(db, outcome.session)
                await announce(db, "session_changed", session_id)
            return outcome

        outcome = await self._write(work)
        if isinstance(outcome, Moved):
            await self._announced()
        return outcome

    async def end_session(self, session_id: str, ending: Ending, *, user_id: str | None, feed_ttl_s: int) -> bool:
        over = await self._change(END_ONE, *how_to_end(ending, feed_ttl_s), findable(session_id), user_id)
        if over:
            await self._announced()
        return lived(over) != ()

    async def end_sessions(self, user_id: str, ending: Ending, *, keep: str | None, feed_ttl_s: int) -> tuple[str, ...]:
        over = await self._change(END_ALL, *how_to_end(ending, feed_ttl_s), findable(user_id), keep)
        if over:
            await self._announced()
        return lived(over)

    async def _find_sessions(self, session_ids: Sequence[str]) -> Mapping[str, Session]:
        return {row[0]: session_of(row) for row in await self._fetch(_FIND, session_ids)}


async def _locked(db: Any, session_id: str) -> Session | None:
    row = await db.fetchrow(_LOCK, findable(session_id))
    return None if row is None else session_of(row)


async def _save(db: Any, session: Session) -> None:
    await db.execute(UPDATE_SESSION, *changing_values(session), session.id)


async def _open(db: Any, opening: Opening, now: int) -> Opened | LimitReached | SignInVoid:
    newcomer = opening.session
    version = await db.fetchval(_LOCK_VERSION, newcomer.user_id)
    if version != opening.security_version:  # None where there is no such account, or none that may sign in
        return SignInVoid()
    if (held := await _locked(db, newcomer.id)) is not None:
        # The same one: it came in, and the answer was lost on the way.
        return Opened(newcomer, ()) if held.salt == newcomer.salt else SignInVoid()
    live = await _crowd(db, opening, now)
    made_room = await _make_room(db, opening, now, live)
    staying = [session for session in live if session.id != opening.end]
    admission = admit(opening.limits, staying, newcomer, opening.roles)
    if isinstance(admission, LimitReached):
        return admission
    evicted = await _end(db, admission.evicted, Ending("evicted", now, newcomer.device), opening.feed_ttl_s)
    await db.execute(INSERT_SESSION, *fixed_values(newcomer), *changing_values(newcomer))
    return Opened(newcomer, evicted, made_room)


async def _crowd(db: Any, opening: Opening, now: int) -> list[Session]:
    """Return the live sessions that the limits count, locked; none are read where nothing is limited or chosen.

    A statement of its own, after the account was locked: it sees what the holder before has committed.
    """
    limits = opening.limits
    if not limits.per_kind and limits.of(opening.roles) is None and opening.end is None:
        return []
    return [session_of(row) for row in await db.fetch(f"{_LIVE_OF_USER} FOR UPDATE", now, opening.session.user_id)]


async def _make_room(db: Any, opening: Opening, now: int, live: list[Session]) -> Session | None:
    """End the session that the user chose and return it, also when the newcomer will not fit all the same."""
    chosen = [session for session in live if session.id == opening.end]
    over = await _end(db, chosen, Ending("ended_by_user", now, opening.session.device), opening.feed_ttl_s)
    return over[0] if over else None


async def _end(db: Any, sessions: Sequence[Session], ending: Ending, feed_ttl_s: int) -> tuple[Session, ...]:
    if sessions:
        await db.fetch(END_SOME, *how_to_end(ending, feed_ttl_s), [session.id for session in sessions])
    return tuple(ended(session, ending) for session in sessions)


async def _keep_outcome(db: Any, held: Session | None, outcome: refresh.RefreshOutcome, feed_ttl_s: int) -> None:
    session = outcome.session
    if session is None or session is held:
        return
    await _save(db, session)
    if isinstance(outcome, refresh.Reused) and session.ending is not None:
        await announce_ending(db, session.id, session.ending, feed_ttl_s)


async def _confirm(db: Any, session_id: str, now: int, origin: str, *, grace: bool) -> Session | None:
    session = await _locked(db, session_id)
    if session is None or refusal(session, now) is not None:
        return None
    session = confirmed(session, now=now, origin=origin, grace=grace)
    await _save(db, session)
    await announce(db, "session_changed", session_id)
    return session
