"""A password becomes a session."""

from __future__ import annotations

from contextlib import suppress

from propylon.core.email import canonical
from propylon.core.password import NO_PASSWORD, as_hashed, prepared, reads_all_of
from propylon.core.principal import User
from propylon.errors import ClientError, Unavailable
from propylon.flows.caller import Caller
from propylon.flows.issue import Issuer
from propylon.flows.opening import Opener, SignedIn, Wish
from propylon.flows.throttling import Turnstile
from propylon.ports import Clock, PasswordHashing, SecurityLog, Store


class SignInRequest(Wish, frozen=True, kw_only=True):
    """What a person types and an app chooses."""

    email: str
    password: str


class SignIn:
    """Signs users in with their password."""

    def __init__(
        self,
        store: Store,
        hashing: PasswordHashing,
        issuer: Issuer,
        opener: Opener,
        clock: Clock,
        log: SecurityLog,
    ) -> None:
        self._store, self._hashing, self._issuer, self._opener, self._clock = store, hashing, issuer, opener, clock
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
                raise self._opener.failed(user, "credentials_wrong", caller)
        if user.disabled_at is not None:
            raise self._opener.failed(user, "user_disabled", caller)
        session = await self._opener.open(user, request, caller)
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

    async def _rehash_when_weaker(self, user: User, password: str) -> None:
        """Store a stronger hash now: a sign-in is the only moment that has the password in clear."""
        stored = user.password_hash
        # What bcrypt did not read may have been mistyped: hashed now, it would lock its owner out.
        if self._hashing.needs_rehash(stored) and reads_all_of(stored, as_hashed(stored, password)):
            await self._store.rehash(user.id, user.password_hash, await self._hashing.hash(prepared(password)))
