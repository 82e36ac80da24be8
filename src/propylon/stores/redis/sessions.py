"""Single sessions: found, moved on, ended, and the data that apps keep with them."""

# ruff: noqa: D102 - the ports say what each method means
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from propylon.core import refresh
from propylon.core.moving import Moved, MoveOutcome, move
from propylon.core.principal import SessionData
from propylon.core.session import Ending, Mode, Session, confirmed, ended, refusal, touched
from propylon.stores.news import kept_until
from propylon.stores.redis.database import decided
from propylon.stores.redis.feed import Announcement, Change
from propylon.stores.redis.layout import data_key, raw_id, session_key
from propylon.stores.redis.records import Held, packed_data, unpacked, unpacked_data
from propylon.stores.redis.user_sessions import KEEP_OVER_S, SessionsOfUsers, change_of


class Sessions(SessionsOfUsers):
    """What ``propylon.ports`` says of one session and its data, on Redis."""

    async def find_session(self, session_id: str) -> Session | None:
        held = await self._held(session_id)
        return None if held is None else held.session

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
        async def step() -> refresh.RefreshOutcome:
            held = await self._held(session_id)
            before = None if held is None else held.session
            outcome = refresh.rotate(before, presented, now=now, grace_s=grace_s, origin=origin, ip=ip)
            if held is not None and outcome.session is not None and outcome.session is not before:
                reused = isinstance(outcome, refresh.Reused)
                told = [Announcement("session_ended", session_id, "reused", now + feed_ttl_s)] if reused else []
                await self._keep(held, outcome.session, now, told)
            return outcome

        return await decided(step)

    async def touch(self, session_id: str, *, now: int, ip: str) -> None:
        async def step() -> None:
            held = await self._held(session_id)
            if held is not None and refusal(held.session, now) is None:
                await self._keep(held, touched(held.session, now=now, ip=ip), now)

        await decided(step)

    async def confirm(self, session_id: str, *, now: int, origin: str, grace: bool) -> Session | None:
        async def step() -> Session | None:
            held = await self._held(session_id)
            if held is None or refusal(held.session, now) is not None:
                return None
            session = confirmed(held.session, now=now, origin=origin, grace=grace)
            await self._keep(held, session, now, [Announcement("session_changed", session_id, "", kept_until())])
            return session

        return await decided(step)

    async def move_session(
        self, session_id: str, to: Mode, *, cookie: int | None, now: int, grace_s: int, origin: str
    ) -> MoveOutcome:
        async def step() -> MoveOutcome:
            held = await self._held(session_id)
            before = None if held is None else held.session
            outcome = move(before, to, cookie=cookie, now=now, grace_s=grace_s, origin=origin)
            if held is not None and isinstance(outcome, Moved):
                told = Announcement("session_changed", session_id, "", kept_until())
                await self._keep(held, outcome.session, now, [told])
            return outcome

        return await decided(step)

    async def end_session(self, session_id: str, ending: Ending, *, user_id: str | None, feed_ttl_s: int) -> bool:
        async def step() -> bool:
            held = await self._held(session_id)
            if held is None or held.session.ending is not None or user_id not in (None, held.session.user_id):
                return False
            told = Announcement("session_ended", session_id, ending.reason, ending.at + feed_ttl_s)
            await self._keep(held, ended(held.session, ending), ending.at, [told])
            return refusal(held.session, ending.at) is None

        return await decided(step)

    async def read_data(self, session_id: str) -> SessionData:
        raw = raw_id(session_id)
        version, value = unpacked_data(None if raw is None else await self.find(data_key(raw)))
        return SessionData(value, version)

    async def replace_data(self, session_id: str, value: dict[str, Any], expected: int | None) -> int | None:
        raw = raw_id(session_id)
        if raw is None:
            return None

        async def step() -> int | None:
            held, before = await self._held(session_id), await self.find(data_key(raw))
            version, _ = unpacked_data(before)
            if held is None or held.session.ending is not None or expected not in (None, version):
                return None
            same = Change(session_key(raw), held.raw, held.raw, 0)
            # As long as the session may live, since its absolute end does not move, and as it is kept then.
            ttl_s = max(0, held.session.expires_at - held.session.created_at) + KEEP_OVER_S
            after = Change(data_key(raw), before or b"", packed_data(version + 1, value), ttl_s)
            await self._swap(raw[0] >> 4, [same, after])
            return version + 1

        return await decided(step)

    async def _held(self, session_id: str) -> Held | None:
        raw = raw_id(session_id)
        value = None if raw is None else await self.find(session_key(raw))
        return None if raw is None or value is None else unpacked(raw, value)

    async def _keep(self, held: Held, session: Session, now: int, told: Sequence[Announcement] = ()) -> None:
        raw = raw_id(session.id) or b""
        await self._swap(raw[0] >> 4, [change_of(held, session, now)], told)
