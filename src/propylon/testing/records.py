"""Records for tests: complete, plausible, and with everything that matters open to change."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from propylon.core.device import Device
from propylon.core.limits import SessionLimits
from propylon.core.principal import User
from propylon.core.secret import new_session_id
from propylon.core.session import Session
from propylon.ports import Opening, StoredKey

# ruff: noqa: S106 - `changes` are the fields of the record

#: A moment to start from, epoch seconds (in January 2027).
NOW = 1_800_000_000

DAY_S = 24 * 60 * 60
DESKTOP = Device("Firefox", "Linux", "desktop")
PHONE = Device("Chrome", "Android", "mobile")


def a_session(user_id: str = "user-1", **changes: Any) -> Session:
    """Return a new session of a user, opened at ``NOW``: 7 days idle, 30 days at most."""
    session = Session(
        id=new_session_id(secrets.token_bytes(16), user_id),
        user_id=user_id,
        salt=secrets.token_bytes(32),
        key_id="key-1",
        mode="cookie",
        remember=False,
        created_at=NOW,
        auth_time=NOW,
        expires_at=NOW + 30 * DAY_S,
        idle_ttl_s=7 * DAY_S,
        last_seen_at=NOW,
        device=DESKTOP,
        ip="192.0.2.1",
        refresh_rotated_at=NOW,
    )
    return msgspec.structs.replace(session, **changes)


def a_user(id: str = "user-1", **changes: Any) -> User:  # noqa: A002 - the field's name
    """Return an account whose address is made of its id."""
    email = f"{id}@example.org"
    user = User(id=id, email=email, email_key=email, name="Kim Minji", password_hash="$argon2id$1", created_at=NOW)
    return msgspec.structs.replace(user, **changes)


def an_opening(session: Session, **changes: Any) -> Opening:
    """Return the wish to open ``session`` for a user of security version 0, without any limit."""
    opening = Opening(session=session, limits=SessionLimits(), roles=(), security_version=0, end=None, feed_ttl_s=300)
    return msgspec.structs.replace(opening, **changes)


def a_signing_key(kid: str = "key-a", **changes: Any) -> StoredKey:
    """Return a signing key; its sealed part is not a real one."""
    key = StoredKey(kid=kid, alg="ES256", sealed=b"\x00sealed\xff", sealed_with="ring-1", created_at=NOW)
    return msgspec.structs.replace(key, **changes)
