"""What an operator does from the command line, by the same store verbs that the service uses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from propylon.core.email import canonical
from propylon.core.principal import User
from propylon.core.session import Ending, Session, SessionPolicy
from propylon.errors import NotFound
from propylon.ports import Clock, SecurityLog, Store

PAGE = 500
# About 20 MB of sessions at a time, and so many users' sessions on their way to the store.
EVERYONE_PAGE, EVERYONE_AT_ONCE = 10_000, 100


class Administration:
    """Accounts and sessions, for an operator."""

    def __init__(self, store: Store, clock: Clock, log: SecurityLog, *, policy: SessionPolicy) -> None:
        self._store, self._clock, self._log, self._policy = store, clock, log, policy

    async def users(self) -> list[User]:
        """Return all accounts by address."""
        found: list[User] = []
        while page := await self._store.list_users(found[-1].email_key if found else "", PAGE):
            found += page
        return found

    async def user(self, email: str) -> User:
        """Return one account, or raise ``NotFound``."""
        user = await self._store.find_user_by_email(canonical(email))
        if user is None:
            raise NotFound("user_unknown", email=email)
        return user

    async def disable(self, email: str) -> User:
        """Stop an account and end all its sessions, at once and everywhere."""
        user = await self.user(email)
        ending = Ending("user_disabled", self._clock.now())
        await self._store.enable_user(user.id, disabled=ending, feed_ttl_s=self._policy.feed_ttl_s)
        self._log.record("user_disabled", user=user.id)
        return await self.user(email)

    async def enable(self, email: str) -> User:
        """Let an account sign in again. Its ended sessions stay ended."""
        user = await self.user(email)
        await self._store.enable_user(user.id, disabled=None, feed_ttl_s=self._policy.feed_ttl_s)
        self._log.record("user_enabled", user=user.id)
        return await self.user(email)

    async def sessions(self, email: str | None, limit: int) -> Sequence[tuple[Session, User | None]]:
        """Return live sessions, newest first, of one user or of everyone."""
        now = self._clock.now()
        if email is not None:
            user = await self.user(email)
            newest_first = reversed(await self._store.live_sessions(user.id, now))
            return [(session, user) for session in newest_first][:limit]
        sessions = await self._store.all_live_sessions(now, limit)
        owners = {user_id: await self._store.find_user(user_id) for user_id in {s.user_id for s in sessions}}
        return [(session, owners[session.user_id]) for session in sessions]

    async def end_session(self, session_id: str) -> None:
        """End one session, or raise ``NotFound``."""
        ending = Ending("ended_by_administrator", self._clock.now())
        feed_ttl_s = self._policy.feed_ttl_s
        if not await self._store.end_session(session_id, ending, user_id=None, feed_ttl_s=feed_ttl_s):
            raise NotFound("session_unknown", session=session_id)
        self._log.record("session_ended", session=session_id, reason=ending.reason)

    async def end_sessions(self, user_id: str) -> int:
        """End all sessions of a user; return how many."""
        ending = Ending("ended_by_administrator", self._clock.now())
        count = await self._end_all(user_id, ending)
        self._log.record("sessions_ended", user=user_id, count=count, reason=ending.reason)
        return count

    async def end_everyone(self) -> int:
        """End all sessions of everyone; return how many.

        What lived when this was called has ended when it returns. Somebody who signs in meanwhile may be ended too.
        """
        ending = Ending("ended_by_administrator", self._clock.now())
        count = 0
        # By users, since their sessions are together in every store; and by pages, since there may be millions.
        while page := await self._store.all_live_sessions(ending.at, EVERYONE_PAGE):
            users = list({session.user_id for session in page})
            for start in range(0, len(users), EVERYONE_AT_ONCE):
                batch = users[start : start + EVERYONE_AT_ONCE]
                count += sum(await asyncio.gather(*(self._end_all(user_id, ending) for user_id in batch)))
        self._log.record("everyone_signed_out", count=count, reason=ending.reason)
        return count

    async def _end_all(self, user_id: str, ending: Ending) -> int:
        return len(await self._store.end_sessions(user_id, ending, keep=None, feed_ttl_s=self._policy.feed_ttl_s))
