"""An issuer inside the test's process, for a service that only verifies: it signs tokens and tells of endings.

The verifier is the service's own and verifies as always: signatures, times, audience, and what the feed has said.
Only the wire to its issuer is replaced.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import msgspec

from propylon.core.jose.access_token import AccessClaims, issue
from propylon.core.jose.jwk import KeySet
from propylon.core.jose.signing import SigningKey
from propylon.core.principal import Principal
from propylon.core.session import EndReason
from propylon.errors import Unavailable
from propylon.testing.clock import FakeClock
from propylon.verifier import Verifier
from propylon.verifier.events import FeedBroken

# A thread that does not come back within this time has died.
ACT_WITHIN_S = 60.0
HEARTBEAT = b":\n\n"


class FakeIssuer:
    """Issues tokens to a ``Verifier`` and lets it know of endings at once, for the length of a ``with``.

    Under pytest the fixture ``propylon_issuer`` is one.

    Args:
        verifier: the service's own. Its issuer must be an address of this machine.
        clock: what time it is; without one, now, standing still.

    Attributes:
        clock: moves by ``clock.advance(seconds)``.
        silent: while it is set nothing is heard of this issuer, as when it or the network is down: after
            ``feed_max_silence_s`` the verifier refuses everything.

    Raises:
        SetupError: the issuer is not of this machine.
    """

    def __init__(self, verifier: Verifier, *, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(int(time.time()))
        self._silent, self._unsaid = False, b""
        self._verifier = verifier
        self._key = SigningKey.generate("ES256")
        self._endings: list[bytes] = []
        self._line: _Line | None = None
        self._numbers = itertools.count(1)
        self._take_back: Callable[[], None] | None = None
        self.clock.tell(self._beat)

    @property
    def silent(self) -> bool:
        """Whether nothing is heard of this issuer now."""
        return self._silent

    @silent.setter
    def silent(self, silent: bool) -> None:
        self._silent = silent
        if not silent:
            unsaid, self._unsaid = self._unsaid, b""
            self._say(unsaid or HEARTBEAT)
            self._beat()

    def __enter__(self) -> Self:
        """Take the place of the verifier's issuer."""
        self._take_back = self._verifier.rehearse(self, self.clock)
        self._verifier.__enter__()
        if self._verifier.silent_for_s == float("inf"):
            raise Unavailable
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Give the verifier back, stopped."""
        if self._take_back is not None:
            self._take_back()
        self._take_back = self._line = None

    def sign_in(
        self, user_id: str = "", *, roles: Iterable[str] = (), scopes: Iterable[str] = (), ttl_s: int = 300
    ) -> TokenHolder:
        """Open a session and return who holds its tokens.

        Args:
            user_id: whose; where it is not given, one is made up.
            roles: what the tokens say that the user holds.
            scopes: what they are narrowed to; none means everything that the user may do.
            ttl_s: how long each lives.
        """
        return TokenHolder(
            self, user_id or f"user-{next(self._numbers)}", tuple(roles), tuple(scopes), ttl_s, self.clock
        )

    def jwks(self) -> bytes:
        """Return the public key (``verifier.fetching.Source``)."""
        return KeySet([self._key.verification_key]).to_jwks()

    def feed(self, last_event_id: str, max_silence_s: float) -> _Line:  # noqa: ARG002 - the port's
        """Open the feed with all that has ended (``verifier.fetching.Source``)."""
        self._line = _Line(b"".join((b"event: reset\ndata: {}\n\n", *self._endings, b"event: ready\ndata: {}\n\n")))
        return self._line

    def token(self, claims: AccessClaims) -> str:
        """Sign a token."""
        return issue(claims, self._key)

    def claims(self, holder: TokenHolder, auth_time: int, ttl_s: int) -> AccessClaims:
        """Return what a token of ``holder`` says now."""
        now = self.clock.now()
        return AccessClaims(
            issuer=self._verifier.issuer,
            subject=holder.user_id,
            audience=(self._verifier.audience,),
            expires_at=now + ttl_s,
            issued_at=now,
            token_id=secrets.token_urlsafe(12),
            session_id=holder.session_id,
            auth_time=auth_time,
            roles=holder.roles,
            scopes=holder.scopes,
        )

    def verify(self, token: str) -> Principal:
        """Return whom the verifier takes the holder of a token for."""
        return self._verifier.verify(token)

    def end(self, session_id: str, reason: EndReason) -> None:
        """End a session; when this returns the verifier knows."""
        data = msgspec.json.encode({"sid": session_id, "reason": reason, "until": self.clock.now() + 3_660}).decode()
        ending = f"event: revoked\ndata: {data}\n\n".encode()
        self._endings.append(ending)
        if self._silent:
            self._unsaid += ending
        self._say(ending)

    def _beat(self) -> None:
        # Twice: what comes vouches for the moment at which the one before it had been read.
        for _ in range(2):
            self._say(HEARTBEAT)

    def _say(self, text: bytes) -> None:
        if self._line is not None and not self._silent:
            self._line.say(text)


class TokenHolder:
    """Somebody with access tokens; ``FakeIssuer.sign_in`` makes it.

    Attributes:
        user_id: who it is.
        session_id: the session that the tokens come from.
        roles: what the tokens say that the user holds.
        scopes: what the tokens are narrowed to.
    """

    def __init__(
        self,
        issuer: FakeIssuer,
        user_id: str,
        roles: tuple[str, ...],
        scopes: tuple[str, ...],
        ttl_s: int,
        clock: FakeClock,
    ) -> None:
        self.user_id, self.session_id, self.roles, self.scopes = user_id, secrets.token_urlsafe(16), roles, scopes
        self._issuer, self._ttl_s, self._clock = issuer, ttl_s, clock
        self._auth_time = clock.now()
        self._over = False
        self._token = ""

    @property
    def access_token(self) -> str:
        """The access token that is sent now: a new one each time while the session lives, then the last."""
        if not self._token or not self._over:
            claims = self._issuer.claims(self, self._auth_time, self._ttl_s)
            self._token = self._issuer.token(claims)
        return self._token

    def headers(self) -> dict[str, str]:
        """Return what is sent with a request now; see ``access_token``."""
        return {"authorization": f"Bearer {self.access_token}"}

    @property
    def principal(self) -> Principal:
        """What the verifier takes this holder for now.

        Raises:
            CredentialRefused, Unavailable: as it would refuse a request.
        """
        return self._issuer.verify(self.access_token)

    def end(self, reason: EndReason = "signed_out") -> None:
        """End the session, by default as signing out does."""
        self._over = True
        self._issuer.end(self.session_id, reason)

    def evict(self) -> None:
        """End it as a limit on sign-ins does: requests are told ``session_evicted``."""
        self.end("evicted")

    def disable(self) -> None:
        """End it as disabling the account does: requests are told ``user_disabled``."""
        self.end("user_disabled")

    def expire(self) -> None:
        """Let time pass, for everybody, until a token that was sent now is over, and renew it no more."""
        self._token, self._over = self.access_token, True
        self._clock.advance(self._ttl_s)

    def confirm(self) -> None:
        """Prove again who is there: ``fresh_s`` is met by the tokens from now on."""
        self._auth_time = self._clock.now()


class _Line:
    """A feed without a wire (``verifier.fetching.FeedStream``): who says something waits until it was acted upon."""

    def __init__(self, beginning: bytes) -> None:
        self._said = [beginning]
        self._handed_out = self._acted_upon = 0
        self._over = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.end()

    def read(self) -> bytes:
        """Return what was said next, waiting for it."""
        with self._changed:
            self._acted_upon = self._handed_out  # whoever reads on has done with what was read before
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._over or self._handed_out < len(self._said))
            if self._over:
                raise FeedBroken("the rehearsal is over")
            self._handed_out += 1
            return self._said[self._handed_out - 1]

    def say(self, text: bytes) -> None:
        """Say something and wait until the verifier has acted upon it, or reads no more."""
        with self._changed:
            self._said.append(text)
            number = len(self._said)
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._over or self._acted_upon >= number, ACT_WITHIN_S):
                raise Unavailable

    def end(self) -> None:
        """Say nothing more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
