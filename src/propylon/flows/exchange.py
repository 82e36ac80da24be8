"""A session of another system becomes one of ours, once: who comes from elsewhere need not sign in again."""

from __future__ import annotations

import hashlib
from typing import Protocol

from propylon.core.email import canonical
from propylon.core.foreign_account import DjangoRow, Owner, UnprovedAddress
from propylon.core.foreign_session import ForeignSession
from propylon.core.principal import NEVER_RESET, User
from propylon.flows.caller import Caller
from propylon.flows.issue import Issuer
from propylon.flows.opening import Opener, Proof, SignedIn, Wish
from propylon.flows.throttling import Turnstile
from propylon.ports import Clock, SecurityLog, Store


class ForeignSessions(Protocol):
    """Sessions of another system, looked up there; a port for this flow alone."""

    async def find(self, cookie: str, now: int) -> ForeignSession | None:
        """Return the session of a cookie, if it is good there at this moment.

        Raises ``StoreUnavailable`` where that system's database does not answer.
        """


class Exchange:
    """Exchanges sessions.

    The id of the new session is derived from the other system's. A store opens one session of an id and keeps it
    for longer than the other one lives, so no second exchange succeeds, on whichever node and however it ended.

    Attributes:
        cookie_name: of the cookie that holds the other system's sessions.
    """

    def __init__(
        self,
        store: Store,
        foreign: ForeignSessions,
        issuer: Issuer,
        opener: Opener,
        clock: Clock,
        log: SecurityLog,
        cookie_name: str,
        *,
        max_age_s: int,
    ) -> None:
        self.cookie_name = cookie_name
        self._store, self._foreign, self._issuer, self._opener, self._clock = store, foreign, issuer, opener, clock
        self._max_age_s = max_age_s
        self._turnstile = Turnstile(store, clock, log, "exchange")

    async def __call__(self, cookie: str, wish: Wish, caller: Caller) -> SignedIn:
        """Open a session for whoever holds a good session elsewhere.

        Raises:
            CredentialRefused: ``credential_malformed`` for what is no good session there, or is of nobody here;
                ``session_revoked`` for what was exchanged before, or is older than a new password here;
                ``user_disabled``.
            Conflict: ``session_limit_reached``.
            TooMany: too many failures from this source.
            StoreUnavailable: the other system's database does not answer.
        """
        keys = self._turnstile.keys("any", caller.source)
        async with self._turnstile.turn(keys):
            found = await self._foreign.find(cookie, self._clock.now())
            user = None if found is None else await self._user(found.owner)
            if found is None or user is None:
                await self._turnstile.failed(keys[1:])  # many people with old cookies may share one address
                raise self._opener.failed(user, "credential_malformed", caller)
        if user.disabled_at is not None:
            raise self._opener.failed(user, "user_disabled", caller)
        # Whoever stole the other system's cookie must not outlast the new password that was set against them.
        if user.security_version != NEVER_RESET:
            raise self._opener.failed(user, "session_revoked", caller)
        session = await self._opener.open(user, wish, caller, self._proof(found))
        return SignedIn(user, await self._issuer.for_mode(session, user, self._clock.now()))

    async def _user(self, owner: Owner) -> User | None:
        """Return the account that was imported from a row, or whose id the session names."""
        if isinstance(owner, UnprovedAddress):
            return await self._store.find_user_by_email(canonical(owner.address))
        user = await self._store.find_user(owner.account)
        if user is None or (isinstance(owner, DjangoRow) and not owner.became(user)):
            return None
        return user

    def _proof(self, found: ForeignSession) -> Proof:
        # When they signed in there is not on record, so it counts as long ago: a step-up asks for the password.
        auth_time = max(0, self._clock.now() - self._max_age_s)
        return Proof(
            method="exchange",
            refusal="session_revoked",
            auth_time=auth_time,
            opens=hashlib.sha256(b"propylon exchange " + found.identity.encode()).digest()[:16],
        )
