"""Who is calling? From memory where that is safe, else at most one look-up of the session and its user.

Memory only ever says "yes, still". It is dropped by the revocation feed, which is asked first on every
request and is nearly free when nothing happened, so an ending that was acknowledged anywhere is never missed.
Nothing is remembered when the feed moved while the store was being read: that is how caches elsewhere
brought revoked sessions back to life.

All of it runs on one event loop, but ``recall_anywhere``, which looks and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from propylon.core.access import AccessTokens, EndedSession, TokenRules
from propylon.core.demand import Demand
from propylon.core.jose.access_token import AccessClaims
from propylon.core.mode import ModePlan
from propylon.core.moving import outlived
from propylon.core.principal import Credential, Home, Principal, User
from propylon.core.remembered import RememberedPrincipals
from propylon.core.revocation import FeedEntry
from propylon.core.session import Mode, Session, SessionPolicy, cookie_auth_time, refusal
from propylon.errors import CredentialRefused, FeedSilent, StoreUnavailable
from propylon.flows.caller import Caller
from propylon.flows.feed_history import FeedHistory
from propylon.flows.issue import COOKIE, Issuer, presented
from propylon.flows.refusals import refused, refused_for
from propylon.flows.server_mode import KnownPlan
from propylon.flows.signing import SigningKeys
from propylon.ports import Clock, Store

Listener = Callable[[FeedEntry], None]


class Gate:
    """Verifies credentials."""

    def __init__(
        self,
        store: Store,
        issuer: Issuer,
        keys: SigningKeys,
        clock: Clock,
        *,
        policy: SessionPolicy,
        rules: TokenRules,
        permissions_of: Mapping[str, tuple[str, ...]],
        known: KnownPlan,
        home: Home | None = None,
    ) -> None:
        self._store, self._issuer, self._keys, self._clock = store, issuer, keys, clock
        self._policy, self._known, self._home = policy, known, home
        self._cookies = RememberedPrincipals()
        self.tokens = AccessTokens(rules, keep_s=policy.feed_ttl_s, permissions_of=permissions_of, home=home)
        self.history = FeedHistory(store, clock, feed_ttl_s=policy.feed_ttl_s)
        self._listeners: list[Listener] = []
        self._touching: set[str] = set()
        self._heard = 0  # entries of the feed so far
        self.mode_version = 0  # how often the mode has changed
        self.recalled = self.not_recalled = 0  # credentials that were remembered, and were not
        self._taken_in: bytes | int | None = None  # the feed's bookmark when everything in it had been heard
        # On other threads than the loop's, for metrics: without a lock, which every request would take, an interpreter
        # without the GIL may lose one of two that come in the same instant.
        self.recalled_elsewhere = 0

    def recall(self, credential: Credential) -> Principal | None:
        """Return the principal if it is remembered and need not be verified anew; no I/O, no cryptography."""
        try:
            news = self._store.news()
        except FeedSilent:
            self.not_recalled += 1
            return None  # whoever verifies asks the store first
        if news:  # nearly always none
            self._hear(news)
        if self._known.is_stale:
            self.not_recalled += 1
            return None  # whoever verifies learns first whether sessions are to move
        if credential.kind == "access_token":
            principal = self.tokens.recall(credential.value, self._clock.monotonic())
        else:
            principal = self._cookies.get(credential.value, self._clock.monotonic())
        if principal is None:
            self.not_recalled += 1
        else:
            self.recalled += 1
        return principal

    def recall_anywhere(self, credential: Credential) -> Principal | None:
        """Do as ``recall`` does, from any thread. None also where the loop has not yet taken in what came last.

        The bookmark moves before an ending is acknowledged, and what it was compared with is set after everything up
        to it was forgotten here: while they are the same, what is remembered is true.
        """
        if self._taken_in is None or self._store.bookmark() != self._taken_in or self._known.is_stale:
            return None
        if credential.kind == "access_token":
            principal = self.tokens.recall(credential.value, self._clock.monotonic())
        else:
            principal = self._cookies.get(credential.value, self._clock.monotonic())
        if principal is not None:
            self.recalled_elsewhere += 1
        return principal

    async def authenticate(self, credential: Credential, caller: Caller) -> Principal:
        """Return who is calling, from memory or verified, or raise ``CredentialRefused`` with the reason."""
        return self.recall(credential) or await self.verify(credential, caller)

    async def verify(self, credential: Credential, caller: Caller) -> Principal:
        """Verify a credential that is not remembered; see ``authenticate``."""
        await self.listen()
        if credential.kind == "access_token":
            return await self._by_access_token(credential.value)
        if credential.kind == "cookie":
            return await self._by_cookie(credential.value, caller)
        raise CredentialRefused("credential_malformed")

    def require(self, principal: Principal, demand: Demand) -> None:
        """Refuse a principal who does not meet a demand now; see ``Demand.check``."""
        demand.check(principal, self._clock.now())

    def permissions(self, user: User) -> frozenset[str]:
        """Return what the user's roles grant."""
        return self.tokens.granted(user.roles)

    def tell(self, listener: Listener) -> None:
        """Pass every entry of the feed on, each once and in order, after it was taken in here."""
        self._listeners.append(listener)

    def rehome(self, home: Home) -> None:
        """Give principals another home, before anybody was verified: for apps that live on another event loop."""
        self._home = home
        self.tokens.rehome(home)

    async def plan(self) -> ModePlan:
        """Return how sessions travel now, as the operator has decided it."""
        await self.listen()
        return await self._known.newest()

    def remembered(self) -> tuple[int, int, int]:
        """Return how many cookies, tokens and ended sessions are held in memory (for metrics)."""
        return len(self._cookies), self.tokens.remembered, self.tokens.revoked

    def forget_stale(self) -> bool:
        """Give memory back, in steps; for upkeep. Return whether there may be more."""
        self._cookies.forget_stale(self._clock.monotonic())
        return self.tokens.forget_stale(self._clock.monotonic())

    async def listen(self) -> None:
        """Hear what changed anywhere since last time, asking the store where it has been silent for too long."""
        try:
            self._hear(self._store.news())
        except FeedSilent:
            await self._store.catch_up()
            self._hear(self._store.news())
        # Without an ``await`` in between: a bookmark says that there was nothing beyond what has just been heard.
        self._taken_in = self._store.bookmark()
        if self._known.is_stale:
            await self._know()
        if not self.history.is_known():  # the first time, and when the feed was lost
            await self.history.agree()

    async def _know(self) -> None:
        """Read the plan; where it has changed, everybody is verified anew and told of it."""
        try:
            changed = await self._known.read()
        except StoreUnavailable:
            return  # what is known already holds until the store can say; nobody is refused for that
        if changed:
            self._cookies.forget_all()
            self.tokens.forget_remembered()

    def _hear(self, news: Sequence[FeedEntry]) -> None:
        for entry in news:
            self._heard += 1
            self.tokens.learn(entry, self._clock.monotonic())
            self._learn(entry)
            for listener in self._listeners:
                listener(entry)

    def _learn(self, entry: FeedEntry) -> None:
        if entry.subject == "keys_changed":
            self._keys.changed()
        elif entry.subject == "mode_changed":
            self.mode_version += 1
            self._known.announced()
        elif entry.id == "":
            # This process slept for so long that entries were dropped unread.
            self._cookies.forget_all()
        elif entry.subject == "user_changed":
            self._cookies.forget_user(entry.id)
        else:
            self._cookies.forget_session(entry.id)

    async def _by_access_token(self, token: str) -> Principal:
        await self._keys.ready()
        now = self._clock.now()
        claims = self.tokens.read(token, self._keys.published, self._keys.algorithms, now)
        certain, moves_to = True, None
        if self._known.plan.in_motion or not self.history.is_whole():
            certain, moves_to = await self._looked_up(claims)
        verdict = self.tokens.admit(
            token, claims, now=now, monotonic=self._clock.monotonic(), remember=certain, moves_to=moves_to
        )
        if isinstance(verdict, EndedSession):
            raise refused_for(verdict.reason, await self._store.find_session(verdict.session_id))
        return verdict

    async def _looked_up(self, claims: AccessClaims) -> tuple[bool, Mode | None]:
        """Look up the session of a token where sessions move, or where the feed may have lost its ending.

        Refuse where it does not live, or has moved to the cookie for longer than the grace window. Return whether the
        answer may be remembered, and where the session is asked to move.
        """
        heard, now = self._heard, self._clock.now()
        try:
            session = await self._store.find_session(claims.session_id)
        except StoreUnavailable:
            if not self.history.is_whole():
                raise
            return False, None  # whoever is to move is told another time
        if session is None:  # lost with the feed, or signed out before
            raise CredentialRefused("session_revoked")
        if (code := refusal(session, now)) is not None:
            raise refused(session, code)
        over = outlived(session, claims.issued_at, now=now, grace_s=self._policy.refresh_grace_s)
        if over:
            raise CredentialRefused("token_expired")
        return over is not None and self._heard_nothing_since(heard), self._known.plan.target(session)

    async def _by_cookie(self, value: str, caller: Caller) -> Principal:
        secret = presented(value)
        heard, now = self._heard, self._clock.now()
        session = await self._store.find_session(secret.session_id)
        if session is None:
            raise CredentialRefused("credential_malformed")
        self._issuer.recognise(session, COOKIE, secret)
        if (code := refusal(session, now)) is not None:
            raise refused(session, code)
        auth_time = cookie_auth_time(session, secret.generation, now=now, grace_s=self._policy.refresh_grace_s)
        if auth_time is None:
            raise CredentialRefused("session_revoked")
        user = await self._user_of(session)
        # Beside tokens (a web view, the pages) the cookie is at home in every mode: their holder is the one to move.
        moves_to = self._known.plan.target(session) if session.mode == "cookie" else None
        principal = self._principal_for(session, user, auth_time, moves_to)
        touched = await self._touch_when_due(session, caller, now)
        # The cookie just replaced is honoured for the grace window alone, so it is not remembered for longer.
        if self._heard_nothing_since(heard) and secret.generation >= session.cookie_generation:
            # A second less: ``now`` has lost its fraction, and nothing may be served beyond its end.
            good_for_s = self._good_for_s(session, touched, now) - 1
            self._cookies.put(value, principal, self._clock.monotonic() + good_for_s)
        return principal

    def _heard_nothing_since(self, heard: int) -> bool:
        """Return whether it is certain that nothing has changed since so many entries were heard."""
        try:
            self._hear(self._store.news())
        except FeedSilent:
            return False  # the store itself has just said that the session lives; it is not remembered
        return self._heard == heard

    async def _user_of(self, session: Session) -> User:
        user = await self._store.find_user(session.user_id)
        if user is None or user.disabled_at is not None:
            raise CredentialRefused("user_disabled")
        return user

    async def _touch_when_due(self, session: Session, caller: Caller, now: int) -> int:
        """Note the activity, at most once an interval; return when the session counts as last seen.

        A store that can be read and not written (locked, full) has just said that the session lives, so nobody is
        turned away; what was not noted lets the session idle out sooner, never later.
        """
        if now - session.last_seen_at < self._policy.activity_interval_s or session.id in self._touching:
            return session.last_seen_at
        # A page that loads fifty things at once is one activity, not fifty writes.
        self._touching.add(session.id)
        try:
            await self._store.touch(session.id, now=now, ip=caller.ip)
        except StoreUnavailable:
            return session.last_seen_at
        finally:
            self._touching.discard(session.id)
        return now

    def _good_for_s(self, session: Session, last_seen_at: int, now: int) -> int:
        """Return how long a cookie may be served from memory: until it expires or is due to be touched."""
        due = last_seen_at + max(1, self._policy.activity_interval_s)
        return min(session.expires_at, last_seen_at + session.idle_ttl_s, due) - now

    def _principal_for(self, session: Session, user: User, auth_time: int, moves_to: Mode | None) -> Principal:
        return Principal(
            user_id=user.id,
            session_id=session.id,
            credential="cookie",
            roles=frozenset(user.roles),
            permissions=self.tokens.granted(user.roles),
            scopes=frozenset(),
            auth_time=auth_time,
            expires_at=session.deadline,
            home=self._home,
            moves_to=moves_to,
        )
