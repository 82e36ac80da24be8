"""Sessions end: one's own, another device's, all others, all. What returns has happened, everywhere."""

from __future__ import annotations

from propylon.core.principal import Principal
from propylon.core.session import Ending, SessionPolicy
from propylon.errors import NotFound
from propylon.flows.caller import Caller, DescribeDevice
from propylon.ports import Clock, SecurityLog, Store


class SignOut:
    """Ends sessions of the caller."""

    def __init__(
        self, store: Store, clock: Clock, log: SecurityLog, describe: DescribeDevice, *, policy: SessionPolicy
    ) -> None:
        self._store, self._clock, self._log, self._describe, self._policy = (
            store,
            clock,
            log,
            describe,
            policy,
        )

    async def here(self, principal: Principal) -> None:
        """End the caller's own session; that it was already over is no error."""
        await self._end(principal.session_id, Ending("signed_out", self._clock.now()), principal.user_id)

    async def one(self, principal: Principal, session_id: str, caller: Caller) -> None:
        """End one of the caller's sessions.

        Raises:
            NotFound: it is nobody's, or somebody else's: the caller cannot tell which.
        """
        if not await self._end(session_id, self._by_user(caller), principal.user_id):
            raise NotFound

    async def others(self, principal: Principal, caller: Caller) -> int:
        """End all sessions of the caller but this one; return how many."""
        return await self._all(principal.user_id, self._by_user(caller), keep=principal.session_id)

    async def everywhere(self, principal: Principal, caller: Caller) -> int:
        """End all sessions of the caller, this one too; return how many."""
        return await self._all(principal.user_id, self._by_user(caller), keep=None)

    def _by_user(self, caller: Caller) -> Ending:
        return Ending("ended_by_user", self._clock.now(), self._describe(caller.user_agent))

    async def _end(self, session_id: str, ending: Ending, user_id: str) -> bool:
        done = await self._store.end_session(session_id, ending, user_id=user_id, feed_ttl_s=self._policy.feed_ttl_s)
        if done:
            self._log.record("session_ended", user=user_id, session=session_id, reason=ending.reason)
        return done

    async def _all(self, user_id: str, ending: Ending, *, keep: str | None) -> int:
        gone = await self._store.end_sessions(user_id, ending, keep=keep, feed_ttl_s=self._policy.feed_ttl_s)
        for session_id in gone:
            self._log.record("session_ended", user=user_id, session=session_id, reason=ending.reason)
        return len(gone)
