"""What a client holds of a session, and how a place keeps it.

How long a token is good for is counted from the lengths that the server names, never from its clock: a client whose
clock is ten minutes off, or one whose clock stands still while it sleeps, is as good as any.
"""

from __future__ import annotations

import time
from typing import Annotated, ClassVar

import msgspec

from propylon.core.discreet import Discreet
from propylon.errors import SetupError
from propylon.ports import Clock

MAX_TEXT_CHARS = 65_536

# A client renews when a tenth to a fifth of a token's life is left, and a minute at most: drawn anew for each token,
# so that clients that were started together do not go on asking together.
LEAST_LEAD, LEAD_SPREAD, LONGEST_LEAD_S = 0.1, 0.1, 60.0

# As a header can carry it (RFC 6750 section 2.1), whatever answered.
Token = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~+/-]+=*$", max_length=8_192)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class SystemClock:
    """``ports.Clock``, of this machine."""

    def now(self) -> int:
        """Return epoch seconds."""
        return int(time.time())

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()


class Tokens(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of one session, as they are kept.

    Attributes:
        obtained_at: this client's clock just before it asked, epoch seconds; compared with that same clock alone.
    """

    shown: ClassVar[tuple[str, ...]] = ("issuer", "user_id")

    issuer: str
    user_id: str
    email: str
    access_token: Token
    refresh_token: Token
    expires_in_s: Seconds
    obtained_at: int

    def spelled(self) -> str:
        """Return the text that a place keeps."""
        return msgspec.json.encode(self).decode()


class Held(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """Tokens in the hand of this process.

    Attributes:
        number: counts what this process has held, so that "newer than the one that was refused" has a meaning.
        confirms: how often the user had proved in this process who they are when these were issued.
        since_s: when their life began, on the monotonic clock.
        lead_s: renew when no more than this is left.
    """

    shown: ClassVar[tuple[str, ...]] = ("number", "confirms")

    tokens: Tokens
    number: int
    confirms: int
    since_s: float
    lead_s: float

    def left_s(self, clock: Clock) -> float:
        """Return how much longer the access token is good for.

        The monotonic clock of a laptop may stand still while it sleeps, and the other one may be set: whichever says
        that more time has passed is believed. At worst a token is renewed too early.
        """
        passed_s = max(clock.monotonic() - self.since_s, clock.now() - self.tokens.obtained_at)
        return self.tokens.expires_in_s - passed_s


def lead_s(expires_in_s: int, chance: float) -> float:
    """Return how long before the end of a token to renew it; ``chance`` is from 0 to 1."""
    return min(LONGEST_LEAD_S, expires_in_s * (LEAST_LEAD + LEAD_SPREAD * chance))


def begun_s(tokens: Tokens, clock: Clock) -> float:
    """Return when the life of tokens that were kept began, on the monotonic clock of this process.

    Tokens from the future were kept before somebody set the clock back: nobody knows their age, so it is over.
    """
    age_s = clock.now() - tokens.obtained_at
    return clock.monotonic() - age_s if age_s >= 0 else float("-inf")


def read(text: str) -> Tokens:
    """Return what a place has kept.

    Raises:
        SetupError: it is something else, which must not be overwritten.
    """
    try:
        if len(text) <= MAX_TEXT_CHARS:
            return msgspec.json.decode(text, type=Tokens)
    except (ValueError, RecursionError):
        pass
    raise SetupError("client_place_unreadable")
