"""What a session's holder is given: cookie value, refresh token, access token. Derived, never stored."""

from __future__ import annotations

import base64
import logging
from typing import ClassVar

import msgspec

from propylon.core.discreet import Discreet
from propylon.core.jose.access_token import AccessClaims, carried_roles, issue
from propylon.core.principal import User
from propylon.core.secret import KeyRing, Presented, derive, matches, parse, spell
from propylon.core.session import Session
from propylon.errors import CredentialRefused, SetupError
from propylon.flows.randomness import Randomness
from propylon.flows.signing import SigningKeys

logger = logging.getLogger("propylon")

COOKIE = "cookie"
REFRESH = "refresh"


class AccessToken(Discreet, msgspec.Struct, frozen=True):
    """A signed access token and the seconds it lives from now."""

    shown: ClassVar[tuple[str, ...]] = ("expires_in_s",)

    value: str
    expires_in_s: int


class Issued(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a sign-in or a renewal; what the mode does not call for is None."""

    shown: ClassVar[tuple[str, ...]] = ("session",)

    session: Session
    cookie: str | None = None
    access: AccessToken | None = None
    refresh_token: str | None = None


class Issuer:
    """Spells credentials, and recognises the opaque ones."""

    def __init__(
        self,
        ring: KeyRing,
        keys: SigningKeys,
        random: Randomness,
        *,
        issuer: str,
        audience: str,
        access_ttl_s: int,
    ) -> None:
        self._ring, self._keys, self._random = ring, keys, random
        self._issuer, self._audience, self._access_ttl_s = issuer, audience, access_ttl_s

    def cookie(self, session: Session) -> str:
        """Return the value of the session cookie in its newest generation."""
        return self._spell(session, COOKIE, session.cookie_generation)

    def refresh_token(self, session: Session) -> str:
        """Return the newest refresh token."""
        return self._spell(session, REFRESH, session.refresh_generation)

    async def access_token(self, session: Session, user: User, now: int) -> AccessToken:
        """Return a new access token. It never outlives the session behind it."""
        await self._keys.ready()
        expires_at = min(now + self._access_ttl_s, session.expires_at, now + session.idle_ttl_s)
        claims = AccessClaims(
            issuer=self._issuer,
            subject=user.id,
            audience=(self._audience,),
            expires_at=expires_at,
            issued_at=now,
            token_id=base64.urlsafe_b64encode(self._random(12)).decode("ascii"),
            session_id=session.id,
            auth_time=session.auth_time,
            roles=_carried(user),
        )
        return AccessToken(issue(claims, self._keys.current), expires_at - now)

    async def for_mode(self, session: Session, user: User, now: int) -> Issued:
        """Return what a new session of ``session.mode`` hands out."""
        if session.mode == "cookie":
            return Issued(session=session, cookie=self.cookie(session))
        access = await self.access_token(session, user, now)
        return Issued(session=session, access=access, refresh_token=self.refresh_token(session))

    def recognise(self, session: Session, kind: str, presented: Presented) -> None:
        """Raise ``credential_malformed`` unless we issued this secret."""
        key = self._ring.find(session.key_id)
        if key is None or not matches(key, session.salt, kind, presented):
            raise CredentialRefused("credential_malformed")

    def _spell(self, session: Session, kind: str, generation: int) -> str:
        key = self._ring.find(session.key_id)
        if key is None:
            raise SetupError("server_key_of_sessions", key_id=repr(session.key_id))
        return spell(session.id, generation, derive(key, session.salt, kind, generation))


def _carried(user: User) -> tuple[str, ...]:
    """Leave out roles that no token can carry: a record of other hands may grant less, not stop every sign-in."""
    roles = carried_roles(user.roles)
    if len(roles) < len(user.roles):
        logger.warning("the access token of user %s leaves out %d roles", user.id, len(user.roles) - len(roles))
    return roles


def presented(value: str) -> Presented:
    """Parse an opaque credential, or raise ``credential_malformed``."""
    parsed = parse(value)
    if parsed is None:
        raise CredentialRefused("credential_malformed")
    return parsed
