"""A password becomes a session."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

import msgspec

from propylon.core.discreet import Discreet
from propylon.core.email import canonical
from propylon.core.limits import LimitReached, SessionLimits
from propylon.core.password import NO_PASSWORD, as_hashed, prepared, reads_all_of
from propylon.core.principal import User
from propylon.core.secret import KeyRing, new_session_id
from propylon.core.session import Mode, Session, SessionPolicy
from propylon.errors import ClientError, Conflict, CredentialRefused, Unavailable
from propylon.flows.caller import Caller, DescribeDevice
from propylon.flows.issue import Issued, Issuer
from propylon.flows.randomness import Randomness
from propylon.flows.throttling import Turnstile
from propylon.ports import Clock, Opening, PasswordHashing, SecurityLog, SignInVoid, Store

SALT_BYTES = 32


class SignInRequest(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """What a person types and an app chooses.

    Attributes:
        end: id of a session of theirs to end first, to make room under a limit.
    """

    shown: ClassVar[tuple[str, ...]] = ("mode", "remember")

    email: str
    password: str
    mode: Mode
    remember: bool = False
    end: str | None = None


class SignedIn(msgspec.Struct, frozen=True):
    """A user and what their new session hands out."""

    user: User
    issued: Issued


class SignIn:
    """Signs users in with their password."""

    def __init__(
        self,
        store: Store,
        hashing: PasswordHashing,
        issuer: Issuer,
        ring: KeyRing,
        clock: Clock,
        random: Randomness,
        log: SecurityLog,
        describe: DescribeDevice,
        *,
        policy: SessionPolicy,
        limits: SessionLimits,
    ) -> None:
        self._store, self._hashing, self._issuer, self._ring = store, hashing, issuer, ring
        self._clock, self._random, self._log, self._describe = clock, random, log, describe
        self._policy, self._limits = policy, limits
        self._turnstile = Turnstile(store, clock, log, "sign-in")

    async def __call__(self, request: SignInRequest, caller: Caller) -> SignedIn:
        """Sign in.

        Raises:
            CredentialRefused: ``credentials_wrong`` for a wrong password and an unknown address alike, in the
                same time; ``user_disabled`` only to who knows the password.
            Conflict: ``session_limit_reached``, with the ``sessions`` of which one could end.
            TooMany: too many failures from this source.
            Overloaded: the hash pool is full.
        """
        keys = self._turnstile.keys(canonical(request.email), caller.source)
        async with self._turnstile.turn(keys):
            user, right = await self._looked_up(request)
            if user is None or not right:
                await self._turnstile.failed(keys)
                raise self._failed(user, "credentials_wrong", caller)
        if user.disabled_at is not None:
            raise self._failed(user, "user_disabled", caller)
        session = await self._open(user, request, caller)
        # The session is open: what the store or the queue has no room for now is done at the next sign-in.
        with suppress(Unavailable):
            await self._turnstile.succeeded(keys)
            await self._rehash_when_weaker(user, request.password)
        return SignedIn(user, await self._issuer.for_mode(session, user, self._clock.now()))

    async def _looked_up(self, request: SignInRequest) -> tuple[User | None, bool]:
        """Return the user, and whether the password is theirs; an unknown address costs the same hash."""
        user = await self._store.find_user_by_email(canonical(request.email))
        try:
            password = prepared(request.password)
        except ClientError:
            # No account can have this password; still the answer must cost what every other costs.
            return user, await self._hashing.decoy_verify(b"")
        if user is None or user.password_hash == NO_PASSWORD:
            return user, await self._hashing.decoy_verify(password)
        return user, await self._hashing.verify(user.password_hash, as_hashed(user.password_hash, request.password))

    def _failed(self, user: User | None, code: str, caller: Caller) -> CredentialRefused:
        """Return the refusal, on record: an operator sees whose account is tried, the caller does not."""
        user_id = user.id if user is not None else None
        self._log.record("authn_login_fail", user=user_id, source=caller.source, reason=code)
        return CredentialRefused(code)

    async def _open(self, user: User, request: SignInRequest, caller: Caller) -> Session:
        now = self._clock.now()
        outcome = await self._store.open_session(self._opening(user, request, caller, now), now)
        if isinstance(outcome, LimitReached):
            self._log.record("session_limit_reached", user=user.id, limit=outcome.limit)
            raise Conflict("session_limit_reached", limit=outcome.limit, sessions=outcome.sessions)
        if isinstance(outcome, SignInVoid):
            raise self._failed(user, "credentials_wrong", caller)
        if outcome.made_room is not None:
            self._log.record("session_ended", user=user.id, session=outcome.made_room.id, reason="ended_by_user")
        for evicted in outcome.evicted:
            self._log.record("session_evicted", user=user.id, session=evicted.id, by=outcome.session.id)
        self._log.record("authn_login_success", user=user.id, session=outcome.session.id, mode=request.mode)
        return outcome.session

    def _opening(self, user: User, request: SignInRequest, caller: Caller, now: int) -> Opening:
        session = Session(
            id=new_session_id(self._random(16), user.id),
            user_id=user.id,
            salt=self._random(SALT_BYTES),
            key_id=self._ring.current.id,
            mode=request.mode,
            remember=request.remember,
            created_at=now,
            auth_time=now,
            earlier_auth_time=now,
            expires_at=now + self._policy.absolute_ttl_s,
            idle_ttl_s=self._policy.idle_ttl_s,
            last_seen_at=now,
            refresh_rotated_at=now,
            refresh_origin=caller.origin,
            device=self._describe(caller.user_agent),
            ip=caller.ip,
        )
        return Opening(
            session=session,
            limits=self._limits,
            roles=user.roles,
            security_version=user.security_version,
            end=request.end,
            feed_ttl_s=self._policy.feed_ttl_s,
        )

    async def _rehash_when_weaker(self, user: User, password: str) -> None:
        """Store a stronger hash now: a sign-in is the only moment that has the password in clear."""
        stored = user.password_hash
        # What bcrypt did not read may have been mistyped: hashed now, it would lock its owner out.
        if self._hashing.needs_rehash(stored) and reads_all_of(stored, as_hashed(stored, password)):
            await self._store.rehash(user.id, user.password_hash, await self._hashing.hash(prepared(password)))
