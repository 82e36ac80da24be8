"""Sessions move to the mode that the server has now, each when its client asks for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from propylon.core.moving import Moved, Over, Unmoved
from propylon.core.session import Mode, Session, SessionPolicy, refusal
from propylon.errors import CredentialRefused, StoreUnavailable
from propylon.flows.caller import Caller
from propylon.flows.issue import Issued, Issuer
from propylon.flows.refusals import refused
from propylon.flows.server_mode import KnownPlan
from propylon.ports import Clock, SecurityLog, Store

FAILURES_SETTING = "mode_failures"
# As often as another node may have counted in the same moment; what is not written now is written later.
MAX_ATTEMPTS = 10


class Moving:
    """Moves sessions. The operator's plan decides which; their holders decide when.

    Attributes:
        moved: how many sessions moved here.
        failed: how many moves failed here.
    """

    def __init__(
        self, store: Store, known: KnownPlan, issuer: Issuer, clock: Clock, log: SecurityLog, *, policy: SessionPolicy
    ) -> None:
        self._store, self._known, self._issuer, self._clock, self._log = store, known, issuer, clock, log
        self._policy = policy
        self.moved = self.failed = 0
        self._unreported = 0

    def target(self, session: Session) -> Mode | None:
        """Return the mode that a session is asked to move to, or None."""
        return self._known.plan.target(session)

    async def by_cookie(self, session_id: str, generation: int, caller: Caller) -> Issued | None:
        """Move a cookie session to tokens, or hand out again what it moved to just now; None where it is to stay.

        Args:
            session_id: of a session whose cookie was verified.
            generation: of that cookie.
            caller: who presents it.

        Raises:
            CredentialRefused: it has ended, or its user was disabled.
        """
        session = await self._store.find_session(session_id)
        if session is None:
            raise CredentialRefused("session_expired")
        to = self.target(session) if session.mode == "cookie" else session.mode
        if to in (None, "cookie") or (session.mode != "cookie" and generation >= session.cookie_generation):
            return None
        user = await self._store.find_user(session.user_id)
        if user is None or user.disabled_at is not None:
            raise CredentialRefused("user_disabled")
        moved = await self.move(session, to, caller, cookie=generation)
        if moved is None:
            return None
        access = await self._issuer.access_token(moved, user, self._clock.now())
        return Issued(session=moved, access=access, refresh_token=self._issuer.refresh_token(moved))

    async def move(self, session: Session, to: Mode, caller: Caller, *, cookie: int | None = None) -> Session | None:
        """Move a session whose holder has presented a token, or a cookie of this generation; None where it stays.

        Raises:
            CredentialRefused: it has ended.
        """
        async with self._counted():
            outcome = await self._store.move_session(
                session.id,
                to,
                cookie=cookie,
                now=self._clock.now(),
                grace_s=self._policy.refresh_grace_s,
                origin=caller.origin,
            )
        if isinstance(outcome, Over):
            raise self._gone(outcome.session)
        if isinstance(outcome, Moved):
            self.moved += 1
            self._log.record("session_moved", user=session.user_id, session=session.id, mode=to)
        return None if isinstance(outcome, Unmoved) else outcome.session

    async def move_renewed(self, session: Session, to: Mode, caller: Caller) -> Session:
        """Move a session whose refresh token was rotated just now, and where that fails leave it as it is.

        Its holder has been answered then all the same, and is asked again next time.
        """
        try:
            return await self.move(session, to, caller) or session
        except StoreUnavailable:
            return session

    async def report_failures(self) -> None:
        """Add what failed here to what failed everywhere; for upkeep. Does not write where nothing has failed."""
        for _ in range(MAX_ATTEMPTS):
            count, change = self._unreported, self._known.plan.change
            if not count:
                return
            before = await self._store.read_setting(FAILURES_SETTING)
            total = failures_of(before, change) + count
            if await self._store.write_setting(FAILURES_SETTING, f"{change} {total}", expected=before):
                self._unreported -= count
                return

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        try:
            yield
        except Exception:
            self.failed += 1
            self._unreported += 1
            raise
        if self._unreported:
            with suppress(StoreUnavailable):  # it is counted at the next upkeep
                await self.report_failures()

    def _gone(self, session: Session | None) -> CredentialRefused:
        if session is None:
            return CredentialRefused("session_expired")
        return refused(session, refusal(session, self._clock.now()) or "session_expired")


def failures_of(kept: str | None, change: int) -> int:
    """Return how many moves have failed since a change, of what is kept about that."""
    of, _, count = (kept or "").partition(" ")
    return int(count) if of == str(change) and count.isdecimal() else 0
