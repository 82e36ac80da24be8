"""Decides what to do about tokens, and does it: what is held, what is kept, when to ask the issuer.

Everything here is called by one flight at a time (``flights``), but ``ready`` and ``usable``, which only look.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import msgspec

from propylon.client.account import Account
from propylon.client.exchange import Exchange, Password
from propylon.client.places import Place
from propylon.client.tokens import Held, Tokens, begun_s, lead_s, read
from propylon.errors import Conflict, CredentialRefused, PropylonError, SetupError, TooMany, Unavailable
from propylon.ports import Clock

logger = logging.getLogger("propylon.client")

# Two programs that push each other out under a limit of one session would otherwise sign in without end, and each
# sign-in costs the server a password hash.
SIGN_IN_EVERY_S = 60.0
# What is left of a token when it is used for a confirmation.
CONFIRM_LEFT_S = 5.0


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """What a request needs.

    Attributes:
        newer_than: the number of the tokens that were refused; -1 where none were.
        confirmed_after: the number of confirmations that was not enough; -1 where none is asked for.
        max_age_s: how recent the server wants it to be, for the error where nobody can confirm.
        unrepeatable: it cannot be sent again, so its token has to last.
    """

    newer_than: int = -1
    confirmed_after: int = -1
    max_age_s: int | None = None
    unrepeatable: bool = False

    def met_by(self, held: Held | None) -> bool:
        """Tell whether tokens are of the kind that is wanted, however much of their life is left."""
        return held is not None and held.number > self.newer_than and held.confirms > self.confirmed_after


class Keeper:
    """The tokens of one session of one user."""

    def __init__(
        self, exchange: Exchange, place: Place, account: Account, issuer: str, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self._exchange, self._place, self._account = exchange, place, account
        self._issuer, self._clock, self._chance = issuer, clock, chance
        self._number, self._confirms = 0, 0
        self.start_over()

    def start_over(self) -> None:
        """Hold nothing, as in a process that was forked off: what is kept is read again."""
        self._held: Held | None = None
        self._user_id: str | None = None
        self._seen = b""  # a hash of the text that the place had last, so that a change by others is noticed
        self._spoilt = -1
        self._signed_out = False
        self._signed_in_at_s = float("-inf")
        self._quiet: dict[str, tuple[float, Unavailable | TooMany]] = {}

    @property
    def user_id(self) -> str | None:
        """Whose session it is, as far as this process knows."""
        return self._user_id

    @property
    def number(self) -> int:
        """The number of the newest tokens."""
        return self._number

    def ready(self, want: Want) -> Held | None:
        """Return what is held, where it will do and need not be renewed yet."""
        held = self._held
        if held is None or not want.met_by(held) or held.number <= self._spoilt:
            return None
        least_s = max(held.lead_s, held.tokens.expires_in_s / 2) if want.unrepeatable else held.lead_s
        return held if held.left_s(self._clock) > least_s else None

    def usable(self, want: Want) -> Held | None:
        """Return what is held, where it will do for this moment."""
        held = self._held
        if held is None or not want.met_by(held) or held.number <= self._spoilt:
            return None
        return held if held.left_s(self._clock) > 0 else None

    def spoil(self, held: Held) -> None:
        """Use these tokens for nothing more: they were refused."""
        self._spoilt = max(self._spoilt, held.number)

    def fulfil(self, want: Want) -> Held:
        """Return tokens that will do: held, kept by another process, renewed, confirmed, or by signing in.

        Raises:
            CredentialRefused: nobody is signed in and nobody can; ``code`` says why.
            Unavailable: the issuer cannot be asked, and what is held is over.
            TooMany: it does not want to be asked now.
        """
        if (held := self.ready(want)) is not None:
            return held
        try:
            return self._fulfilled(want)
        except (Unavailable, TooMany) as trouble:
            if (held := self.usable(want)) is None:
                raise
            logger.warning("the tokens could not be renewed yet: %s", trouble)
            return held

    def sign_in(self) -> Held:
        """Open a session now, whatever is held; what was held before is ended."""
        self._account.try_again()
        password = self._account.password()
        with self._locked():
            with suppress(SetupError, Conflict):  # what is kept is somebody else's: it is replaced, not used
                self._look()
            before = self._held
            held = self._hold(self._signed_in(password), confirmed=True)
            if before is not None:
                self._end_quietly(before.tokens)
            return held

    def sign_out(self) -> None:
        """End the session; here it is over whatever the issuer says.

        Raises:
            Unavailable: the issuer could not be told, and the session lives on there.
        """
        self._signed_out = True
        with self._locked():
            self._look()
            held = self._held
            try:
                if held is not None:
                    self._end(held)
            except CredentialRefused:
                pass  # it was over already
            finally:
                self._forget()
                self._user_id = None

    def confirm(self) -> Held:
        """Prove again who is there."""
        return self._fulfilled(Want(confirmed_after=self._held.confirms if self._held is not None else 0))

    def _fulfilled(self, want: Want) -> Held:
        try:
            return self._confirmed(want) if want.confirmed_after >= 0 else self._renewed(want)
        except CredentialRefused as refusal:
            if self._held is not None or not self._may_sign_in():
                raise
            logger.info("signing in again: %s", refusal.code)
        return self._signed_in_again(want)

    def _renewed(self, want: Want) -> Held:
        with self._locked():
            self._look()
            if (held := self.ready(want)) is not None:
                return held  # another process was first
            return self._hold(self._rotated())

    def _signed_in_again(self, want: Want) -> Held:
        password = self._account.password()  # before the lock: somebody may have to look for it
        with self._locked():
            self._look()
            if (held := self.ready(want)) is not None:
                return held
            tokens = self._signed_in(password)
            if self._user_id not in (None, tokens.user_id):
                self._end_quietly(tokens)
                raise Conflict("other_user")  # the address is somebody else's by now
            return self._hold(tokens, confirmed=True)

    def _signed_in(self, password: Password) -> Tokens:
        account = self._account
        with self._asking("sign_in"), self._noticing_a_wrong_password():
            tokens = self._exchange.sign_in(account.email or "", password, remember=account.remember)
        self._signed_out, self._signed_in_at_s = False, self._clock.monotonic()
        return tokens

    def _may_sign_in(self) -> bool:
        settled = self._clock.monotonic() - self._signed_in_at_s >= SIGN_IN_EVERY_S
        return self._account.has_password and settled and not self._signed_out

    def _confirmed(self, want: Want) -> Held:
        if not self._account.has_password:
            raise CredentialRefused("reauthentication_required", max_age_s=want.max_age_s)
        password = self._account.password()
        with self._locked():
            self._look()
            held = self._held
            if held is None or held.left_s(self._clock) < CONFIRM_LEFT_S or held.number <= self._spoilt:
                held = self._hold(self._rotated())
            try:
                self._prove(held, password)
            except CredentialRefused as refusal:
                if refusal.code == "credentials_wrong":
                    raise
                self._prove(self._hold(self._rotated()), password)  # its token was over, unless the session is
            return self._hold(self._rotated(), confirmed=True)

    def _prove(self, held: Held, password: Password) -> None:
        with self._asking("confirm"), self._noticing_a_wrong_password():
            self._exchange.confirm(held.tokens, password)

    def _rotated(self) -> Tokens:
        if self._held is None:
            raise CredentialRefused("credential_missing")
        try:
            with self._asking("renew"):
                return self._exchange.renew(self._held.tokens)
        except CredentialRefused:
            self._forget()  # the issuer itself says that it is over
            raise

    def _end(self, held: Held) -> None:
        tokens = held.tokens
        if held.left_s(self._clock) <= 0 or held.number <= self._spoilt:
            tokens = self._rotated()
        with self._asking("end"):
            self._exchange.end(tokens)

    def _end_quietly(self, tokens: Tokens) -> None:
        """End a session that nobody can reach any more; where that fails it ends by itself."""
        try:
            self._exchange.end(tokens)
        except PropylonError as error:
            logger.info("a session that was replaced could not be ended: %s", error)

    def _look(self) -> None:
        """Take over what another process has kept since."""
        text = self._loaded()
        if _hash(text) == self._seen:
            return
        if text is None:  # signed out elsewhere, or over
            self._held, self._seen = None, b""
            return
        tokens = read(text)
        if tokens.issuer != self._issuer:
            raise SetupError("client_place_other_issuer", issuer=tokens.issuer)
        wanted = self._account.email
        if self._user_id not in (None, tokens.user_id) or (wanted and wanted.casefold() != tokens.email.casefold()):
            self._held = None
            raise Conflict("other_user")
        self._seen = _hash(text)
        self._take(tokens)

    def _loaded(self) -> str | None:
        try:
            return self._place.load()
        except OSError as error:
            raise Unavailable(reason=f"the tokens cannot be read: {error}") from error

    def _hold(self, tokens: Tokens, *, confirmed: bool = False) -> Held:
        self._confirms += confirmed
        held = self._take(tokens)
        text = tokens.spelled()
        try:
            self._place.save(text)
            self._seen = _hash(text)
        except OSError as error:
            # They are the newest all the same. Losing them here as well would end the session for a full disk.
            logger.warning("the tokens could not be kept: %s", error)
        return held

    def _take(self, tokens: Tokens) -> Held:
        self._number += 1
        self._user_id = tokens.user_id
        self._held = Held(
            tokens=tokens,
            number=self._number,
            confirms=self._confirms,
            since_s=begun_s(tokens, self._clock),
            lead_s=lead_s(tokens.expires_in_s, self._chance()),
        )
        return self._held

    def _forget(self) -> None:
        self._held = None
        try:
            self._place.remove()
            self._seen = b""
        except OSError as error:
            logger.warning("the tokens, which are over, could not be removed: %s", error)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(self._place.lock())
            except OSError as error:
                raise Unavailable(reason=f"the tokens cannot be locked: {error}") from error
            yield

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Leave an issuer alone that is in trouble, for as long as it has said; all requests fail at once then."""
        self._require_no_quiet(what)
        try:
            yield
        except (Unavailable, TooMany) as trouble:
            self._quiet[what] = self._clock.monotonic() + trouble.retry_after_s, trouble.with_traceback(None)
            raise

    def _require_no_quiet(self, what: str) -> None:
        until_s, trouble = self._quiet.get(what, (float("-inf"), None))
        rest_s = until_s - self._clock.monotonic()
        if trouble is None or rest_s <= 0:
            return
        if isinstance(trouble, TooMany):
            raise TooMany(math.ceil(rest_s))
        raise Unavailable(trouble.code, retry_after_s=math.ceil(rest_s), **trouble.facts)

    @contextmanager
    def _noticing_a_wrong_password(self) -> Iterator[None]:
        try:
            yield
        except CredentialRefused as refusal:
            if refusal.code == "credentials_wrong":
                self._account.was_wrong()
            raise


def _hash(text: str | None) -> bytes:
    return hashlib.sha256(text.encode()).digest() if text is not None else b""
