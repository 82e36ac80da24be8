"""Refresh tokens: what a presented generation means (design: outcomes of one atomic verb).

A refresh token rotates at every use. Successors are derived, so whoever presents the token just rotated
gets *the same* successor: two tabs, a lost response and answers out of order are all harmless, while
anything older is somebody else's copy.

======== ==================================================== ===============================
presented                                                      outcome
======== ==================================================== ===============================
n = g     the newest                                           ``Rotated``, g becomes n+1
n = g-1   within the grace window                              ``Repeated``: the same n+1
n = g-1   later, from where n was rotated, n-1 was not late    ``Late``: the same n+1
n = g-1   later, from elsewhere or late twice in a row         ``Reused``: the session ends
n < g-1                                                        ``Reused``: the session ends
n = g-1   replaced by a step-up; in the window, or from home   ``Overtaken``: no successor
n         given up: by a move to another mode, by a step-up    ``GivenUp``, nothing changes
======== ==================================================== ===============================

What was given up by a move (``core.moving``) is honoured for the grace window, and then a slow tab and a thief look the
same; neither gets anything, and the session, which travels another way, goes on.

A step-up (``core.session.confirmed``) hands its successor to whoever confirmed and to nobody else. Where it cannot (a
bearer session: the answer has no body), the old token goes on: from where the confirmation came it gets what was
confirmed, and from another network access as before; after a new password it gets nothing there.
"""

from __future__ import annotations

import hashlib

import msgspec

from propylon.core.network import neighbourhood, network_of
from propylon.core.session import Ending, Session, ended, refusal


class Rotated(msgspec.Struct, frozen=True):
    """The newest token was used; ``session`` holds the next generation."""

    session: Session


class Repeated(msgspec.Struct, frozen=True):
    """The token just rotated came again inside the grace window: answer with the same successor."""

    session: Session


class Late(msgspec.Struct, frozen=True):
    """The token just rotated came again after the window, from home: answer with the same successor."""

    session: Session


class Reused(msgspec.Struct, frozen=True):
    """An old token came back: theft. ``session`` has ended, and nobody else's."""

    session: Session


class Overtaken(msgspec.Struct, frozen=True):
    """The token that a step-up replaced came in flight, or from home: an access token as before, and no successor."""

    session: Session


class GivenUp(msgspec.Struct, frozen=True):
    """The token was given up by a move to another mode, or by a step-up: refused, and no sign of theft."""

    session: Session


class Missing(msgspec.Struct, frozen=True):
    """There is no live session: None, or the one that had ended or expired before."""

    session: Session | None


RefreshOutcome = Rotated | Repeated | Late | Overtaken | Reused | GivenUp | Missing


def origin(ip: str, user_agent: str | None) -> str:
    """Return a short mark of where a request comes from: its neighbourhood and its user agent.

    The user agent is digested to 48 bits: enough to tell programs apart, and constant space a session.
    """
    digest = hashlib.sha256((user_agent or "").encode("utf-8", "surrogateescape")).hexdigest()
    return f"{neighbourhood(ip)} {digest[:12]}"


def rotate(session: Session | None, presented: int, *, now: int, grace_s: int, origin: str, ip: str) -> RefreshOutcome:
    """Decide what the refresh token of generation ``presented`` gets; its secret was checked before.

    A store calls this inside one transaction and keeps ``outcome.session`` when it changed.
    """
    if session is None or refusal(session, now) is not None:
        return Missing(session)
    if presented < session.refresh_floor and not _from_where_it_was_confirmed(session, origin):
        return GivenUp(session)  # a new password shuts out every copy
    if session.mode == "cookie" and session.moved_at:
        return _of_the_mode_before(session, presented, now, grace_s)
    if presented >= session.refresh_generation:
        # Newer than the record: the store lost its last writes (a failover); the secret proves it is ours.
        settled = _settled(session, presented, origin)
        return Rotated(_advanced(settled, presented + 1, now=now, origin=origin, ip=ip))
    if presented == session.refresh_generation - 1:
        return _of_the_one_before(session, presented, now=now, grace_s=grace_s, origin=origin)
    return GivenUp(session) if presented < session.refresh_floor else Reused(ended(session, Ending("reused", now)))


def auth_time_after(outcome: Rotated | Repeated | Late | Overtaken, origin: str) -> int:
    """Return the time of authentication that an access token of this outcome may claim."""
    session = outcome.session
    proved = not isinstance(outcome, Overtaken) and _from_where_it_was_confirmed(session, origin)
    return session.auth_time if proved else session.earlier_auth_time


def _from_where_it_was_confirmed(session: Session, origin: str) -> bool:
    """Return whether a request may profit from a confirmation whose answer carried no refresh token.

    By the network alone: an app and its web view call themselves differently.
    """
    return session.confirmed_from in ("", network_of(origin))


def _settled(session: Session, presented: int, origin: str) -> Session:
    """Return the session as it is once what was confirmed has been taken up, where it came from."""
    # After a new password it is kept: copies of the token that is renewed here stay shut out.
    if presented < session.refresh_floor or not _from_where_it_was_confirmed(session, origin):
        return session
    return msgspec.structs.replace(session, confirmed_from="")


def _replaced_by_a_step_up(session: Session, presented: int) -> bool:
    if session.mode == "bearer" or presented >= session.refresh_floor:
        return False  # a bearer session's token goes on: what was rotated within the second was rotated by its use
    return session.refresh_rotated_at == session.auth_time > session.earlier_auth_time


def _of_the_one_before(session: Session, presented: int, *, now: int, grace_s: int, origin: str) -> RefreshOutcome:
    in_flight, at_home = now - session.refresh_rotated_at <= grace_s, origin == session.refresh_origin
    seen_at = max(session.last_seen_at, now)
    if _replaced_by_a_step_up(session, presented):
        seen = msgspec.structs.replace(session, last_seen_at=seen_at)
        return Overtaken(seen) if in_flight or at_home else GivenUp(session)
    if in_flight:
        return Repeated(session)
    if presented < session.refresh_floor:
        return GivenUp(session)
    # An honest client loses an answer now and then, at home. A thief elsewhere is caught here at the first
    # word; one next door, taking turns with the victim, is late twice in a row and caught at the second.
    late_in_a_row = presented > 0 and session.late_generation == presented - 1  # -1 means that none was ever late
    if at_home and not late_in_a_row:
        return Late(msgspec.structs.replace(session, late_generation=presented, last_seen_at=seen_at))
    return Reused(ended(session, Ending("reused", now)))


def _of_the_mode_before(session: Session, presented: int, now: int, grace_s: int) -> RefreshOutcome:
    """Honour the newest token, and the one just rotated, for the window after the move; nothing rotates any more."""
    newest = presented >= session.refresh_generation
    just_rotated = presented == session.refresh_generation - 1 and now - session.refresh_rotated_at <= grace_s
    honoured = now - session.moved_at <= grace_s and (newest or just_rotated)
    return Repeated(session) if honoured else GivenUp(session)


def _advanced(session: Session, generation: int, *, now: int, origin: str, ip: str) -> Session:
    return msgspec.structs.replace(
        session,
        refresh_generation=generation,
        refresh_rotated_at=now,
        refresh_origin=origin,
        last_seen_at=max(session.last_seen_at, now),
        ip=ip,
    )
