"""Rising delay after failures: pure bucket arithmetic, in whole seconds.

Only failures count, and only for the pair of account and source and for the source itself, so nobody can
lock somebody else out (NIST 800-63B-4 asks for a limit; a lock is a denial of service in itself).
"""

from __future__ import annotations

import msgspec


class Pace(msgspec.Struct, frozen=True):
    """How fast failures become expensive.

    Attributes:
        free: attempts that may fail before the first wait.
        forgive_s: every so many seconds one failure is forgotten.
        longest_wait_s: the delay never grows beyond this.
    """

    free: int
    forgive_s: int
    longest_wait_s: int


class Tally(msgspec.Struct, frozen=True):
    """Failures so far and when the last one was (epoch seconds)."""

    failures: int = 0
    last_at: int = 0


def standing(tally: Tally, pace: Pace, now: int) -> int:
    """Return the failures that are not forgiven yet; none once the wall clock was set back beyond any delay."""
    # Clocks of nodes differ by seconds. A failure further ahead was counted by a clock that was wrong, and
    # would lock its source out until that time comes.
    if tally.last_at - now > pace.longest_wait_s:
        return 0
    return max(0, tally.failures - max(0, now - tally.last_at) // pace.forgive_s)


def wait_s(tally: Tally, pace: Pace, now: int) -> int:
    """Return the seconds to wait before the next attempt; 0 when it may come now.

    From the last free failure on the delay doubles with each: 1, 2, 4, ... seconds since the last failure.
    """
    beyond = tally.failures - pace.free
    if beyond < 0 or standing(tally, pace, now) == 0:
        return 0
    # 1 << 20 s is longer than any sensible bound: the exponent stays small whatever was counted.
    delay_s = min(pace.longest_wait_s, 1 << min(beyond, 20))
    return min(delay_s, max(0, tally.last_at + delay_s - now))


def failed(tally: Tally, pace: Pace, now: int) -> Tally:
    """Return the tally after one more failure at ``now``."""
    standing_now = standing(tally, pace, now)
    return Tally(standing_now + 1, max(now, tally.last_at) if standing_now else now)


def forgotten_at(tally: Tally, pace: Pace) -> int:
    """Return when nothing of ``tally`` counts any more (epoch seconds): a store may drop it then."""
    return tally.last_at + tally.failures * pace.forgive_s
