"""What a verifier knows, shared by threads: endings and keys, and how long ago it heard that this is all."""

from __future__ import annotations

import threading

from propylon.core.access import AccessTokens, EndedSession, PermissionsOf, TokenRules
from propylon.core.principal import Principal
from propylon.core.revocation import FeedEntry, FeedSubject
from propylon.core.session import MAX_ACCESS_TTL_S, refusal_of
from propylon.errors import CredentialRefused
from propylon.ports import Clock
from propylon.verifier.events import FeedBroken
from propylon.verifier.keys import ALLOWED, RemoteKeys

# No access token lives longer, whatever the issuer's settings, and the clock here may be behind its.
KEEP_S = MAX_ACCESS_TTL_S + 360
# Some 400 MB. An issuer that ends more in an hour, or somebody in its place, is not believed any more.
MAX_ENDED = 2_000_000
TIDY_EVERY_S = 30.0


class Knowledge:
    """Filled by the thread that follows the feed, asked by all others."""

    def __init__(self, rules: TokenRules, keys: RemoteKeys, clock: Clock, permissions_of: PermissionsOf) -> None:
        self._keys, self._clock = keys, clock
        self._tokens = AccessTokens(rules, keep_s=KEEP_S, permissions_of=permissions_of)
        self._lock = threading.Lock()
        self._key_changes = 0
        self._heard_at = float("-inf")
        self._tidy_at = clock.monotonic() + TIDY_EVERY_S

    @property
    def silent_for_s(self) -> float:
        """Seconds since it was last certain to know everything; infinite before the first time."""
        return self._clock.monotonic() - self._heard_at

    @property
    def was_complete(self) -> bool:
        """Whether it ever knew everything."""
        return self._heard_at != float("-inf")

    def recall(self, token: str) -> Principal | None:
        """Return the principal of a token that was verified lately; no lock, no cryptography."""
        return self._tokens.recall(token, self._clock.monotonic())

    def verify(self, token: str) -> Principal:
        """Verify a token by what is known now.

        Raises:
            CredentialRefused: with the code that says why.
        """
        while True:
            key_changes, keys = self._key_changes, self._keys.current
            now = self._clock.now()
            claims = self._tokens.read(token, keys, ALLOWED, now)
            with self._lock:
                if key_changes != self._key_changes:
                    continue  # the key that verified it may be one that is trusted no more
                verdict = self._tokens.admit(token, claims, now=now, monotonic=self._clock.monotonic())
            if isinstance(verdict, EndedSession):
                raise CredentialRefused(refusal_of(verdict.reason))
            return verdict

    def heard(self, at: float) -> None:
        """Note that at that monotonic second all that had been acknowledged was known here."""
        self._heard_at = max(self._heard_at, at)

    def session_ended(self, session_id: str, reason: str) -> None:
        """Take in an ending; raises ``FeedBroken`` when there are more than can be true."""
        if self._tokens.revoked >= MAX_ENDED:
            raise FeedBroken("more endings than an issuer has")
        self._learn("session_ended", session_id, reason)

    def load_keys(self) -> None:
        """Fetch the keys and serve nothing from memory that another set has verified."""
        self._keys.load()
        with self._lock:
            self._key_changes += 1
        self._learn("keys_changed", "", "")

    def tidy(self) -> None:
        """Give memory back, now and then."""
        if (monotonic := self._clock.monotonic()) >= self._tidy_at:
            self._tidy_at = monotonic + TIDY_EVERY_S
            with self._lock:
                self._tokens.forget_stale(monotonic)

    def _learn(self, subject: FeedSubject, id_: str, reason: str) -> None:
        with self._lock:
            self._tokens.learn(FeedEntry(0, subject, id_, reason, 0), self._clock.monotonic())
