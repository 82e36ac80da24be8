"""The session record: one sign-in of one user on one device, and what a moment in time makes of it."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from propylon.core.device import Device
from propylon.core.discreet import Discreet
from propylon.core.network import network_of

Mode = Literal["cookie", "bearer", "hybrid"]
MODES: tuple[Mode, ...] = ("cookie", "bearer", "hybrid")

# The longest life of an access token that any setting allows: past an hour, a token is a session that forgot
# its server. It bounds what the revocation feed has to remember.
MAX_ACCESS_TTL_S = 3_600

EndReason = Literal[
    "signed_out",
    "ended_by_user",
    "ended_by_administrator",
    "password_changed",
    "evicted",
    "reused",
    "user_disabled",
]

# What a credential of an ended session is told. Everything else was simply revoked.
_REFUSAL_OF_REASON = {"evicted": "session_evicted", "user_disabled": "user_disabled"}


def refusal_of(reason: str) -> str:
    """Return the refusal code for the credentials of a session that ended for ``reason``."""
    return _REFUSAL_OF_REASON.get(reason, "session_revoked")


class Ending(msgspec.Struct, frozen=True):
    """Why and when a session ended, and by which device: kept so that its next request can be told.

    Attributes:
        at: epoch seconds.
        by: the device whose sign-in or order ended it, where there was one.
    """

    reason: EndReason
    at: int
    by: Device | None = None


class Session(Discreet, msgspec.Struct, frozen=True, kw_only=True):
    """One sign-in of one user on one device. ``id`` is public; secrets are derived, never stored.

    Attributes:
        salt: 256 random bits; with a key of the server's ring they derive every secret of this session.
        key_id: which key of the ring.
        expires_at: absolute end, epoch seconds; never moves.
        idle_ttl_s: seconds without use after which the session has expired.
        cookie_generation: counter of the session cookie's secret.
        earlier_auth_time: what ``auth_time`` was before the cookie's secret was last renewed: an older
            cookie that is still in flight does not profit from a confirmation that it has not seen.
        refresh_generation: counter of the newest refresh token that was issued.
        refresh_origin: where the request came from that made the newest generation (network, user agent).
        late_generation: the last generation that was answered late (``core.refresh``).
        moved_at: when the mode last changed, epoch seconds; 0 is never.
        refresh_floor: refresh tokens of generations below were given up: with the mode that they belonged to, or when
            their user proved again who they are.
        confirmed_from: the network that the last confirmation of a bearer session came from, whose refresh token went
            on; empty once that is settled (``core.refresh``).
    """

    shown: ClassVar[tuple[str, ...]] = ("id", "user_id", "mode", "ending")

    id: str
    user_id: str
    salt: bytes
    key_id: str
    mode: Mode
    remember: bool
    created_at: int
    auth_time: int
    expires_at: int
    idle_ttl_s: int
    last_seen_at: int
    device: Device
    ip: str
    sign_in_method: str = "password"
    cookie_generation: int = 0
    cookie_rotated_at: int = 0
    earlier_auth_time: int = 0
    refresh_generation: int = 0
    refresh_rotated_at: int = 0
    refresh_origin: str = ""
    late_generation: int = -1
    moved_at: int = 0
    refresh_floor: int = 0
    confirmed_from: str = ""
    ending: Ending | None = None

    @property
    def deadline(self) -> int:
        """Epoch seconds at which this session expires if it is not used before."""
        return min(self.expires_at, self.last_seen_at + self.idle_ttl_s)


class SessionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long credentials live, all in seconds."""

    access_ttl_s: int
    idle_ttl_s: int
    absolute_ttl_s: int
    refresh_grace_s: int
    activity_interval_s: int

    @property
    def feed_ttl_s(self) -> int:
        """How long the feed must remember an ending: no access token lives longer, whatever the setting was."""
        return MAX_ACCESS_TTL_S + 60


def refusal(session: Session, now: int) -> str | None:
    """Return why credentials of ``session`` are refused at ``now``, or None while it lives."""
    if session.ending is not None:
        return refusal_of(session.ending.reason)
    return "session_expired" if now >= session.deadline else None


def cookie_auth_time(session: Session, generation: int, *, now: int, grace_s: int) -> int | None:
    """Return the time of authentication that a cookie of ``generation`` may claim, or None to refuse it.

    The newest generation counts in full. The one just replaced stays good for the grace window, since
    requests may be in flight, but only with the time of authentication it was issued with: whoever planted
    it before a step-up gains nothing (session fixation). A generation newer than the record exists after
    a store lost its last writes; its secret proves that we issued it.
    """
    if generation >= session.cookie_generation:
        return session.auth_time
    replaced_just_now = generation == session.cookie_generation - 1 and now - session.cookie_rotated_at <= grace_s
    return session.earlier_auth_time if replaced_just_now else None


def confirmed(session: Session, *, now: int, origin: str, grace: bool) -> Session:
    """Return the session after its user proved again who they are: every secret of it is new.

    The cookie, the refresh token and the next access token change (OWASP: renew at every change of privilege). Nobody
    who holds a secret from before profits: a copy would pass the step-up of its victim. Where the answer carries no
    refresh token (bearer) the old one goes on, and ``core.refresh`` gives what was confirmed to whoever presents it
    from where the confirmation came from.

    Args:
        session: as it is kept.
        now: epoch seconds.
        origin: where the request comes from; see ``core.refresh.origin``.
        grace: honour what is in flight for the grace window, with the time of authentication it was issued with. Not
            after a new password, which is chosen to shut out whoever holds a copy.
    """
    replaced_at = now if grace else 0
    unsettled = session.confirmed_from != ""  # then nobody has profited from the last confirmation yet
    return msgspec.structs.replace(
        _with_new_refresh_token(session, replaced_at, origin)
        if session.mode != "bearer"
        else msgspec.structs.replace(
            session,
            confirmed_from=network_of(origin),
            refresh_floor=session.refresh_floor if grace else session.refresh_generation + 1,
        ),
        auth_time=now,
        earlier_auth_time=session.earlier_auth_time if unsettled else session.auth_time,
        last_seen_at=max(session.last_seen_at, now),
        cookie_generation=session.cookie_generation + 1,
        cookie_rotated_at=replaced_at,
    )


def _with_new_refresh_token(session: Session, replaced_at: int, origin: str) -> Session:
    generation = session.refresh_generation + 1
    return msgspec.structs.replace(
        session,
        refresh_generation=generation,
        refresh_floor=generation,
        refresh_rotated_at=replaced_at,
        refresh_origin=origin,
        confirmed_from="",
    )


def ended(session: Session, ending: Ending) -> Session:
    """Return the session, ended; the first ending stays."""
    return session if session.ending is not None else msgspec.structs.replace(session, ending=ending)


def touched(session: Session, *, now: int, ip: str) -> Session:
    """Return the session, seen at ``now`` from ``ip``."""
    return msgspec.structs.replace(session, last_seen_at=max(session.last_seen_at, now), ip=ip)
