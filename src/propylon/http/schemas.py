"""The JSON that travels: request and response bodies of version 1. OpenAPI is made from these types."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, convert, field

from propylon.core.device import Device
from propylon.core.discreet import Discreet
from propylon.core.mode import Clients
from propylon.core.principal import User
from propylon.core.session import Session
from propylon.flows.mode_change import ModeView
from propylon.http.problems import rfc3339

Email = Annotated[str, Meta(description="An e-mail address.", examples=["mina@example.com"])]
Password = Annotated[str, Meta(description="8 to 256 characters; the whole of it counts.")]
Rfc3339 = Annotated[str, Meta(description="RFC 3339, UTC.", examples=["2026-11-24T09:30:00Z"])]

ModeName = Literal["cookie", "bearer", "hybrid"]


class SignUpBody(Discreet, Struct, forbid_unknown_fields=True):
    """A new account."""

    email: Email
    password: Password
    name: str = ""


class SignInBody(Discreet, Struct, forbid_unknown_fields=True):
    """A sign-in. Without ``mode`` the server's own is taken; ``end`` names a session to end to make room."""

    email: Email
    password: Password
    mode: ModeName | UnsetType = UNSET
    remember: bool = False
    end: str | UnsetType = UNSET


class ExchangeBody(Struct, forbid_unknown_fields=True):
    """How the session travels that another system's is exchanged for; without ``mode`` as the server's own do."""

    mode: Literal["cookie", "hybrid"] | UnsetType = UNSET
    remember: bool = False


class RefreshBody(Discreet, Struct, forbid_unknown_fields=True):
    """A refresh token, where it travels in the body (mode ``bearer``)."""

    refresh_token: str | UnsetType = UNSET


class PasswordBody(Discreet, Struct, forbid_unknown_fields=True):
    """A change of password."""

    current_password: str
    new_password: Password


class ConfirmBody(Discreet, Struct, forbid_unknown_fields=True):
    """Proof that the user is still there."""

    password: str


class ModeBody(Struct, forbid_unknown_fields=True):
    """What to change about how sessions travel: ``mode`` (``for`` all clients, or some), ``paused``, or both."""

    mode: ModeName | UnsetType = UNSET
    clients: Annotated[list[Clients], Meta(min_length=1)] | UnsetType = field(name="for", default=UNSET)
    paused: bool | UnsetType = UNSET


class UserOut(Struct):
    """An account, as its owner sees it."""

    id: str
    email: str
    name: str
    roles: list[str]
    permissions: list[str]


class SessionOut(Struct):
    """One session: one sign-in on one device."""

    id: str
    current: bool
    mode: ModeName
    created_at: Rfc3339
    last_seen_at: Rfc3339
    expires_at: Rfc3339
    device: Device
    ip: str
    sign_in_method: str


class UserCreated(Struct):
    """The account that was made; nobody is signed in by this."""

    user: UserOut


class SignedInOut(Discreet, Struct):
    """A new session. The tokens are there by mode; a cookie travels in ``Set-Cookie``."""

    user: UserOut
    session: SessionOut
    access_token: str | UnsetType = UNSET
    token_type: Literal["Bearer"] | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET


class WhoOut(Struct):
    """Who is calling."""

    user: UserOut
    session: SessionOut


class TokensOut(Discreet, Struct):
    """A new access token, and where the refresh token travels in the body its successor."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    refresh_token: str | UnsetType = UNSET


class SessionsOut(Struct):
    """The caller's live sessions, newest first."""

    sessions: list[SessionOut]


class CourseOut(Struct):
    """How clients that are no browsers travel."""

    mode: ModeName
    previous: ModeName | None
    moved: int
    left: int


class ModeOut(Struct):
    """How sessions travel. ``moved`` and ``left`` are live sessions in the mode and still to move, ``counted_at``.

    ``apps`` is there where clients that are no browsers have a mode of their own; ``mode`` and ``previous`` are the
    browsers' then.
    """

    mode: ModeName
    previous: ModeName | None
    moved: int
    left: int
    errors: int
    paused: bool
    apps: CourseOut | None
    counted_at: Rfc3339


class Health(Struct):
    """Whether this process answers."""

    status: Literal["ok"]


def user_out(user: User, permissions: frozenset[str]) -> UserOut:
    """Return an account for its owner."""
    return UserOut(user.id, user.email, user.name, list(user.roles), sorted(permissions))


def session_out(session: Session, current: str | None) -> SessionOut:
    """Return a session for its owner; ``current`` is the id of the one that asks."""
    return SessionOut(
        id=session.id,
        current=session.id == current,
        mode=session.mode,
        created_at=rfc3339(session.created_at),
        last_seen_at=rfc3339(session.last_seen_at),
        expires_at=rfc3339(session.expires_at),
        device=session.device,
        ip=session.ip,
        sign_in_method=session.sign_in_method,
    )


def mode_out(view: ModeView) -> ModeOut:
    """Return how sessions travel, for an administrator."""
    report = view.report()
    return ModeOut(
        mode=view.plan.browsers.mode,
        previous=view.plan.browsers.previous,
        moved=report.moved,
        left=report.left,
        errors=report.errors,
        paused=report.paused,
        apps=convert(report.apps, CourseOut | None, from_attributes=True),
        counted_at=rfc3339(view.census.at),
    )
