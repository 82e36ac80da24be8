"""A refresh token, or a signed-in cookie session, becomes an access token."""

from __future__ import annotations

import msgspec

from propylon.core.principal import Principal, User
from propylon.core.refresh import GivenUp, Late, Missing, Overtaken, Repeated, Reused, Rotated, auth_time_after
from propylon.core.secret import Presented
from propylon.core.session import Session, SessionPolicy, refusal
from propylon.errors import CredentialRefused
from propylon.flows.caller import Caller
from propylon.flows.issue import REFRESH, Issued, Issuer, presented
from propylon.flows.refusals import refused
from propylon.flows.throttling import Turnstile
from propylon.ports import Clock, SecurityLog, Store

_OUTCOME_EVENTS = {
    Rotated: "token_rotated",
    Repeated: "token_repeated",
    Late: "token_late",
    Overtaken: "token_repeated",
}


class Renew:
    """Renews access."""

    def __init__(self, store: Store, issuer: Issuer, clock: Clock, log: SecurityLog, *, policy: SessionPolicy) -> None:
        self._store, self._issuer, self._clock, self._log, self._policy = store, issuer, clock, log, policy
        self._turnstile = Turnstile(store, clock, log, "refresh")

    async def by_refresh_token(self, value: str, caller: Caller) -> Issued:
        """Rotate a refresh token.

        A right token is looked at before any count of failures, so nobody's noise can keep it out; only wrong
        ones are slowed down.

        Raises:
            CredentialRefused: malformed, expired, ended, reused, or its user was disabled.
            TooMany: too many wrong tokens from this source.
        """
        try:
            session, secret = await self._recognised(value)
        except CredentialRefused:
            await self._count_failure(caller)
            raise
        user = await self._enabled_user(session)
        outcome = await self._rotate(session, secret, caller)
        rotated = outcome.session
        as_proved = msgspec.structs.replace(rotated, auth_time=auth_time_after(outcome, caller.origin))
        access = await self._issuer.access_token(as_proved, user, self._clock.now())
        successor = None if isinstance(outcome, Overtaken) else self._issuer.refresh_token(rotated)
        return Issued(session=rotated, access=access, refresh_token=successor)

    async def by_cookie(self, principal: Principal) -> Issued:
        """Return an access token alone: the cookie stays the means of renewal."""
        session = await self._store.find_session(principal.session_id)
        now = self._clock.now()
        if session is None:
            raise CredentialRefused("session_expired")
        if (code := refusal(session, now)) is not None:
            raise refused(session, code)
        user = await self._enabled_user(session)
        # The cookie from before a step-up is good for the grace window, with the time of authentication that it
        # was issued with; the token made from it must not claim more.
        as_known = msgspec.structs.replace(session, auth_time=principal.auth_time)
        return Issued(session=session, access=await self._issuer.access_token(as_known, user, now))

    async def _recognised(self, value: str) -> tuple[Session, Presented]:
        secret = presented(value)
        session = await self._store.find_session(secret.session_id)
        if session is None:
            raise CredentialRefused("credential_malformed")
        self._issuer.recognise(session, REFRESH, secret)
        return session, secret

    async def _count_failure(self, caller: Caller) -> None:
        keys = self._turnstile.keys("", caller.source)[1:]
        await self._turnstile.admit(keys)
        await self._turnstile.failed(keys)

    async def _enabled_user(self, session: Session) -> User:
        user = await self._store.find_user(session.user_id)
        if user is None or user.disabled_at is not None:
            raise CredentialRefused("user_disabled")
        return user

    async def _rotate(
        self, session: Session, secret: Presented, caller: Caller
    ) -> Rotated | Repeated | Late | Overtaken:
        outcome = await self._store.rotate(
            session.id,
            secret.generation,
            now=self._clock.now(),
            grace_s=self._policy.refresh_grace_s,
            origin=caller.origin,
            ip=caller.ip,
            feed_ttl_s=self._policy.feed_ttl_s,
        )
        if isinstance(outcome, Reused):
            self._log.record(
                "token_reused",
                user=session.user_id,
                session=session.id,
                source=caller.source,
                last_ip=session.ip,
            )
            raise CredentialRefused("token_reused")
        if isinstance(outcome, GivenUp):
            self._log.record("token_given_up", session=session.id, source=caller.source)
            raise CredentialRefused("session_revoked")
        if isinstance(outcome, Missing):
            raise self._refusal_of_missing(outcome.session, secret)
        self._log.record(_OUTCOME_EVENTS[type(outcome)], session=session.id)
        return outcome

    def _refusal_of_missing(self, session: Session | None, secret: Presented) -> CredentialRefused:
        if session is None:
            return CredentialRefused("session_expired")
        given_away = session.ending is not None and session.ending.reason == "reused"
        if given_away and secret.generation < session.refresh_generation:
            # The copy that gave the theft away goes on hearing why; the newest token was merely revoked.
            return CredentialRefused("token_reused")
        return refused(session, refusal(session, self._clock.now()) or "session_expired")
