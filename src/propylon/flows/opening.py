"""Whoever has proved who they are gets a session, within the limits."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from propylon.core.discreet import Discreet
from propylon.core.limits import LimitReached, SessionLimits
from propylon.core.principal import User
from propylon.core.secret import KeyRing, new_session_id
from propylon.core.session import Mode, Session, SessionPolicy
from propylon.errors import Conflict, CredentialRefused
from propylon.flows.caller import Caller, DescribeDevice
from propylon.flows.issue import Issued
from propylon.flows.randomness import Randomness
from propylon.ports import Clock, Opening, SecurityLog, SignInVoid, Store

SALT_BYTES = 32


class Wish(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """What an app chooses about a new session.

    Attributes:
        end: id of a session of theirs to end first, to make room.
    """

    shown: ClassVar[tuple[str, ...]] = ("mode", "remember")

    mode: Mode
    remember: bool = False
    end: str | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody proved who they are.

    Attributes:
        auth_time: when, epoch seconds; None is now.
        opens: 16 bytes that open one session and no second; None makes new ones.
        refusal: the code where the account changed since the proof, or it was used before.
    """

    method: str = "password"
    refusal: str = "credentials_wrong"
    auth_time: int | None = None
    opens: bytes | None = None


class SignedIn(msgspec.Struct, frozen=True):
    """A user and what their new session hands out."""

    user: User
    issued: Issued


class Opener:
    """Opens sessions."""

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        clock: Clock,
        random: Randomness,
        log: SecurityLog,
        describe: DescribeDevice,
        *,
        policy: SessionPolicy,
        limits: SessionLimits,
    ) -> None:
        self._store, self._ring, self._clock, self._random = store, ring, clock, random
        self._log, self._describe, self._policy, self._limits = log, describe, policy, limits

    async def open(self, user: User, wish: Wish, caller: Caller, proof: Proof | None = None) -> Session:
        """Open a session for a user whose proof was checked; without one it was the password, just now.

        Raises:
            Conflict: ``session_limit_reached``, with the ``sessions`` of which one could end.
            CredentialRefused: the account changed since, or the proof was used before.
        """
        now, proof = self._clock.now(), proof or Proof()
        outcome = await self._store.open_session(self._opening(user, wish, caller, proof, now), now)
        if isinstance(outcome, LimitReached):
            self._log.record("session_limit_reached", user=user.id, limit=outcome.limit)
            raise Conflict("session_limit_reached", limit=outcome.limit, sessions=outcome.sessions)
        if isinstance(outcome, SignInVoid):
            raise self.failed(user, proof.refusal, caller)
        if outcome.made_room is not None:
            self._log.record("session_ended", user=user.id, session=outcome.made_room.id, reason="ended_by_user")
        for evicted in outcome.evicted:
            self._log.record("session_evicted", user=user.id, session=evicted.id, by=outcome.session.id)
        self._log.record("authn_login_success", user=user.id, session=outcome.session.id, mode=wish.mode)
        return outcome.session

    def failed(self, user: User | None, code: str, caller: Caller) -> CredentialRefused:
        """Return the refusal, on record: an operator sees whose account is tried, the caller does not."""
        user_id = user.id if user is not None else None
        self._log.record("authn_login_fail", user=user_id, source=caller.source, reason=code)
        return CredentialRefused(code)

    def _opening(self, user: User, wish: Wish, caller: Caller, proof: Proof, now: int) -> Opening:
        auth_time = now if proof.auth_time is None else proof.auth_time
        session = Session(
            id=new_session_id(self._random(16) if proof.opens is None else proof.opens, user.id),
            user_id=user.id,
            salt=self._random(SALT_BYTES),
            key_id=self._ring.current.id,
            mode=wish.mode,
            remember=wish.remember,
            created_at=now,
            auth_time=auth_time,
            earlier_auth_time=auth_time,
            expires_at=now + self._policy.absolute_ttl_s,
            idle_ttl_s=self._policy.idle_ttl_s,
            last_seen_at=now,
            refresh_rotated_at=now,
            refresh_origin=caller.origin,
            device=self._describe(caller.user_agent),
            ip=caller.ip,
            sign_in_method=proof.method,
        )
        return Opening(
            session=session,
            limits=self._limits,
            roles=user.roles,
            security_version=user.security_version,
            end=wish.end,
            feed_ttl_s=self._policy.feed_ttl_s,
        )
