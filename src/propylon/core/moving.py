"""A session that travels another way from now on: what is given up, what is honoured, and for how long.

======================= ================================ =============================================
from, to                what its holder presented        what becomes of the old credentials
======================= ================================ =============================================
cookie, bearer/hybrid   the newest session cookie        that cookie: honoured for the grace window
bearer/hybrid, cookie   an access token                  access and refresh tokens: the same
bearer, hybrid and back the newest refresh token, which  rotated, as at every renewal
                        was rotated for it
======================= ================================ =============================================

What was given up is refused afterwards and nothing more: whoever still presents it is a tab that slept, or a thief with
a copy that is worth nothing. Neither is a reason to end the session of somebody who did what they were asked to.
"""

from __future__ import annotations

import msgspec

from propylon.core.session import Mode, Session, refusal


class Moved(msgspec.Struct, frozen=True):
    """The session has moved; ``session`` travels the new way."""

    session: Session


class MovedBefore(msgspec.Struct, frozen=True):
    """It had moved just now, by the same credential: hand out the same."""

    session: Session


class Unmoved(msgspec.Struct, frozen=True):
    """What was presented cannot move it; it goes on as it is."""

    session: Session


class Over(msgspec.Struct, frozen=True):
    """There is no live session: None, or the one that had ended or expired before."""

    session: Session | None


MoveOutcome = Moved | MovedBefore | Unmoved | Over


def move(session: Session | None, to: Mode, *, cookie: int | None, now: int, grace_s: int, origin: str) -> MoveOutcome:
    """Decide what becomes of a session whose holder moves it to ``to``; a store keeps ``outcome.session``.

    Args:
        session: as it is kept.
        to: the mode that it is asked to move to.
        cookie: the generation of the session cookie that was presented; None for a token, which was checked.
        now: epoch seconds.
        grace_s: for how long the old credentials are honoured.
        origin: where the request comes from; see ``core.refresh.origin``.
    """
    if session is None or refusal(session, now) is not None:
        return Over(session)
    if session.mode == to:
        return (
            MovedBefore(session)
            if cookie is None or _just_given_up(session, cookie, now, grace_s)
            else Unmoved(session)
        )
    # A cookie from before a step-up must not become tokens that have seen it; and who holds a cookie beside somebody
    # else's tokens (a web view that an app has opened) does not decide how those travel.
    right = cookie is None if session.mode != "cookie" else cookie is not None and cookie >= session.cookie_generation
    if not right:
        return Unmoved(session)
    if session.mode == "cookie":
        session = _without_cookie(session, now=now, grace_s=grace_s, origin=origin)
    return Moved(msgspec.structs.replace(session, mode=to, moved_at=now, last_seen_at=max(session.last_seen_at, now)))


def outlived(session: Session, issued_at: int, *, now: int, grace_s: int) -> bool | None:
    """Return whether an access token is of the time before its session moved to the cookie, and is over.

    None while it is honoured for the last time. The clocks of two nodes may differ: then a token of the last moment
    lives on until it expires, or one of the first is renewed early; neither signs anybody out.
    """
    if session.mode != "cookie" or not session.moved_at or issued_at > session.moved_at:
        return False
    return None if now - session.moved_at <= grace_s else True


def _just_given_up(session: Session, cookie: int, now: int, grace_s: int) -> bool:
    replaced_by_the_move = cookie == session.cookie_generation - 1 and session.cookie_rotated_at == session.moved_at
    return replaced_by_the_move and now - session.moved_at <= grace_s


def _without_cookie(session: Session, *, now: int, grace_s: int, origin: str) -> Session:
    """Return the session with refresh tokens of its own, and a cookie that nobody holds yet."""
    generation = session.refresh_generation + _step(session, now, grace_s)
    return msgspec.structs.replace(
        session,
        cookie_generation=session.cookie_generation + 1,
        cookie_rotated_at=now,
        earlier_auth_time=session.auth_time,
        refresh_generation=generation,
        refresh_floor=generation,
        refresh_rotated_at=now,
        refresh_origin=origin,
        late_generation=-1,
        confirmed_from="",
    )


def _step(session: Session, now: int, grace_s: int) -> int:
    """Return how far the new refresh tokens begin beyond the ones that were given up when it moved to the cookie.

    The last of those must not count as "just rotated" again, or a copy that has been dead for days would be answered
    with its successor: one generation that nobody holds lies between. While it is still honoured, it does count.
    """
    if not session.moved_at:
        return 0  # it has been a cookie from the start
    return 1 if now - session.moved_at <= grace_s else 2
