"""Somebody who is signed in: what their device sends, and what may happen to their session."""

from __future__ import annotations

from propylon.core.device import Device
from propylon.core.principal import Credential, Principal, User
from propylon.core.session import Ending, Session, refusal
from propylon.flows.caller import Caller
from propylon.flows.issue import Issued
from propylon.runtime import Runtime
from propylon.testing.clock import FakeClock
from propylon.testing.records import PHONE
from propylon.testing.security_events import SecurityEvents
from propylon.testing.shared_memory import done


class SessionHolder:
    """A device with a session of its own; ``Rehearsal.sign_in`` makes it.

    Attributes:
        user: the account.
    """

    def __init__(
        self, user: User, session: Session, caller: Caller, node: Runtime, clock: FakeClock, events: SecurityEvents
    ) -> None:
        self.user = user
        self._id, self._mode, self._caller = session.id, session.mode, caller
        self._node, self._clock, self._events = node, clock, events
        self._access_token = ""

    @property
    def session(self) -> Session:
        """The session's record as it is now."""
        session = done(self._node.store.find_session(self._id))
        if session is None:
            raise LookupError(f"the session {self._id} was removed")
        return session

    @property
    def access_token(self) -> str:
        """The access token that the device sends now: a new one each time while the session lives, then the last."""
        session = self.session
        if not self._access_token or refusal(session, self._clock.now()) is None:
            done(self._node.gate.listen())
            token = done(self._node.issuer.access_token(session, self.user, self._clock.now()))
            self._access_token = token.value
        return self._access_token

    @property
    def refresh_token(self) -> str:
        """The newest refresh token, of a session that has any."""
        if self._mode == "cookie":
            raise LookupError("a session in cookie mode has no refresh token")
        return self._node.issuer.refresh_token(self.session)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the browser keeps: the session's, or the refresh cookie in hybrid mode."""
        session, issuer = self.session, self._node.issuer
        cookie = issuer.cookie(session) if self._mode == "cookie" else None
        refresh_token = issuer.refresh_token(session) if self._mode == "hybrid" else None
        issued = Issued(session=session, cookie=cookie, refresh_token=refresh_token)
        set_cookies = self._node.transport.cookies_of(issued, "", self._clock.now())
        pairs = (value.decode("latin-1").partition(";")[0].partition("=") for _, value in set_cookies)
        return {name: value for name, _, value in pairs}

    def headers(self) -> dict[str, str]:
        """Return what the device sends with a request now: the session cookie, or an access token.

        Taken again after time has passed it holds a fresh access token, as the device of somebody who is still signed
        in would have; what was taken before is what an old request still carries.
        """
        if self._mode == "cookie":
            return {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        return {"authorization": f"Bearer {self.access_token}"}

    @property
    def principal(self) -> Principal:
        """What the gate takes this device for now.

        Raises:
            CredentialRefused: as it would refuse a request.
        """
        if self._mode == "cookie":
            (value,) = self.cookies.values()
            credential = Credential("cookie", value, ambient=True)
        else:
            credential = Credential("access_token", self.access_token, ambient=False)
        return done(self._node.gate.authenticate(credential, self._caller))

    def end(self) -> None:
        """Sign out."""
        if self._end(Ending("signed_out", self._clock.now())):
            self._events.record("session_ended", user=self.user.id, session=self._id, reason="signed_out")

    def evict(self, by: Device = PHONE) -> None:
        """Make room for a newcomer, as a limit on sign-ins does: requests are told ``session_evicted`` and by what."""
        if self._end(Ending("evicted", self._clock.now(), by)):
            self._events.record("session_evicted", user=self.user.id, session=self._id, by=None)

    def disable(self) -> None:
        """Disable the account, which ends all its sessions."""
        done(self._node.administration.disable(self.user.email))

    def expire(self) -> None:
        """Let time pass, for everybody, until this session is over because nobody used it."""
        self._clock.advance(max(0, self.session.deadline - self._clock.now()))

    def confirm(self) -> None:
        """Prove again who is there, as giving the password does: ``require(fresh_s=...)`` is met, secrets are new."""
        if done(self._confirmed()) is None:
            raise LookupError("a session that is over cannot be confirmed")
        self._events.record("authn_confirmed", user=self.user.id, session=self._id)

    async def _confirmed(self) -> Session | None:
        now, origin = self._clock.now(), self._caller.origin
        return await self._node.store.confirm(self._id, now=now, origin=origin, grace=True)

    def _end(self, ending: Ending) -> bool:
        feed_ttl_s = self._node.config.policy.feed_ttl_s
        return done(self._node.store.end_session(self._id, ending, user_id=None, feed_ttl_s=feed_ttl_s))
