"""Accounts: made, renamed, given a new password, confirmed."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import msgspec

from propylon.config import check_role_name
from propylon.core.discreet import Discreet
from propylon.core.email import canonical, checked
from propylon.core.jose.access_token import MAX_ROLES
from propylon.core.password import NO_PASSWORD, PasswordPolicy, as_hashed, prepared
from propylon.core.principal import Principal, User
from propylon.core.session import Ending, Session, SessionPolicy
from propylon.errors import Conflict, CredentialRefused, NotFound, RuleRefused, Unusable
from propylon.flows.caller import Caller
from propylon.flows.randomness import Randomness
from propylon.flows.throttling import SIGN_UP, TAKEN, Turnstile
from propylon.ports import Clock, PasswordHashing, SecurityLog, Store

MAX_NAME_CODE_POINTS = 100


class NewAccount(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-up says."""

    email: str
    password: str
    name: str = ""
    roles: tuple[str, ...] = ()


def checked_name(name: str) -> str:
    """Return the name, trimmed; raise ``RuleRefused`` for control characters, surrogates, or too much of it."""
    trimmed = name.strip()
    if len(trimmed) > MAX_NAME_CODE_POINTS:
        raise RuleRefused(errors=(("name", "too_long", {"limit": MAX_NAME_CODE_POINTS}),))
    if not all(character.isprintable() for character in trimmed):
        raise RuleRefused(errors=(("name", "invalid", {}),))
    return trimmed


def checked_roles(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the roles, each once; raise ``RuleRefused`` for more than a token carries, or what is no role."""
    given = tuple(dict.fromkeys(roles))
    if len(given) > MAX_ROLES:
        raise RuleRefused(errors=(("roles", "too_many", {"limit": MAX_ROLES}),))
    try:
        for role in given:
            check_role_name(role)
    except Unusable:
        raise RuleRefused(errors=(("roles", "invalid", {}),)) from None
    return given


class Accounts:
    """Everything that one person does to their own account."""

    def __init__(
        self,
        store: Store,
        hashing: PasswordHashing,
        clock: Clock,
        random: Randomness,
        log: SecurityLog,
        *,
        passwords: PasswordPolicy,
        policy: SessionPolicy,
        site_name: str,
    ) -> None:
        self._store, self._hashing, self._clock, self._random, self._log = store, hashing, clock, random, log
        self._passwords, self._policy, self._site_name = passwords, policy, site_name
        self._sign_ups = Turnstile(store, clock, log, "sign-up")
        self._confirmations = Turnstile(store, clock, log, "confirm")

    async def sign_up(self, account: NewAccount, caller: Caller) -> User:
        """Make an account for somebody who came by the page or the API.

        Raises:
            RuleRefused: an unusable address, name or password.
            Conflict: ``email_taken``.
            TooMany: this source asked for too many accounts, or guessed too many addresses.
        """
        keys = self._sign_ups.keys("taken", caller.source, SIGN_UP, by_pair=TAKEN)
        async with self._sign_ups.turn(keys):
            try:
                user = await self.add(account)
            except Conflict:
                await self._sign_ups.failed(keys)
                raise
            await self._sign_ups.failed(keys[1:])
            return user

    async def add(self, account: NewAccount) -> User:
        """Make an account; the same rules, without counting."""
        written, key = checked(account.email)
        name = checked_name(account.name)
        roles = checked_roles(account.roles)
        self._passwords.check(account.password, email=written, name=name, site_name=self._site_name)
        if await self._store.find_user_by_email(key) is not None:
            raise Conflict("email_taken")
        user = User(
            id=str(uuid.UUID(bytes=self._random(16), version=4)),
            email=written,
            email_key=key,
            name=name,
            password_hash=await self._hashing.hash(prepared(account.password)),
            roles=roles,
            created_at=self._clock.now(),
        )
        if not await self._store.add_user(user):
            raise Conflict("email_taken")
        self._log.record("user_created", user=user.id)
        return user

    async def rename(self, principal: Principal, name: str) -> None:
        """Change the name that is shown."""
        await self._store.rename_user(principal.user_id, checked_name(name))

    async def change_password(self, principal: Principal, current: str, new: str, caller: Caller) -> Session:
        """Store a new password, end every other session, and renew this one's secrets.

        Raises:
            CredentialRefused: ``credentials_wrong``: the current password is another one.
            RuleRefused: ``password_refused`` with the reason.
        """
        user = await self._prove(principal, current, caller)
        self._passwords.check(new, email=user.email, name=user.name, site_name=self._site_name, field="new_password")
        if prepared(new) == prepared(current):
            raise RuleRefused("password_refused", errors=(("new_password", "same_as_old", {}),))
        ending = Ending("password_changed", self._clock.now())
        replaced = await self._store.replace_password(
            user,
            await self._hashing.hash(prepared(new)),
            ending,
            keep=principal.session_id,
            feed_ttl_s=self._policy.feed_ttl_s,
        )
        if not replaced:
            # Somebody changed it in the same instant; what was "current" a moment ago is not any more.
            raise CredentialRefused("credentials_wrong", asked="password")
        self._log.record("authn_password_change", user=user.id, session=principal.session_id)
        return await self._confirmed(principal, caller, grace=False)

    async def set_password(self, email: str, new: str) -> User:
        """Give an account another password, on an operator's word; all its sessions end.

        Raises:
            NotFound: ``user_unknown``.
            RuleRefused: ``password_refused`` with the reason.
        """
        user = await self._known(email)
        self._passwords.check(new, email=user.email, name=user.name, site_name=self._site_name)
        hashed, ending = await self._hashing.hash(prepared(new)), Ending("password_changed", self._clock.now())
        feed_ttl_s = self._policy.feed_ttl_s
        while not await self._store.replace_password(user, hashed, ending, keep=None, feed_ttl_s=feed_ttl_s):
            user = await self._known(email)  # changed in the same instant: an operator has the last word
        self._log.record("authn_password_change", user=user.id)
        return user

    async def _known(self, email: str) -> User:
        user = await self._store.find_user_by_email(canonical(email))
        if user is None:
            raise NotFound("user_unknown", email=email)
        return user

    async def confirm(self, principal: Principal, password: str, caller: Caller) -> Session:
        """Prove again who is there (step-up): the time of authentication is now, all secrets are new."""
        user = await self._prove(principal, password, caller)
        self._log.record("authn_confirmed", user=user.id, session=principal.session_id)
        return await self._confirmed(principal, caller, grace=True)

    async def _prove(self, principal: Principal, password: str, caller: Caller) -> User:
        keys = self._confirmations.keys(principal.user_id, caller.source)
        async with self._confirmations.turn(keys):
            user = await self._store.find_user(principal.user_id)
            if user is None or user.disabled_at is not None:
                raise CredentialRefused("user_disabled")
            if not await self._is_password(user, password):
                await self._confirmations.failed(keys)
                self._log.record("authn_login_fail", user=user.id, source=caller.source)
                raise CredentialRefused("credentials_wrong", asked="password")
        await self._confirmations.succeeded(keys)
        return user

    async def _is_password(self, user: User, password: str) -> bool:
        try:
            candidate = as_hashed(user.password_hash, password)
        except RuleRefused:
            return False  # no account can have it
        return user.password_hash != NO_PASSWORD and await self._hashing.verify(user.password_hash, candidate)

    async def _confirmed(self, principal: Principal, caller: Caller, *, grace: bool) -> Session:
        now = self._clock.now()
        session = await self._store.confirm(principal.session_id, now=now, origin=caller.origin, grace=grace)
        if session is None:
            raise CredentialRefused("session_revoked")
        return session
