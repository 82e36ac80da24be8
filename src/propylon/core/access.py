"""Access tokens, checked against keys and endings: one decision, for the gate and for verifiers elsewhere.

A token is verified whole (``core.jose.access_token``), then held against the sessions that have ended, and what
passed is remembered until it expires. Whoever uses this feeds it every entry of the revocation feed, in order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from propylon.core.jose.access_token import AccessClaims, verify
from propylon.core.jose.jwk import KeySet
from propylon.core.principal import Home, Principal
from propylon.core.remembered import MAX_REMEMBERED, RememberedPrincipals
from propylon.core.revocation import FeedEntry, RevokedSessions

# Another node's clock may run ahead by this much (``iat``, ``nbf``); ``exp`` knows no leeway.
LEEWAY_S = 30

PermissionsOf = Mapping[str, tuple[str, ...]]


class TokenRules(msgspec.Struct, frozen=True):
    """What an access token must name to be for us."""

    issuer: str
    audience: str


class EndedSession(msgspec.Struct, frozen=True):
    """The token is sound, and its session has ended; ``reason`` as in ``core.session.EndReason``."""

    session_id: str
    reason: str


class AccessTokens:
    """The tokens that were verified lately, and the sessions whose tokens are dead."""

    def __init__(
        self,
        rules: TokenRules,
        *,
        keep_s: int,
        permissions_of: PermissionsOf,
        home: Home | None = None,
        most: int = MAX_REMEMBERED,
    ) -> None:
        self._rules, self._permissions_of, self._home = rules, permissions_of, home
        self._remembered, self._revoked = RememberedPrincipals(most), RevokedSessions(keep_s)

    def rehome(self, home: Home) -> None:
        """Give the principals that are admitted from now on another home."""
        self._home = home

    @property
    def remembered(self) -> int:
        """How many tokens are served from memory."""
        return len(self._remembered)

    @property
    def revoked(self) -> int:
        """How many ended sessions are held."""
        return len(self._revoked)

    def ended(self) -> tuple[bytes, ...]:
        """Return the ids of the ended sessions that are held now, in UTF-8."""
        return self._revoked.ids()

    def ending(self, key: bytes) -> tuple[str, float] | None:
        """Return why one of the ``ended`` sessions ended and until which monotonic second it is held, or None."""
        return self._revoked.find(key)

    def recall(self, token: str, monotonic: float) -> Principal | None:
        """Return the principal of a token that was admitted and need not be verified anew."""
        return self._remembered.get(token, monotonic)

    def read(self, token: str, keys: KeySet, algorithms: Collection[str], now: int) -> AccessClaims:
        """Verify everything about a token but whether its session lives; raises ``TokenRefused``."""
        return verify(
            token,
            keys,
            issuer=self._rules.issuer,
            audience=self._rules.audience,
            algorithms=algorithms,
            now=now,
            leeway_s=LEEWAY_S,
        )

    def admit(
        self,
        token: str,
        claims: AccessClaims,
        *,
        now: int,
        monotonic: float,
        remember: bool = True,
        moves_to: str | None = None,
    ) -> Principal | EndedSession:
        """Return who presents a token that ``read`` has verified, and remember it; or that its session has ended."""
        reason = self._revoked.reason(claims.session_id)
        if reason is not None:
            return EndedSession(claims.session_id, reason)
        principal = self._principal_of(claims, moves_to)
        if remember:
            # A second less: ``now`` has lost its fraction, and nothing may be served beyond its end.
            self._remembered.put(token, principal, monotonic + claims.expires_at - now - 1)
        return principal

    def learn(self, entry: FeedEntry, monotonic: float) -> None:
        """Take in one entry of the feed."""
        if entry.subject == "session_ended":
            self._revoked.add(entry, monotonic)
            self._remembered.forget_session(entry.id)
        elif entry.subject == "session_changed" and entry.id:
            self._remembered.forget_session(entry.id)
        elif entry.subject == "user_changed" and entry.id:
            self._remembered.forget_user(entry.id)
        elif entry.subject != "mode_changed":
            # A key goes because it is old, or because it was stolen: nothing it signed is served from memory. And
            # where entries were dropped unread, it may have been any session or user.
            self._remembered.forget_all()

    def forget_remembered(self) -> None:
        """Verify every token anew; the sessions that have ended stay known."""
        self._remembered.forget_all()

    def forget_stale(self, monotonic: float) -> bool:
        """Give memory back, in steps; for upkeep. Return whether there may be more."""
        self._remembered.forget_stale(monotonic)
        return self._revoked.forget_expired(monotonic) > 0

    def granted(self, roles: Collection[str]) -> frozenset[str]:
        """Return the permissions that roles grant."""
        return frozenset(permission for role in roles for permission in self._permissions_of.get(role, ()))

    def _principal_of(self, claims: AccessClaims, moves_to: str | None) -> Principal:
        return Principal(
            user_id=claims.subject,
            session_id=claims.session_id,
            credential="access_token",
            roles=frozenset(claims.roles),
            permissions=self.granted(claims.roles),
            scopes=frozenset(claims.scopes),
            auth_time=claims.auth_time,
            expires_at=claims.expires_at,
            home=self._home,
            moves_to=moves_to,
        )
